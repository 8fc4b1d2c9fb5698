"""`hostler gunicorn`: what is watched with `reload`, and how settings are printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.cli.gunicorn import list_extra_files, write_settings
from hostler.compat.gunicorn.source import Sources


def test_extra_files_are_watched_by_name_and_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("gunicorn.conf.py", "rates.csv", "a.tpl", "b.tpl", "c.txt"):
        (tmp_path / name).touch()
    words = ["--reload-extra-file", "rates.csv", "--reload-extra-file", "*.tpl", "--reload-extra-file", "none", "app"]
    found = list_extra_files(Sources(words, {}, tmp_path).read())
    assert sorted(path.name for path in found) == ["a.tpl", "b.tpl", "gunicorn.conf.py", "rates.csv"]


def test_settings_are_printed_in_one_column(tmp_path: Path) -> None:
    lines = write_settings(Sources(["-w", "3", "app"], {}, tmp_path).read())
    assert len({line.index(" = ") for line in lines}) == 1
    assert lines == sorted(lines)
    assert any(line.startswith("workers ") and line.endswith(" = 3") for line in lines)
