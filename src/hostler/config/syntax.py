"""What a parser of a configuration file's syntax gives, and how it refuses a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hostler.config.line import Path


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text taken apart.

    Attributes:
        tables: what it holds.
        lines: where each key stands, counted from 1.
    """

    tables: Mapping[str, object]
    lines: Mapping[Path, int]


class MalformedError(Exception):
    """A text does not follow its syntax. It never quotes the text, which may hold secrets.

    Args:
        reason: what is wrong.
        line: where, from 1; 0 when that is not known.
        column: where in the line, from 1; 0 when that is not known.
    """

    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column
