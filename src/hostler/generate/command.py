"""The command line of Hostler as other programs are told it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterable, Sequence

from hostler.config.kind import Boolean
from hostler.config.option import Option
from hostler.config.schema import index_options
from hostler.errors import ConfigurationError
from hostler.generate.model import Project

_PLAIN = re.compile(r"[A-Za-z0-9_@:,./+=-]+")


def build_arguments(project: Project, *, leave_out: Collection[str] = (), overlay: bool = True) -> list[str]:
    """Build what stands behind `hostler run`: application, file, overlay, and the options that the file lacks.

    Args:
        project: what is to be run.
        leave_out: options, by path, that the caller sees to.
        overlay: whether to name the overlay.
    """
    arguments = [project.target] if project.target else []
    if project.file:
        arguments += ["--config", project.file]
    if overlay and project.environment:
        arguments += ["--env", project.environment]
    options = index_options()
    for path, texts in project.settings.items():
        if path not in leave_out:
            arguments += _write_option(options[path], texts)
    return arguments


def _write_option(option: Option, texts: Sequence[str]) -> Iterable[str]:
    spelling = next(flag for flag in option.flags if flag.startswith("--"))
    if isinstance(option.kind, Boolean):
        yield spelling if option.kind.parse(texts[-1]) else f"--no-{spelling[2:]}"
        return
    for text in texts:
        # As one word where the value could be taken for a flag.
        yield from (f"{spelling}={text}",) if text.startswith("-") and text != "-" else (spelling, text)


# What the image says otherwise: the port is one that other containers reach, the user is the image's, logs go to
# standard output and error, where they are collected, and a pid file is of no use.
_SEEN_TO = ("server.bind", "server.user", "server.group", "server.pid_file", "log.file", "log.access")


def build_container_arguments(project: Project, port: int) -> list[str]:
    """Build the whole command that a container runs, `hostler` first.

    Raises:
        ConfigurationError: the file is outside the directory that the image is made of.
    """
    if project.file.startswith("/"):
        raise ConfigurationError(
            f"{project.file} is outside {project.directory}, which the image is made of; move it there"
        )
    config = project.config
    command = ["hostler", "run", *build_arguments(project, leave_out=_SEEN_TO), "--bind", f"0.0.0.0:{port}"]
    overridden = (
        (config.server.user, "--user="),
        (config.server.group, "--group="),
        (config.server.pid_file, "--pid-file="),
        (config.log.file != "-", "--log-file=-"),
        (config.log.access, "--access-log=-"),
    )
    return [*command, *(flag for applies, flag in overridden if applies)]


def quote_shell(words: Sequence[str]) -> str:
    """Quote words for a POSIX shell."""
    return shlex.join(words)


def quote_make(words: Sequence[str]) -> str:
    """Quote words for a recipe of make, which hands them to a shell."""
    return quote_shell(words).replace("$", "$$")


def quote_systemd(words: Sequence[str]) -> str:
    """Quote words for ExecStart= (systemd.service(5), "Command lines"; specifiers of systemd.unit(5))."""
    return " ".join(_quote_systemd_word(word) for word in words)


def _quote_systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return word if _PLAIN.fullmatch(word) else f'"{escaped}"'


def quote_list(words: Sequence[str]) -> str:
    """Write words as a JSON list, which YAML and Dockerfiles take, too."""
    return json.dumps(list(words), ensure_ascii=False)
