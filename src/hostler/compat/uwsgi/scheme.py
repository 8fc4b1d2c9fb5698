"""What uWSGI reads by name: files, standard input, descriptors. Other schemes are refused, each with its reason."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hostler.errors import ConfigurationError

_REFUSED = {
    "http": "a configuration from the network is not read; fetch it to a file first",
    "https": "a configuration from the network is not read; fetch it to a file first",
    "exec": "no program is run for a value; run it before, and give its output as a file or variable",
    "call": "it names a function in uWSGI's own binary",
    "callint": "it names a function in uWSGI's own binary",
    "sym": "it names data in uWSGI's own binary",
    "section": "it names data in uWSGI's own binary",
    "data": "it names data in uWSGI's own binary",
    "emperor": "it is read from uWSGI's Emperor; name the vassal's file",
}


def read_text(name: str, directory: Path, where: str) -> str:
    """Read what a name stands for.

    Args:
        name: a path, "-" for standard input, or `fd://N`.
        directory: what paths are relative to.
        where: who asks, for messages.

    Raises:
        ConfigurationError: it cannot be read, or must not be.
    """
    scheme, separator, rest = name.partition("://")
    if separator and scheme in _REFUSED:
        raise ConfigurationError(f"{where}: {name} cannot be: {_REFUSED[scheme]}")
    try:
        if name == "-":
            return sys.stdin.buffer.read().decode()
        if separator and scheme == "fd":
            with os.fdopen(int(rest), "rb") as stream:
                return stream.read().decode()
        return (directory / name).read_bytes().decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{where}: {name} cannot be read: {reason}") from None
