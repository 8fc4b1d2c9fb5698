"""The environment variables of this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager


def environment() -> dict[str, str]:
    """Return a copy of the environment as it is now."""
    return dict(os.environ)


def set_variables(variables: Mapping[str, str]) -> None:
    """Set variables for this process and what it starts. Only for children: the supervisor's own never change."""
    os.environ.update(variables)


@contextmanager
def variables_set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for as long as the context lasts, then put back what was there."""
    former = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def remove_variables(names: Iterable[str]) -> None:
    """Remove variables, where they are set."""
    for name in names:
        os.environ.pop(name, None)


def temporary_directory() -> str:
    """Return where temporary files belong: `TMPDIR` if it is set, else `/tmp` (POSIX Base Definitions 8.3)."""
    return os.environ.get("TMPDIR") or "/tmp"
