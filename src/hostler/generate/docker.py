"""A Dockerfile and its .dockerignore."""

from __future__ import annotations

from hostler.generate.choice import Choices
from hostler.generate.command import build_container_arguments, quote_list
from hostler.generate.container import MARGIN, UID, build_probe, find_port
from hostler.generate.front import seconds
from hostler.generate.model import File, Project

IGNORED = """\
# What the image is made without. Made by `hostler generate docker`; yours to change.
.git
.gitignore
.dockerignore
Dockerfile
compose.yaml
**/__pycache__
**/*.pyc
.venv
venv
.pytest_cache
.mypy_cache
.ruff_cache
node_modules
# Secrets and data of this machine.
.env
.env.*
*.pem
*.key
*.sqlite3
"""


def build_docker(project: Project, choices: Choices) -> tuple[File, ...]:
    """Build both files.

    Raises:
        ConfigurationError: the configuration is outside the directory that the image is made of.
    """
    port = find_port(project)
    command = quote_list(build_container_arguments(project, port))
    probe = quote_list(build_probe(port, choices.health_path))
    name = project.name
    grace = seconds(project.config.server.graceful_timeout) + MARGIN
    text = f"""\
# {name} in a container. Made by `hostler generate docker`; yours to change.
#
# Put it in place: beside the project's files, with .dockerignore
# Build:           docker build --tag {name} .
# Run:             docker run --rm --init --publish 127.0.0.1:{port}:{port} {name}
# Stop:            docker stop -t {grace} {name}  (longer than server.graceful_timeout)
# Secrets:         docker run --env-file FILE; never in the image
{_write_warning(project)}
FROM python:{project.python}-slim AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
{_write_install(project)}

FROM python:{project.python}-slim
# A user without a name elsewhere, who owns nothing of what is served.
RUN useradd --system --uid {UID} --no-create-home --home-dir /nonexistent app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
USER {UID}
EXPOSE {port}
# Any interface of the container, which Docker keeps apart from the outside. TERM drains; it reaches Hostler itself, as
# there is no shell in between.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period={seconds(project.config.workers.boot_timeout)}s \\
    CMD {probe}
CMD {command}
"""
    return File("Dockerfile", text), File(".dockerignore", IGNORED)


def _write_warning(project: Project) -> str:
    """Name what would be in the image for all who can pull it."""
    if not project.exposed:
        return ""
    return f"# Move there what {project.file_name} holds of secrets: {', '.join(project.exposed)}\n"


def _write_install(project: Project) -> str:
    """Install what the project says it needs, and Hostler unless it is part of that."""
    extra = "[yaml]" if project.file_name.endswith((".yaml", ".yml")) else ""
    own = "" if project.requires_hostler else f" hostler{extra}=={project.version}"
    if "requirements.txt" in project.files:
        return f"COPY requirements.txt ./\nRUN pip install --no-cache-dir{own} --requirement requirements.txt"
    if "pyproject.toml" in project.files:
        return f"COPY . .\nRUN pip install --no-cache-dir{own} ."
    return (
        "# No requirements.txt and no pyproject.toml was found: add what the application needs.\n"
        f"RUN pip install --no-cache-dir{own}"
    )
