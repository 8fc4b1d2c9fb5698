"""A service for Docker Compose."""

from __future__ import annotations

from hostler.generate.choice import Choices
from hostler.generate.command import build_container_arguments, quote_list
from hostler.generate.container import MARGIN, find_port, find_published, list_writable, write_trust
from hostler.generate.front import LOCAL, seconds
from hostler.generate.model import File, Project


def build_compose(project: Project, choices: Choices) -> tuple[File, ...]:
    """Build `compose.yaml`.

    Raises:
        ConfigurationError: the configuration is outside the directory that the image is made of.
    """
    port = find_port(project)
    # Compose takes a dollar sign for a variable of its own.
    command = quote_list(build_container_arguments(project, port)).replace("$", "$$")
    host, published = find_published(project)
    prefix = "" if host in LOCAL else f"{f'[{host}]' if ':' in host else host}:"
    image = f"image: {choices.image}" if choices.image else "build: ."
    missing = f"    # It must have: {', '.join(project.secrets)}.\n" if project.secrets else ""
    trust = write_trust(project, "a web server in front of it", "the one that it connects from")
    text = f"""\
# {project.name} with Docker Compose. Made by `hostler generate compose`; yours to change.
#
# Put it in place:  beside the Dockerfile (`hostler generate docker --output .`)
# Check and start:  docker compose config --quiet && docker compose up --detach --build
# New code:         docker compose up --detach --build
{trust}services:
  {project.name}:
    {image}
    command: {command}
    ports:
      - "{prefix}{published}:{port}"
    # Secrets, as NAME=VALUE lines, which stay out of the image and of this file.
{missing}    env_file:
      - path: .env
        required: {"true" if project.secrets else "false"}
    restart: unless-stopped
    init: true
    # Longer than server.graceful_timeout, so that requests in flight can finish.
    stop_grace_period: {seconds(project.config.server.graceful_timeout) + MARGIN}s
    # What the container cannot do. Large request bodies go to the directories under tmpfs.
    read_only: true
    tmpfs:
{_write_places(project)}
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
"""
    return (File("compose.yaml", text),)


def _write_places(project: Project) -> str:
    return "\n".join(f"      - {quote_list([each])[1:-1]}" for each in list_writable(project))
