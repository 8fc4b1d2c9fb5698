"""Reads uWSGI's configuration for tests as the door does, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hostler.compat.uwsgi.door import Door
from hostler.compat.uwsgi.magic import Machine
from hostler.compat.uwsgi.option import Facts
from hostler.config import Config, Surroundings

APP = ("--module", "shop.wsgi", "--http-socket", ":8000")


def describe_machine(directory: Path) -> Machine:
    """A machine that is the same everywhere."""
    return Machine(directory, "/usr/bin/hostler", "stable", 4, (33, "www-data"), (34, "web"), 1_700_000_000.5)


def open_door(directory: Path, *words: str, environ: Mapping[str, str] | None = None) -> Door:
    """Make the door of `hostler uwsgi WORDS`, started in `directory`."""
    return Door(words, environ or {}, describe_machine(directory), Surroundings())


def gather(directory: Path, *words: str, environ: Mapping[str, str] | None = None) -> Facts:
    """Give the options that `hostler uwsgi WORDS` finds."""
    return open_door(directory, *words, environ=environ).gather()


def list_given(directory: Path, *words: str, environ: Mapping[str, str] | None = None) -> list[tuple[str, str | None]]:
    """List what counts of `hostler uwsgi WORDS`, in order."""
    door = open_door(directory, *words, environ=environ)
    door.gather()
    return [(each.name, each.value) for each in door.reading.given]


def read(directory: Path, *words: str, environ: Mapping[str, str] | None = None) -> Config:
    """Give the configuration that `hostler uwsgi WORDS` serves with; an application and a socket are named for it."""
    return open_door(directory, *APP, *words, environ=environ).read()


def warn(directory: Path, *words: str) -> Sequence[str]:
    """Give the warnings of `hostler uwsgi WORDS`."""
    door = open_door(directory, *APP, *words)
    door.read()
    return door.warnings


def write(directory: Path, text: str, name: str = "app.ini") -> Path:
    """Write a configuration file."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path
