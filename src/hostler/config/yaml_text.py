"""YAML, read by PyYAML where it is installed, by the rules of YAML 1.2 on what is no text.

PyYAML follows YAML 1.1, in which `on` is a boolean (and no value of `app.lifespan`), `027` and `1:30` are numbers, and
a date is no text. Here, as in the core schema of YAML 1.2 (10.3.2), only `true` and `false` are booleans; a number
with leading zeros is a text, so that a mask means what it does in TOML.
"""

from __future__ import annotations

import re
from typing import Any

from hostler.config.line import Path
from hostler.config.syntax import MalformedError, Parsed

_MERGE = "tag:yaml.org,2002:merge"
# By first character, as PyYAML wants it: a tag, and the texts that have it.
_PLAIN = (
    ("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+"), "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?"),
        "-+0123456789",
    ),
    (_MERGE, re.compile(r"<<"), "<"),
)


def parse_yaml(text: str) -> Parsed:
    """Take a YAML text apart.

    Raises:
        MalformedError: it is none, holds no mapping, names something twice, or PyYAML is not installed.
    """
    try:
        import yaml  # optional
    except ImportError as error:
        reason = "reading it needs PyYAML: install hostler[yaml], or write the file as TOML, JSON or INI"
        raise MalformedError(reason) from error
    try:
        loader = yaml.SafeLoader(text)
        loader.yaml_implicit_resolvers = _index_resolvers()
        node = loader.get_single_node()
        if node is None:
            return Parsed({}, {})
        lines: dict[Path, int] = {}
        _locate_keys(node, (), lines)
        tables = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "it cannot be read"
        where = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise MalformedError(reason, *where) from None  # it quotes the text, which may hold secrets
    except yaml.YAMLError as error:
        raise MalformedError(getattr(error, "reason", "it cannot be read")) from None
    if not isinstance(tables, dict):
        raise MalformedError("the whole must be a mapping that holds sections", node.start_mark.line + 1)
    return Parsed(tables, lines)


def _index_resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    index: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, firsts in _PLAIN:
        whole = re.compile(rf"(?:{pattern.pattern})\Z")
        for first in firsts:
            index.setdefault(first, []).append((tag, whole))
    return index


def _locate_keys(node: Any, path: Path, lines: dict[Path, int]) -> None:  # noqa: ANN401 - PyYAML ships no types
    """Find the line of each key; those merged in with `<<` have none of their own.

    Everything is walked through, so that what holds itself is met here, as a RecursionError.
    """
    if node.id == "scalar":
        _refuse_surrogates(node)
    if node.id == "sequence":
        for item in node.value:
            _locate_keys(item, (*path, "[]"), {})
    if node.id != "mapping":
        return
    for key, value in node.value:
        if key.tag == _MERGE:
            continue
        line = key.start_mark.line + 1
        if key.tag != "tag:yaml.org,2002:str":
            raise MalformedError("a key must be a text; put it in quotes", line, key.start_mark.column + 1)
        found = (*path, key.value)
        if found in lines:
            raise MalformedError(f"{'.'.join(found)} stands in line {lines[found]}, too", line)
        lines[found] = line
        _locate_keys(value, found, lines)


def _refuse_surrogates(node: Any) -> None:  # noqa: ANN401 - PyYAML ships no types
    """Refuse halves of characters, which escapes can spell and nothing can encode."""
    if any("\ud800" <= char <= "\udfff" for char in node.value):
        mark = node.start_mark
        raise MalformedError("a text has half of a surrogate pair", mark.line + 1, mark.column + 1)
