"""Find Gunicorn's command line in a Procfile, a systemd unit, a Dockerfile or a script."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from hostler.compat.gunicorn.source import VARIABLE
from hostler.compat.gunicorn.table import SETTINGS
from hostler.errors import ConfigurationError

# What a command in a shell ends at.
_ENDS = ";|&<>"
_DEFAULTED = re.compile(r"\$\{(\w+):?-([^}]*)\}")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
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
    lines = list(_join_lines(text))
    words = next((found for line in lines if (found := _cut(_split(line))) is not None), None)
    if words is None:
        raise ConfigurationError(f"{name}: no command line of Gunicorn was found in it")
    if not words and any(line.startswith("ENTRYPOINT") for line in lines):
        # `ENTRYPOINT ["gunicorn"]` takes its arguments from CMD.
        words = next((_split(line) for line in lines if line.startswith("CMD")), [])
    remarks: list[str] = []
    unknown: set[str] = set()
    resolved = tuple(_resolve(words, remarks, unknown))
    return Command(resolved, _find_arguments(lines), tuple(remarks), frozenset(unknown))


def _join_lines(text: str) -> Iterator[str]:
    """Join lines that end in a backslash; leave out comments."""
    joined = re.sub(r"\\\r?\n\s*(?:#[^\n]*\n\s*)*", " ", text)
    return (line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";")))


def _split(line: str) -> list[str]:
    """Split a line into the words of its command; one that cannot be split has none."""
    line = re.sub(r"^(?:ExecStart\s*=\s*[-@:+!]*|CMD\s+|ENTRYPOINT\s+|[\w-]+:\s+)", "", line)
    if line.startswith("["):
        try:
            items = json.loads(line)
        except ValueError:
            return []
        words = [str(item) for item in items] if isinstance(items, list) else []
        return _split(words[2]) if words[:2] in (["sh", "-c"], ["/bin/sh", "-c"], ["bash", "-c"]) else words
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=_ENDS)
        lexer.whitespace_split, lexer.commenters = True, ""
        return list(lexer)
    except ValueError:
        return []


def _cut(words: Sequence[str]) -> list[str] | None:
    """Give what stands behind `gunicorn`, up to the end of that command; None if it is not called."""
    for place, word in enumerate(words):
        if PurePath(word).name == "gunicorn" and not (place and words[place - 1] in {"install", "which", "-u", "-g"}):
            rest = list(words[place + 1 :])
            end = next((at for at, each in enumerate(rest) if each and not each.strip(_ENDS)), len(rest))
            return rest[:end]
    return None


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
        text = _DEFAULTED.sub(lambda match: _take_default(match, remarks), word)
        found = _VARIABLE.search(text)
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
