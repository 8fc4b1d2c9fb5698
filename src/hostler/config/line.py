"""Where in a TOML text each key stands, which the standard library's parser does not tell.

The scanner runs over text that `tomllib` has already accepted, so that it only has to follow structure, not to judge
it: table headers, dotted and quoted keys, strings of all four kinds, arrays, comments. Its one limit: keys inside an
inline table (`workers = { count = 4 }`) and inside arrays of tables are given the line of the nearest key around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

Path = tuple[str, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LITERAL = re.compile(r"'([^'\n]*)'")
_BASIC = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
# One piece of a value: a string of any kind, a comment, a bracket, or anything else that is not the end of the line.
_PIECE = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|'
    r"'''.*?'{3,5}(?!')|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|"
    r"#[^\n]*|"
    r"[\[\]{}\n]|"
    r"[^\[\]{}\n\"'#]+",
    re.DOTALL,
)


def locate_keys(text: str) -> Mapping[Path, int]:
    """Map the path of each table and key of a valid TOML text to its line, counted from 1.

    A table that is only implied (`[a.b]` implies `a`) has the line of the first header or key that implies it.
    """
    lines: dict[Path, int] = {}
    for path, offset in _walk(text):
        line = text.count("\n", 0, offset) + 1
        for depth in range(1, len(path) + 1):
            lines.setdefault(path[:depth], line)
    return lines


def find_line(lines: Mapping[Path, int], path: Path) -> int:
    """Give the line of `path`, or of the nearest table around it that has one; 1 when none has."""
    for depth in range(len(path), 0, -1):
        if path[:depth] in lines:
            return lines[path[:depth]]
    return 1


def _walk(text: str) -> Iterator[tuple[Path, int]]:
    """Yield each header and each key with the offset it begins at."""
    table: Path = ()
    position = _skip(_BLANK, text, 0)
    while position < len(text):
        start = position
        if text[position] == "[":
            brackets = 2 if text.startswith("[[", position) else 1
            table, position = _read_key(text, position + brackets)
            yield table, start
            position += brackets
        else:
            key, position = _read_key(text, position)
            yield table + key, start
            position = _skip_value(text, position + 1)
        position = _skip(_BLANK, text, position)


def _read_key(text: str, position: int) -> tuple[Path, int]:
    """Read a dotted key; the position returned is that of the character after it and its blanks."""
    parts: list[str] = []
    while True:
        position = _skip(_SPACE, text, position)
        match = _BARE.match(text, position) or _LITERAL.match(text, position) or _BASIC.match(text, position)
        if match is None:  # not reached on valid TOML; never loop on anything else
            return tuple(parts), len(text)
        parts.append(_unescape(match))
        position = _skip(_SPACE, text, match.end())
        if not text.startswith(".", position):
            return tuple(parts), position
        position += 1


def _unescape(match: re.Match[str]) -> str:
    if match.re is _BARE:
        return match[0]
    if match.re is _LITERAL or "\\" not in match[1]:
        return match[1]
    return re.sub(
        r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))",
        lambda found: chr(int(found[1] or found[2], 16)) if found[3] is None else _ESCAPES.get(found[3], found[3]),
        match[1],
    )


_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def _skip_value(text: str, position: int) -> int:
    """Give the position of the line end, outside brackets and strings, that ends a value."""
    depth = 0
    while match := _PIECE.match(text, position):
        position = match.end()
        piece = match[0]
        if piece in "[{":
            depth += 1
        elif piece in "]}":
            depth -= 1
        elif piece == "\n" and depth <= 0:
            return position
    return len(text)


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
