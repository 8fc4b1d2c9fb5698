"""Find Gunicorn's command line in a Procfile, a systemd unit, a Dockerfile or a script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hostler.compat.command import SHELL_DEFAULT, SHELL_VARIABLE, find_words, join_lines
from hostler.compat.gunicorn.source import VARIABLE
from hostler.compat.gunicorn.table import SETTINGS
from hostler.errors import ConfigurationError

# Variables that Hostler reads itself, with the settings that they stand for.
_OWN = {"PORT": "bind", "WEB_CONCURRENCY": "workers"}
_FLAGS = {flag: setting for setting in SETTINGS for flag in setting.flags}


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that was found.

    Attributes:
        words: what stood behind `gunicorn`, without what could not be known.
        arguments: the value of GUNICORN_CMD_ARGS that the file sets; empty for none.
        remarks: what was left out or taken for granted, a sentence each.
        unknown: the settings that were left out, as their values depend on variables.
    """

    words: tuple[str, ...]
    arguments: str
    remarks: tuple[str, ...]
    unknown: frozenset[str]


def find_command(text: str, name: str) -> Command:
    """Find the command line.

    Args:
        text: the file's text.
        name: what to call the file in messages.

    Raises:
        ConfigurationError: there is none.
    """
    words = find_words(text, "gunicorn")
    if words is None:
        raise ConfigurationError(f"{name}: no command line of Gunicorn was found in it")
    remarks: list[str] = []
    unknown: set[str] = set()
    resolved = tuple(_resolve(words, remarks, unknown))
    return Command(resolved, _find_arguments(list(join_lines(text))), tuple(remarks), frozenset(unknown))


def _find_arguments(lines: Sequence[str]) -> str:
    for line in lines:
        match = re.match(rf"(?:ENV|Environment\s*=|export)?\s*[\"']?{VARIABLE}[= ](.*)", line)
        if match:
            return match[1].strip().strip("\"'")
    return ""


def _resolve(words: Sequence[str], remarks: list[str], unknown: set[str]) -> Iterator[str]:
    """Give the words without variables: with their defaults, or else without the flag that needs them."""
    pending = ""
    for word in words:
        text = SHELL_DEFAULT.sub(lambda match: _take_default(match, remarks), word)
        found = SHELL_VARIABLE.search(text)
        if pending and found is None:
            yield pending
        flag = pending or text.partition("=")[0]
        pending = ""
        if found is not None:
            remarks.append(_describe_variable(found[1], flag))
            unknown.update({_FLAGS[flag].name} if flag in _FLAGS else ())
        elif text in _FLAGS and _FLAGS[text].constant is None:
            pending = text
        else:
            yield text
    if pending:
        yield pending


def _take_default(match: re.Match[str], remarks: list[str]) -> str:
    remarks.append(f"{match[0]} is taken to be {match[2]}")
    return match[2]


def _describe_variable(variable: str, flag: str) -> str:
    setting = _FLAGS.get(flag)
    if setting is not None and _OWN.get(variable) == setting.name:
        return f"{flag} is left out: Hostler reads {variable} itself where {setting.options[0]} is not set"
    target = f"; set {setting.options[0]} yourself" if setting is not None and setting.options else ""
    return f"{flag} is left out, as it depends on ${variable}{target}"
