"""Find uWSGI's command line in a Procfile, a systemd unit, a Dockerfile or a script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hostler.compat.command import SHELL_DEFAULT, SHELL_VARIABLE, find_words
from hostler.compat.uwsgi.option import Takes
from hostler.compat.uwsgi.table import index_letters, index_options

# The programs that distributions have beside `uwsgi`.
PROGRAMS = ("uwsgi", "uwsgi-core", "pyuwsgi")


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that was found.

    Attributes:
        words: what stood behind the program's name, without what could not be known.
        remarks: what was left out or taken for granted, a sentence each.
    """

    words: tuple[str, ...]
    remarks: tuple[str, ...]


def find_command(text: str) -> Command | None:
    """Find the command line in a file's text; None if there is none."""
    for program in PROGRAMS:
        words = find_words(text, program)
        if words is not None:
            remarks: list[str] = []
            return Command(tuple(_resolve(words, remarks)), tuple(remarks))
    return None


def _resolve(words: Sequence[str], remarks: list[str]) -> Iterator[str]:
    """Give the words without the shell's variables: with their defaults, or without the option that needs them."""
    pending = ""
    for word in words:
        text = SHELL_DEFAULT.sub(lambda match: _take_default(match, remarks), word)
        found = SHELL_VARIABLE.search(text)
        if found is not None:
            shown = pending or text.partition("=")[0]
            remarks.append(f"{shown} is left out, as it depends on ${found[1]}")
        elif pending:
            yield pending
            yield text
        elif _takes_value(text):
            pending = text
            continue
        else:
            yield text
        pending = ""
    if pending:
        yield pending


def _takes_value(word: str) -> bool:
    """Tell whether the next word is the value of an option."""
    name = word[2:] if word.startswith("--") else index_letters().get(word[1:], "") if word.startswith("-") else ""
    option = index_options().get(name)
    return option is not None and option.names[name] is Takes.VALUE


def _take_default(match: re.Match[str], remarks: list[str]) -> str:
    remarks.append(f"{match[0]} is taken to be {match[2]}")
    return match[2]
