"""Which files `hostler dev` watches, and what a change does."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from hostler.cli.watch import (
    FileFilter,
    Snapshot,
    Watcher,
    build_watcher,
    compare_snapshots,
    describe_changes,
    take_snapshot,
    watch_with_library,
)
from hostler.contracts import ChildContext
from hostler.errors import ConfigurationError

ROOT = Path("/srv/site")


@pytest.mark.parametrize(
    "name,is_watched",
    [
        ("app.py", True),
        ("pkg/templates/page.html", True),
        ("page.jinja2", True),
        (".env", True),
        (".env.local", True),
        ("hostler.toml", True),
        ("settings.yaml", True),
        ("data.db", False),
        ("style.css", False),
        ("app.pyc", False),
        ("pkg/__pycache__/x.py", False),
        (".venv/lib/x.py", False),
        ("node_modules/a/x.json", False),
        (".git/config.toml", False),
        ("build/x.py", False),
        ("pkg/scratch.py", False),
        ("notes", True),
    ],
)
def test_only_what_the_application_reads_is_watched(name: str, is_watched: bool) -> None:
    found = FileFilter(ROOT, frozenset({"/srv/site/notes"}), ("build", "scratch.py"))
    assert found(f"/srv/site/{name}") is is_watched


def test_ignored_path_with_a_directory_is_relative_to_the_start() -> None:
    found = FileFilter(ROOT, frozenset(), ("out/*",))
    assert not found("/srv/site/out/x.py")
    assert found("/srv/site/pkg/out/x.py")


def test_root_inside_an_ignored_directory_is_watched_all_the_same() -> None:
    assert FileFilter(Path("/home/me/venv/site"), frozenset())("/home/me/venv/site/app.py")


def test_changes_are_named_briefly() -> None:
    assert describe_changes({"/srv/site/b.py", "/srv/site/a.py"}, ROOT) == "a.py, b.py"
    assert describe_changes({f"/srv/site/{name}.py" for name in "abcde"}, ROOT) == "a.py, b.py, c.py and 2 more"


def test_what_is_to_be_watched_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r'there is no "none" in'):
        build_watcher(tmp_path, ["none"], [], [])


def test_configuration_file_elsewhere_is_watched(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    file = tmp_path / "settings"
    file.touch()
    watcher = build_watcher(tmp_path / "site", ["."], [], [file])
    assert file in watcher.paths
    assert watcher.is_watched(str(file))


def test_each_burst_is_one_signal_to_the_supervisor(tmp_path: Path) -> None:
    def change_twice(
        _paths: Sequence[Path], _is_watched: Callable[[str], bool], _before: Snapshot
    ) -> Iterable[set[str]]:
        yield {str(tmp_path / "a.py"), str(tmp_path / "b.py")}
        yield {str(tmp_path / "a.py")}

    assert collect_signals(tmp_path, change_twice) == [(4711, signal.SIGHUP)] * 2


def test_watching_that_fails_is_told_and_ends_with_the_supervisor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_paths: Sequence[Path], _is_watched: Callable[[str], bool], _before: Snapshot) -> Iterable[set[str]]:
        raise OSError("no space left on device")

    monkeypatch.setattr(logging.getLogger("hostler"), "propagate", True)
    assert collect_signals(tmp_path, fail) == []
    assert "files are not watched: no space left on device" in caplog.text


def collect_signals(root: Path, watch: Callable[..., Iterable[set[str]]]) -> list[tuple[int, int]]:
    """Follow changes beside a supervisor that is gone by the time they end; give the signals that it would get."""
    lifeline, held = os.pipe()
    os.close(held)
    sent: list[tuple[int, int]] = []
    try:
        context = ChildContext("file watcher", 1, -1, lifeline, -1, 4711)
        watcher = Watcher((root,), FileFilter(root, frozenset()), watch)
        watcher.follow(context, lambda pid, number: sent.append((pid, number)))
    finally:
        os.close(lifeline)
    return sent


def test_real_changes_are_seen(tmp_path: Path) -> None:
    bursts: list[set[str]] = []
    seen = threading.Event()

    def watch() -> None:
        for burst in watch_with_library([tmp_path], lambda name: name.endswith(".py"), {}):
            bursts.append(burst)
            seen.set()
            return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    # The watch begins at some time; changing again and again ends with the first change that is seen.
    number = 0
    while not seen.wait(0.05) and number < 400:
        number += 1
        (tmp_path / "a.txt").write_text(str(number), encoding="utf-8")
        (tmp_path / "a.py").write_text(str(number), encoding="utf-8")
    thread.join(10)
    assert bursts == [{str(tmp_path / "a.py")}]


def test_snapshots_tell_what_a_watch_has_missed(tmp_path: Path) -> None:
    for name in ("same.py", "changed.py", "gone.py", "data.db", "node_modules/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    is_watched = FileFilter(tmp_path, frozenset())
    before = take_snapshot([tmp_path], is_watched)
    os.utime(tmp_path / "changed.py", ns=(1, 1))
    os.utime(tmp_path / "data.db", ns=(1, 1))
    os.utime(tmp_path / "node_modules" / "x.py", ns=(1, 1))
    (tmp_path / "gone.py").unlink()
    (tmp_path / "new.py").write_text("", encoding="utf-8")
    changed = compare_snapshots(before, take_snapshot([tmp_path], is_watched))
    assert changed == {str(tmp_path / name) for name in ("changed.py", "gone.py", "new.py")}


def test_snapshot_of_a_single_file_has_that_file(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.touch()
    (tmp_path / "other.py").touch()
    assert set(take_snapshot([file], FileFilter(tmp_path, frozenset({str(file)})))) == {str(file)}


def test_change_before_the_watch_began_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    watcher = build_watcher(tmp_path, ["."], [], [])
    watcher.note()
    os.utime(tmp_path / "a.py", ns=(1, 1))
    bursts = watch_with_library(watcher.paths, watcher.is_watched, watcher.before)
    assert next(iter(bursts)) == {str(tmp_path / "a.py")}
