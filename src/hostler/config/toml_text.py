"""TOML, read by the standard library; the lines of keys are found by a scanner of our own."""

from __future__ import annotations

import re

from hostler.config.line import locate_keys
from hostler.config.syntax import MalformedError, Parsed


def parse_toml(text: str) -> Parsed:
    """Take a TOML text apart.

    Raises:
        MalformedError: it is none.
    """
    import tomllib  # 5 ms that a start without a file need not spend

    try:
        return Parsed(tomllib.loads(text), locate_keys(text))
    except tomllib.TOMLDecodeError as error:
        raise _explain(str(error), text) from error


def _explain(message: str, text: str) -> MalformedError:
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", message, re.DOTALL)
    if match is None:
        return MalformedError(message)
    return MalformedError(match[1], int(match[2]) if match[2] else text.count("\n") + 1)
