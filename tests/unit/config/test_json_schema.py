"""The JSON Schema: valid itself, made from every declaration, and of one mind with what reads the file."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.config import Sources, load_config
from hostler.config.document import load_document
from hostler.config.json_schema import _build_value, build_schema
from hostler.config.kind import Boolean, Duration, Integer, Kind, Location, Octal, Size, Table, Text, TextList
from hostler.config.option import Option
from hostler.config.schema import SECTIONS, list_options
from hostler.config.source import read_document
from hostler.errors import ConfigurationError

REPOSITORY = Path(__file__).resolve().parents[3]
VALIDATOR = jsonschema.Draft202012Validator(build_schema())
OPTIONS = pytest.mark.parametrize("declared", list_options(), ids=lambda found: found.path)
FILES = sorted(REPOSITORY.glob("examples/*/hostler.toml"))
GUIDE = (REPOSITORY / "docs" / "guides" / "configuration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(toml|json|yaml|ini)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def describe(declared: Option) -> dict[str, Any]:
    schema: dict[str, Any] = build_schema()["$defs"][declared.section]["properties"][declared.name]
    return schema


def is_valid(declared: Option, value: object) -> bool:
    document = {declared.section: {declared.name: value}}
    overlay = {"env": {"live": document}}
    verdict = bool(VALIDATOR.is_valid(document))
    assert verdict == VALIDATOR.is_valid(overlay)
    return verdict


def is_taken(kind: Kind, value: object) -> bool:
    try:
        kind.convert(value)
    except ValueError:
        return False
    return True


def test_schema_is_valid_by_its_own_dialect() -> None:
    jsonschema.Draft202012Validator.check_schema(build_schema())
    assert json.loads(json.dumps(build_schema())) == build_schema()


@OPTIONS
def test_option_stands_in_the_schema_with_all_that_is_declared(declared: Option) -> None:
    schema = describe(declared)
    assert schema["description"] == declared.doc
    assert schema.get("x-unit", "") == declared.unit
    assert is_valid(declared, schema["default"])
    assert declared.kind.convert(schema["default"]) == declared.default
    assert not is_valid(declared, None)


def test_schema_has_the_declared_sections_and_no_others() -> None:
    assert list(build_schema()["properties"]) == ["$schema", *SECTIONS, "env"]
    assert not VALIDATOR.is_valid({"wrokers": {}})
    assert not VALIDATOR.is_valid({"workers": {"cuont": 1}})
    assert not VALIDATOR.is_valid({"env": {"live": {"workers": {"cuont": 1}}}})
    assert not VALIDATOR.is_valid({"env": {"live": {"env": {}}}})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_example_is_valid(path: Path) -> None:
    VALIDATOR.validate(tomllib.loads(path.read_text(encoding="utf-8")))


def test_there_are_examples() -> None:
    assert FILES


@pytest.mark.parametrize("number, suffix, text", [(number, *found) for number, found in enumerate(BLOCKS)])
def test_files_in_the_guide_are_valid(tmp_path: Path, number: int, suffix: str, text: str) -> None:
    path = tmp_path / f"hostler.{suffix}"
    path.write_text(text, encoding="utf-8")
    document = load_document(path, path.name)
    problems: list[str] = []
    read_document(document, problems)
    assert problems == []
    if not document.syntax.is_text:
        VALIDATOR.validate(document.tables)


def test_guide_shows_every_syntax() -> None:
    assert {suffix for suffix, _ in BLOCKS} == {"toml", "yaml", "json", "ini"}


VALUES: list[tuple[Kind, list[object]]] = [
    (Duration(), ["30s", "500ms", " 2 m ", "1.5h", 0, 1.5, "1w", "s", "1e3", "-1s", True, -1, [], {}]),
    (Size(), ["64KiB", "10mb", "1.5GiB", "7 B", 8190, "1iB", "1TB", -1, True, []]),
    (Octal(), ["027", "0o27", "", 0o27, "8", "77777", 0o1000, -1]),
    (Boolean(), [True, False, "true", 1]),
    (Integer(minimum=1, auto=True), [1, "auto", 0, "1", 2**31, True]),
    (Text(choices=("a", "b")), ["a", "c", 1]),
    (Text(), ["x y", "", "a\nb", 5, {}]),
    (Location(), ["a/b", "", 3]),
    (Location(optional=True), ["", "a"]),
    (TextList(filled=True), ["a", ["a", "b"], [], "", [""], [1], ["a\n"]]),
    (Table(), [{}, {"A": "1", "B": 2, "C": True}, {"": "1"}, {"A=": "1"}, {"A": []}, [], "A=1"]),
]


@pytest.mark.parametrize("kind, value", [(kind, value) for kind, values in VALUES for value in values])
def test_schema_and_reader_are_of_one_mind(kind: Kind, value: object) -> None:
    schema = {**_build_value(kind), "$defs": build_schema()["$defs"]}
    assert jsonschema.Draft202012Validator(schema).is_valid(value) == is_taken(kind, value)


@given(st.text(max_size=12))
@pytest.mark.parametrize("kind", [Duration(), Size(), Octal()], ids=lambda kind: kind.name)
def test_what_is_read_is_valid_whatever_the_text(kind: Kind, text: str) -> None:
    if is_taken(kind, text):
        jsonschema.Draft202012Validator(_build_value(kind)).validate(text)


def test_references_are_valid_where_they_are_read(tmp_path: Path) -> None:
    right = {
        "log": {"level": {"env": "X"}},
        "app": {"env": {"A": {"file": "x"}}},
        "server": {"pid_file": {"file": "y"}},
    }
    VALIDATOR.validate(right)
    wrongs: list[dict[str, Any]] = [
        {"log": {"level": {"env": "X", "file": "y"}}},
        {"log": {"level": {}}},
        {"log": {"level": {"env": ""}}},
        {"workers": {"count": {"env": "X"}}},
        {"app": {"env": {"A": {"path": "x"}}}},
    ]
    for wrong in wrongs:
        assert not VALIDATOR.is_valid(wrong)
        (tmp_path / "hostler.json").write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(ConfigurationError):
            load_config(Sources(tmp_path, environ={"X": "info"}))
