"""The environment variables of this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping


def environment() -> dict[str, str]:
    """Return a copy of the environment as it is now."""
    return dict(os.environ)


def set_variables(variables: Mapping[str, str]) -> None:
    """Set variables for this process and what it starts. Only for children: the supervisor's own never change."""
    os.environ.update(variables)


def remove_variables(names: Iterable[str]) -> None:
    """Remove variables, where they are set."""
    for name in names:
        os.environ.pop(name, None)


def temporary_directory() -> str:
    """Return where temporary files belong: `TMPDIR` if it is set, else `/tmp` (POSIX Base Definitions 8.3)."""
    return os.environ.get("TMPDIR") or "/tmp"
