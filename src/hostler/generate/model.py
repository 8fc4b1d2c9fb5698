"""What generators are given and what they give: a project's facts, a generated file. Frozen values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hostler.config import Config
from hostler.config.document import FILE_NAMES


@dataclass(frozen=True, slots=True)
class File:
    """A generated file.

    Attributes:
        name: its name within the directory that it goes to.
        text: its content.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Project:
    """All that generators know of an application and of how Hostler is told to serve it.

    Attributes:
        config: the effective configuration.
        name: a short name: lower-case letters, digits and hyphens, first a letter.
        directory: where Hostler is started, absolute.
        program: the path of `hostler`.
        file: what to pass as `--config`; empty when the file is found by itself, or there is none.
        file_name: what to call the file: its name, or that which it would have.
        environment: the overlay that was chosen; empty for none.
        target: the application to name on the command line; empty when the file names it.
        settings: options that the file does not hold, because a flag or a variable gave them: texts by option path.
        secrets: names of variables that must be given at the start: those of `app.require`, and those of `app.env`
            that came from a flag or a variable and look like secrets; their values are nowhere in here.
        exposed: names of variables in `app.env` that stand in the file, and look like secrets.
        interface: how the application is called, where that is known without loading it.
        overlays: the overlays of the file.
        files: names of files in the directory that say how dependencies are installed.
        requires_hostler: whether these files name Hostler themselves.
        python: the interpreter's version, such as "3.11".
        version: Hostler's version.
    """

    config: Config
    name: str
    directory: Path
    program: str = "hostler"
    file: str = ""
    file_name: str = FILE_NAMES[0]
    environment: str = ""
    target: str = ""
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    interface: Literal["wsgi", "asgi", ""] = ""
    overlays: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    requires_hostler: bool = False
    python: str = "3.11"
    version: str = ""

    @property
    def may_upgrade(self) -> bool:
        """Whether a request may ask for WebSocket: all but what is known to be WSGI and nothing else."""
        return self.interface != "wsgi" or bool(self.config.app.mounts)
