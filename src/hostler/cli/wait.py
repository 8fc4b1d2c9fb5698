"""How long a command waits for a server."""

from __future__ import annotations

from hostler.config.kind import parse_duration
from hostler.errors import ConfigurationError


def read_timeout(text: str | None) -> float | None:
    """Read `--timeout`; None to wait for as long as the server lives.

    Raises:
        ConfigurationError: it is no duration.
    """
    return None if text is None else read_duration("--timeout", text)


def read_duration(flag: str, text: str) -> float:
    """Read a duration such as "30s" from a flag.

    Raises:
        ConfigurationError: it is none, or nothing.
    """
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise ConfigurationError(f'{flag} is "{text}"; it must be a duration such as 30s, 500ms or 2m')
    return seconds


def read_count(flag: str, text: str, *, least: int, most: int) -> int:
    """Read a number from a flag.

    Raises:
        ConfigurationError: it is none, or out of bounds.
    """
    if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        raise ConfigurationError(f'{flag} is "{text}"; it must be a number from {least} to {most}')
    return int(text)
