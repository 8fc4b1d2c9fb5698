"""The table of Gunicorn's settings holds together, and the guide shows it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hostler.compat.document import renew_table
from hostler.compat.gunicorn.document import write_table
from hostler.compat.gunicorn.setting import Fate, Setting
from hostler.compat.gunicorn.source import build_parser
from hostler.compat.gunicorn.table import SETTINGS, index_settings
from hostler.config.schema import index_options

GUIDE = Path(__file__).resolve().parents[3] / "docs/guides/coming-from-gunicorn.md"


def test_names_and_flags_are_told_once() -> None:
    assert len(index_settings()) == len(SETTINGS) == 120
    flags = Counter(flag for setting in SETTINGS for flag in setting.flags)
    assert [flag for flag, count in flags.items() if count > 1] == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: str(setting.name))
def test_setting_says_what_becomes_of_it(setting: Setting) -> None:
    assert set(setting.options) <= set(index_options())
    assert bool(setting.options) == (setting.fate is Fate.MAPPED)
    assert setting.say or setting.fate in (Fate.MAPPED, Fate.DOOR)
    assert len(setting.options) == 1 or setting.rule is not None or setting.fate is not Fate.MAPPED


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: str(setting.name))
def test_default_is_a_value_of_its_kind(setting: Setting) -> None:
    if setting.default is None:
        return
    if setting.kind.__name__ in ("take_networks", "take_words", "take_protocols"):
        assert isinstance(setting.default, list)
        assert setting.kind(",".join(setting.default)) == setting.default
    else:
        assert setting.kind(setting.default) == setting.default


def test_guide_shows_the_table() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert renew_table(text, write_table()) == text, "out of date: run python -m hostler.cli.reference"


def test_help_lists_every_flag() -> None:
    text = build_parser().format_help()
    assert [flag for setting in SETTINGS for flag in setting.flags if flag not in text] == []
