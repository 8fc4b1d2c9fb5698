"""`hostler version`: the versions that a report of a defect needs."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import hostler
from hostler.errors import ConfigurationError


def execute(arguments: Sequence[str]) -> int:
    """Print the versions of Hostler, of its engine and of Python."""
    if arguments:
        raise ConfigurationError(f'unexpected argument "{arguments[0]}"; "hostler version" takes none')
    print(f"hostler {hostler.__version__} (engine {describe_engine()}; {describe_python()})")
    return 0


def describe_engine() -> str:
    """Give the engine's version, or say that it is not built."""
    try:
        from hostler.engine import version  # may not be built
    except ImportError:
        return "not built"
    return version


def describe_python() -> str:
    """Give the interpreter and the system: "CPython 3.11.7, Linux x86_64"."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.system()} {platform.machine()}"
