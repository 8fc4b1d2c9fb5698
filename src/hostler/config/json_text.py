"""JSON (RFC 8259), read by the standard library; the lines of keys are found by a scanner of our own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from hostler.config.line import Path
from hostler.config.syntax import MalformedError, Parsed

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def parse_json(text: str) -> Parsed:
    """Take a JSON text apart.

    Raises:
        MalformedError: it is none, is no object, or names something twice (RFC 8259 4: names should be unique).
    """
    try:
        tables = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise MalformedError(error.msg, error.lineno, error.colno) from error
    if not isinstance(tables, dict):
        raise MalformedError("the whole must be an object that holds sections", 1)
    try:
        json.dumps(tables, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        # RFC 8259 8.2: escapes can spell halves of characters, which nothing can encode.
        raise MalformedError("a text has half of a surrogate pair") from error
    return Parsed(tables, _locate_keys(text))


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is no number of JSON")


def _locate_keys(text: str) -> Mapping[Path, int]:
    """Find the line of each key of a valid text; keys of objects inside arrays are left out."""
    lines: dict[Path, int] = {}
    # Around the token: the path of each object; None for an array and for what is inside one.
    around: list[Path | None] = []
    path: Path | None = ()
    expects_key = False
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece in "{[":
            around.append(path if piece == "{" else None)
            path, expects_key = around[-1], piece == "{"
        elif piece in "}]":
            around.pop()
            expects_key = False
        elif piece == ",":
            path = around[-1]
            expects_key = path is not None
        elif expects_key and path is not None:
            path = (*path, json.loads(piece))
            expects_key = False
            line = text.count("\n", 0, match.start()) + 1
            if path in lines:
                raise MalformedError(f"{'.'.join(path)} stands in line {lines[path]}, too", line)
            lines[path] = line
    return lines
