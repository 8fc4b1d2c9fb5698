"""The table of what can be generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hostler.errors import ApplicationError, ConfigurationError
from hostler.generate.apache import build_apache
from hostler.generate.choice import Choices, explain_unknown
from hostler.generate.compose import build_compose
from hostler.generate.docker import build_docker
from hostler.generate.kubernetes import build_kubernetes
from hostler.generate.makefile import build_makefile
from hostler.generate.model import File, Project
from hostler.generate.nginx import build_nginx
from hostler.generate.procfile import build_procfile
from hostler.generate.systemd import build_systemd


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can be generated.

    Attributes:
        build: makes its files.
        summary: what it is, in one line.
        starts_application: whether the files start the application, and so need to know it.
    """

    build: Callable[[Project, Choices], tuple[File, ...]]
    summary: str
    starts_application: bool = True


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "nginx": Kind(build_nginx, "a site for nginx in front of Hostler", starts_application=False),
        "apache": Kind(build_apache, "a site for Apache in front of Hostler", starts_application=False),
        "systemd": Kind(build_systemd, "a service and its socket"),
        "docker": Kind(build_docker, "a Dockerfile and its .dockerignore"),
        "compose": Kind(build_compose, "a service for Docker Compose"),
        "kubernetes": Kind(build_kubernetes, "Deployment, Service and Ingress"),
        "makefile": Kind(build_makefile, "make dev, make stag, make prod"),
        "procfile": Kind(build_procfile, "a Procfile for platforms"),
    }
)


def get_kind(name: str) -> Kind:
    """Give the kind of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if name not in KINDS:
        raise ConfigurationError(explain_unknown(name, list(KINDS)))
    return KINDS[name]


def generate(name: str, project: Project, choices: Choices) -> tuple[File, ...]:
    """Generate the files of a kind.

    Raises:
        ConfigurationError: there is no such kind, or the configuration cannot be written to it.
        ApplicationError: the application must be known, and is not.
    """
    kind = get_kind(name)
    if kind.starts_application and not project.target and project.config.app.target is None:
        raise ApplicationError(
            f"no application was named, and none was recognised in {project.config.app.chdir}; "
            f"name it: hostler generate {name} app:app"
        )
    return kind.build(project, choices)
