"""The table of uWSGI's options is complete, holds together, and the guide shows it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hostler.compat.document import renew_table
from hostler.compat.uwsgi.document import write_help, write_table
from hostler.compat.uwsgi.option import Fate, Option, Takes
from hostler.compat.uwsgi.table import AREAS, index_letters, index_options, list_options
from hostler.config import schema

GUIDE = Path(__file__).resolve().parents[3] / "docs/guides/coming-from-uwsgi.md"
# Every name in the option tables of uWSGI 2.0.30 and of its plugins.
NAMES = (Path(__file__).parent / "uwsgi_options.txt").read_text(encoding="ascii").split()


def test_every_option_of_uwsgi_is_there_once() -> None:
    count = Counter(name for option in list_options() for name in option.names)
    assert [name for name, times in count.items() if times > 1] == []
    assert sorted(count) == NAMES
    assert len(NAMES) == 1261


def test_letters_are_those_of_uwsgi() -> None:
    letters = Counter(option.short for option in list_options() if option.short)
    assert [letter for letter, count in letters.items() if count > 1] == []
    assert "".join(sorted(letters)) == "ACHJLMOQRSTabcdhijlmprstvwxyz"
    assert index_letters()["p"] == "processes"


@pytest.mark.parametrize("option", list_options(), ids=lambda option: str(option.name))
def test_option_says_what_becomes_of_it(option: Option) -> None:
    assert set(option.options) <= set(schema.index_options())
    assert bool(option.options) == (option.fate is Fate.MAPPED)
    assert option.rule is not None or option.fate is not Fate.MAPPED
    assert option.say or option.fate in (Fate.MAPPED, Fate.DOOR, Fate.SILENT)


def test_arguments_are_told_apart() -> None:
    takes = {name: index_options()[name].names[name] for name in ("socket", "master", "need-app", "endif")}
    assert takes == {
        "socket": Takes.VALUE,
        "master": Takes.NOTHING,
        "need-app": Takes.MAYBE,
        "endif": Takes.MAYBE,
    }


def test_guide_shows_the_tables() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert renew_table(text, write_table()) == text, "out of date: run python -m hostler.cli.reference"


def test_help_lists_every_option() -> None:
    text = write_help()
    assert [name for name in NAMES if f"--{name}" not in text] == []
    assert all(f"{area}:" in text for area in AREAS)
