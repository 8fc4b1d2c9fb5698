"""A Procfile, for platforms and for programs such as honcho and foreman."""

from __future__ import annotations

from hostler.generate.choice import Choices
from hostler.generate.command import build_arguments, quote_shell
from hostler.generate.container import PORT, find_published
from hostler.generate.model import File, Project

_SEEN_TO = ("server.bind", "server.user", "server.group", "server.pid_file")


def build_procfile(project: Project, choices: Choices) -> tuple[File, ...]:  # noqa: ARG001 - a kind's signature
    """Build the Procfile. `PORT` is named, as an address in the configuration file would win over it."""
    arguments = quote_shell(build_arguments(project, leave_out=_SEEN_TO))
    port = find_published(project)[1] or PORT
    missing = f"# Variables that it must have: {', '.join(project.secrets)}\n" if project.secrets else ""
    text = f"""\
# {project.name} on a platform. Made by `hostler generate procfile`; yours to change.
# Put it in place, as Procfile, at the top of the repository. The platform says PORT, and WEB_CONCURRENCY if it likes.
# Check and try it with honcho check && honcho start
{missing}web: hostler run{f" {arguments}" if arguments else ""} --bind 0.0.0.0:${{PORT:-{port}}}
"""
    return (File("Procfile", text),)
