"""Whatever stands in a file of uWSGI's, it is read or refused in words, within bounds."""

from __future__ import annotations

import contextlib
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.compat.uwsgi.placeholder import LARGEST_VALUE, compute, replace_all
from hostler.compat.uwsgi.syntax import FORMATS, SECTIONS
from hostler.compat.uwsgi.table import index_options
from hostler.errors import ConfigurationError
from tests.unit.compat.uwsgi import APP, open_door, write

# Pieces that mean something somewhere, so that random texts get anywhere.
PIECES = (
    "[uwsgi]\n", "uwsgi:\n", "  a: b\n", "  - c\n", '{"uwsgi": {', '"a": ["b", 1, true, null, 1.5],', "}}",
    "<uwsgi>", "</uwsgi>", "<a>", "</a>", "<app mountpoint='/x'>y:z</app>", "%(", "$(", "@(", ")", "%", "=", "\n",
    " ", "for = a b\n", "endfor =\n", "if-env = X\n", "endif =\n", "x = %(_)\n", "inherit = app.ini\n", "'", '"',
    "#", ";", "&amp;", "&x;", "\x00", "é",
)  # fmt: skip
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=25).map("".join)
NAMES = st.sampled_from(sorted(index_options()))
VALUES = st.one_of(
    st.text(string.printable, max_size=20),
    st.sampled_from(
        ["1", "-1", "true", "no", "/a=b:c", "=0", ":80", "A=b", "file:/x", "exec:x", "99999999999999999999"]
    ),
)


@pytest.fixture(scope="module", name="directory")
def fixture_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("ending", sorted(FORMATS))
@given(text=TEXTS)
@settings(max_examples=60)
def test_text_is_read_or_refused(ending: str, text: str) -> None:
    parse = FORMATS[ending]
    with contextlib.suppress(ConfigurationError):
        for line in parse(text, SECTIONS[parse], "file"):
            assert isinstance(line.key, str)
            assert isinstance(line.value, str)


@given(text=TEXTS, environ=st.dictionaries(st.sampled_from(["X", "Y"]), st.text(max_size=3)))
@settings(max_examples=100)
def test_file_is_read_or_refused(directory: Path, text: str, environ: dict[str, str]) -> None:
    write(directory, text.encode("utf-8", "ignore").decode())
    with contextlib.suppress(ConfigurationError):
        open_door(directory, "--ini", "app.ini", environ=environ).gather()


@given(
    value=st.text("$()aA ", max_size=30),
    table=st.dictionaries(st.text("aA$() ", max_size=4), st.text("$()a", max_size=6)),
)
def test_replacing_comes_to_an_end(value: str, table: dict[str, str]) -> None:
    with contextlib.suppress(ConfigurationError):
        assert len(replace_all(value, "$", table.get, "here")) <= LARGEST_VALUE


@given(text=st.text("a1 +-*/", max_size=20))
def test_computing_gives_a_text_or_nothing(text: str) -> None:
    result = compute(text, {"a": "7"}.get)
    assert result is None or isinstance(result, str)


@given(words=st.lists(st.tuples(NAMES, VALUES), max_size=6))
@settings(max_examples=150)
def test_every_option_takes_or_refuses_every_value(directory: Path, words: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name} = {' '.join(value.split())}\n" for name, value in words)
    write(directory, f"[uwsgi]\n{lines}".replace("%", "%%"))
    with contextlib.suppress(ConfigurationError):
        open_door(directory, *APP, "app.ini").read()
