"""The corpus of raw requests (see README.md): reads the data files and checks their form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("http1")

_KEYS = {"id", "clause", "note", "input", "accept", "refuse", "incomplete"}
_REPEAT = re.compile(r"\\\{(\d+)\*([^}]*)\}")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[rnt\\])")
_LETTERS = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


class CorpusError(Exception):
    """A case is not as README.md describes it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        id: its name, unique over all files.
        clause: what it is derived from.
        input: what the client sends.
        accept: the requests that reach the application; strings with escapes are bytes already.
        refuse: the status of the refusal that follows; 0 for none.
        incomplete: whether the server then waits for more.
    """

    id: str
    clause: str
    input: bytes
    accept: tuple[Mapping[str, Any], ...]
    refuse: int
    incomplete: bool


def load_corpus() -> list[Case]:
    """Read all cases, in the order of the files' names.

    Raises:
        CorpusError: a case has a key that is not known, or nothing is expected of it, or its id is taken.
    """
    cases: dict[str, Case] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for table in tomllib.loads(path.read_text())["case"]:
            case = _build_case(table)
            if case.id in cases:
                raise CorpusError(f"{path.name}: {case.id} is the id of another case")
            cases[case.id] = case
    return list(cases.values())


def unescape(text: str) -> bytes:
    """Turn printable ASCII with escapes into bytes."""
    text = _REPEAT.sub(lambda found: found[2] * int(found[1]), text)
    parts = _ESCAPE.split(text)
    # Plain text and escapes take turns.
    return b"".join(_plain(part) if index % 2 == 0 else _escaped(part) for index, part in enumerate(parts))


def _plain(text: str) -> bytes:
    if "\\" in text:
        raise CorpusError(f"unknown escape in {text!r}")
    return text.encode("ascii")


def _escaped(name: str) -> bytes:
    return bytes.fromhex(name[1:]) if name.startswith("x") else _LETTERS[name]


def _build_case(table: Mapping[str, Any]) -> Case:
    if unknown := table.keys() - _KEYS:
        raise CorpusError(f"{table['id']}: unknown keys {sorted(unknown)}")
    if bool(table.get("refuse")) + bool(table.get("incomplete")) + bool(table.get("accept")) == 0:
        raise CorpusError(f"{table['id']}: nothing is expected")
    given = table["input"]
    return Case(
        id=table["id"],
        clause=table["clause"],
        input=unescape(given) if isinstance(given, str) else b"".join(map(unescape, given)),
        accept=tuple(_build_expectation(request) for request in table.get("accept", ())),
        refuse=table.get("refuse", 0),
        incomplete=table.get("incomplete", False),
    )


def _build_expectation(table: Mapping[str, Any]) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, str):
            built[key] = value if key == "version" else unescape(value)
        elif isinstance(value, dict):
            built[key] = {name: unescape(text) for name, text in value.items()}
        else:
            built[key] = value
    return built
