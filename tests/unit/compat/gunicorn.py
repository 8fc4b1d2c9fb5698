"""Reads Gunicorn's configuration for tests as the door does, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hostler.compat.gunicorn.door import Door
from hostler.config import Config, Surroundings


def open_door(directory: Path, *words: str, environ: Mapping[str, str] | None = None) -> Door:
    """Make the door of `hostler gunicorn WORDS`, started in `directory`."""
    return Door(words, environ or {}, directory, Surroundings(), 1)


def read(directory: Path, *words: str, environ: Mapping[str, str] | None = None) -> Config:
    """Give the configuration that `hostler gunicorn WORDS` serves with."""
    return open_door(directory, *words, environ=environ).read()


def warn(directory: Path, *words: str, environ: Mapping[str, str] | None = None) -> Sequence[str]:
    """Give the warnings of `hostler gunicorn WORDS`."""
    door = open_door(directory, *words, environ=environ)
    door.read()
    return door.warnings


def write(directory: Path, text: str, name: str = "gunicorn.conf.py") -> Path:
    """Write a configuration file."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path
