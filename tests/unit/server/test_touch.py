"""Files that are touched for a reload."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from hostler.server.touch import INTERVAL, TouchFiles
from hostler.supervisor.model import Command
from hostler.supervisor.shell import Supervisor
from tests.fakes.clock import FakeClock


class Asked:
    """Stands where the supervisor is, and counts."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def command(self, command: Command) -> None:
        self.commands.append(command)


class Watch:
    def __init__(self, *files: Path) -> None:
        self.files = [str(file) for file in files]
        self.clock = FakeClock()
        self.asked = Asked()
        self.touch = TouchFiles(self.clock, lambda: self.files)
        self.touch.attach(cast("Supervisor", self.asked))

    def reloads(self) -> int:
        """Let time pass until the next look; return how often a reload was asked for so far."""
        self.clock.advance(INTERVAL)
        self.touch.turn({})
        return len(self.asked.commands)


def test_change_asks_for_one_reload(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    watch = Watch(tmp_path / "a")
    assert watch.reloads() == 0
    (tmp_path / "a").write_text("now")
    assert watch.reloads() == 1
    assert watch.reloads() == 1
    assert watch.asked.commands == [Command.RELOAD]


def test_file_that_comes_reloads_and_one_that_goes_does_not(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "a")
    (tmp_path / "a").touch()
    assert watch.reloads() == 1
    (tmp_path / "a").unlink()
    assert watch.reloads() == 1


def test_file_that_is_replaced_reloads(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    watch = Watch(tmp_path / "a")
    (tmp_path / "b").touch()
    (tmp_path / "b").replace(tmp_path / "a")
    assert watch.reloads() == 1


def test_files_are_not_looked_at_before_their_time(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "a")
    (tmp_path / "a").touch()
    watch.touch.turn({})
    assert watch.asked.commands == []
    assert watch.touch.deadline() == watch.clock.now() + INTERVAL


def test_file_that_a_reload_has_named_is_only_noted_first(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    watch = Watch()
    assert watch.touch.deadline() is None
    watch.files = [str(tmp_path / "a")]
    assert watch.reloads() == 0
    (tmp_path / "a").write_text("now")
    assert watch.reloads() == 1
