"""What a setting of another server comes to: options of Hostler, and notes for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Give:
    """A setting becomes an option of Hostler.

    Attributes:
        path: the option, such as "workers.count".
        raw: its value, as a configuration file would give it.
    """

    path: str
    raw: object


@dataclass(frozen=True, slots=True)
class Note:
    """Something that people should know of what became of a setting: one sentence without its name."""

    text: str


Effect = Give | Note
