"""INI: sections, and values that are texts, to be read as those of environment variables are.

A dialect of few rules, because every program reads INI in its own way: `[section]`, `[env.NAME.section]`,
`name = value` on one line, and comments on lines of their own that begin with `#` or `;`. Values have no quotes.
"""

from __future__ import annotations

import re
from typing import Any

from hostler.config.line import Path
from hostler.config.syntax import MalformedError, Parsed

_HEADER = re.compile(r"\[\s*([^\[\]]+?)\s*\]")
# A quote inside makes it something else, such as a format that begins and ends with a quoted field.
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


def parse_ini(text: str) -> Parsed:
    """Take an INI text apart.

    Raises:
        MalformedError: a line is none of the above, or names something twice.
    """
    tables: dict[str, Any] = {}
    lines: dict[Path, int] = {}
    table, path = tables, Path()
    for number, line in enumerate(map(str.strip, text.split("\n")), start=1):
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            path = _read_header(line, number)
            table = _open_table(tables, lines, path, number)
            continue
        name, value = _read_value(line, number)
        if name in table:
            raise MalformedError(f"{name} stands in line {lines[*path, name]}, too", number)
        table[name] = value
        lines[*path, name] = number
    return Parsed(tables, lines)


def _read_header(line: str, number: int) -> Path:
    match = _HEADER.fullmatch(line)
    path = tuple(part.strip() for part in match[1].split(".")) if match else ()
    if not all(path) or not path:
        raise MalformedError("a section is written [name] or [env.NAME.section]", number)
    return path


def _open_table(tables: dict[str, Any], lines: dict[Path, int], path: Path, number: int) -> dict[str, Any]:
    table = tables
    for depth, part in enumerate(path, start=1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise MalformedError(f"{'.'.join(path)} is an option in line {lines[path[:depth]]}", number)
        lines.setdefault(path[:depth], number)
    return table


def _read_value(line: str, number: int) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals or not name:
        raise MalformedError("the line is no [section], no name = value and no comment", number)
    if _QUOTED.fullmatch(value):
        raise MalformedError(f"the value of {name} has quotes; values of INI files stand without", number)
    return name, value
