"""Values: durations, sizes, lists, tables, masks."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.config.kind import (
    LARGEST,
    LONGEST,
    Boolean,
    Duration,
    Integer,
    Kind,
    Location,
    Octal,
    Size,
    Table,
    Text,
    TextList,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    quote,
)


def is_refused(read: Callable[[Any], object], raw: object) -> bool:
    try:
        read(raw)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("30s", 30.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
        ("1.5", 1.5),
        ("0", 0.0),
        (" 7 s ", 7),
    ],
)
def test_duration_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 year", "1e3", "inf", "nan", "1,5s", "1s2", "99999d", "٣s"])
def test_duration_that_is_none_is_refused(text: str) -> None:
    assert is_refused(parse_duration, text)


@pytest.mark.parametrize(
    "text, size",
    [("64KiB", 65536), ("10MB", 10_000_000), ("1GiB", 2**30), ("8190", 8190), ("1.5kib", 1536), ("0", 0), ("7 B", 7)],
)
def test_size_is_read_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KiB", "-1", "1.5", "1iB", "1TB", "0.1KiB", "1e6", "99999999999999GiB"])
def test_size_that_is_none_is_refused(text: str) -> None:
    assert is_refused(parse_size, text)


@given(st.integers(0, LARGEST))
def test_size_survives_being_written(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.integers(0, int(LONGEST) * 1000))
def test_duration_of_whole_milliseconds_survives_being_written(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@given(st.text())
def test_duration_of_any_text_is_bounded_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0 <= seconds <= LONGEST


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_quoted_text_is_read_back_by_a_toml_parser(text: str) -> None:
    assert tomllib.loads(f"a = {quote(text)}")["a"] == text


@pytest.mark.parametrize(
    "kind, text, value",
    [
        (Boolean(), "yes", True),
        (Boolean(), "OFF", False),
        (Integer(), "12", 12),
        (Integer(auto=True), "auto", "auto"),
        (Duration(), "250ms", 0.25),
        (Size(), "1MiB", 1048576),
        (Text(), "x y", "x y"),
        (Text(optional=True), "", None),
        (Text(choices=("a", "b")), "b", "b"),
        (Octal(), "027", 0o27),
        (Octal(), "0o660", 0o660),
        (Octal(), "", None),
        (TextList(), "a, b", ("a", "b")),
        (TextList(), "", ()),
        (Table(), "A=1,B=x=y", {"A": "1", "B": "x=y"}),
        (Location(), "a/b", Path("a/b")),
        (Location(optional=True), "", None),
    ],
)
def test_text_becomes_a_value(kind: Kind, text: str, value: object) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    "kind, text",
    [
        (Boolean(), "2"),
        (Integer(), "auto"),
        (Integer(minimum=1), "0"),
        (Integer(maximum=5), "6"),
        (Integer(), "1_0"),
        (Integer(), "0x10"),
        (Duration(minimum=1.0), "999ms"),
        (Size(minimum=1024), "1023"),
        (Text(choices=("a",)), "b"),
        (Text(), "a\nb"),
        (Octal(), "8"),
        (Octal(), "7777"),
        (TextList(filled=True), ""),
        (TextList(), "a,,b"),
        (Table(), "A"),
        (Table(), "=1"),
        (Location(), ""),
    ],
)
def test_wrong_text_is_refused(kind: Kind, text: str) -> None:
    assert is_refused(kind.parse, text)


@pytest.mark.parametrize(
    "kind, raw",
    [
        (Boolean(), 1),
        (Boolean(), "true"),
        (Integer(), True),
        (Integer(), 1.0),
        (Integer(), "4"),
        (Duration(), True),
        (Duration(), float("nan")),
        (Duration(), -1),
        (Size(), 1.5),
        (Size(), False),
        (Text(), 5),
        (Octal(), True),
        (Octal(), 0o1000),
        (TextList(), [1]),
        (TextList(), {}),
        (Table(), []),
        (Table(), {"a": []}),
        (Location(), 3),
    ],
)
def test_wrong_value_of_a_file_is_refused(kind: Kind, raw: object) -> None:
    assert is_refused(kind.convert, raw)


def test_one_text_in_a_file_is_a_list_of_one() -> None:
    assert TextList().convert("a") == ("a",)


def test_table_writes_numbers_and_booleans_as_people_mean_them() -> None:
    assert Table().convert({"DEBUG": True, "N": 3}) == {"DEBUG": "true", "N": "3"}


def test_table_cannot_be_changed() -> None:
    table = Table().convert({"A": "1"})
    assert isinstance(table, Mapping)
    assert not hasattr(table, "__setitem__")


@pytest.mark.parametrize(
    "kind, value",
    [
        (Boolean(), True),
        (Integer(auto=True), "auto"),
        (Integer(), 7),
        (Duration(), 90.0),
        (Size(), 65536),
        (Size(), 8190),
        (Text(optional=True), None),
        (Text(), 'say "hi"'),
        (Octal(), 0o27),
        (TextList(), ("a", "b")),
        (Table(), {"A": "1", "b c": "2"}),
        (Location(), Path("/run/x.pid")),
    ],
)
def test_written_value_is_read_back_from_a_file(kind: Kind, value: object) -> None:
    assert kind.convert(tomllib.loads(f"a = {kind.format(value)}")["a"]) == value


@pytest.mark.parametrize(
    "text, resolved", [("a.log", "/srv/a.log"), ("/a", "/a"), ("-", "-"), ("", ""), ("syslog:", "syslog:")]
)
def test_only_a_text_that_names_a_file_is_made_absolute(text: str, resolved: str) -> None:
    assert Text(path=True).resolve(text, Path("/srv")) == resolved
    assert Text().resolve(text, Path("/srv")) == text
