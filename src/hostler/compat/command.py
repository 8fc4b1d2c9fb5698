"""Find a server's command line in a Procfile, a systemd unit, a Dockerfile or a script."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePath

# What a command in a shell ends at.
_ENDS = ";|&<>"
# Words before the program's name that make it something else than the program that is started.
_NO_START = frozenset({"install", "which", "-u", "-g"})
SHELL_DEFAULT = re.compile(r"\$\{(\w+):?-([^}]*)\}")
SHELL_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def find_words(text: str, program: str) -> list[str] | None:
    """Find the words of a program's command line, without its name; None if it is not started there."""
    lines = list(join_lines(text))
    words = next((found for line in lines if (found := _cut(_split(line), program)) is not None), None)
    if words is not None and not words and any(line.startswith("ENTRYPOINT") for line in lines):
        # `ENTRYPOINT ["gunicorn"]` takes its arguments from CMD.
        return next((_split(line) for line in lines if line.startswith("CMD")), [])
    return words


def join_lines(text: str) -> Iterator[str]:
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


def _cut(words: Sequence[str], program: str) -> list[str] | None:
    """Give what stands behind a program's name, up to the end of that command; None if it is not called."""
    for place, word in enumerate(words):
        if PurePath(word).name == program and not (place and words[place - 1] in _NO_START):
            rest = list(words[place + 1 :])
            end = next((at for at, each in enumerate(rest) if each and not each.strip(_ENDS)), len(rest))
            return rest[:end]
    return None
