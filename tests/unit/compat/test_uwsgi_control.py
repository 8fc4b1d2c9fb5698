"""The master FIFO and touch files, with real files, a fake clock, and nobody's supervisor."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from hostler.compat.uwsgi.control import TOUCH_INTERVAL, Control
from hostler.errors import ConfigurationError
from hostler.supervisor.model import Command, Concluded, Outcome
from hostler.supervisor.shell import Supervisor
from tests.fakes.clock import FakeClock
from tests.unit.compat.uwsgi import gather


class Recorder:
    """Takes commands in the place of a supervisor."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.is_paused = False

    def pause(self, *, is_paused: bool) -> None:
        self.is_paused = is_paused

    def command(self, command: Command) -> None:
        self.commands.append(command)


class Stage:
    """One `Control` and what is around it."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.facts = gather(directory, *words)
        self.clock = FakeClock()
        self.recorder = Recorder()
        self.control = Control(lambda: self.facts, self.clock)
        self.control.attach(cast("Supervisor", self.recorder))

    def turn(self) -> list[Command]:
        """Give one turn, with whatever is in the FIFO; returns the commands that came of it."""
        self.recorder.commands.clear()
        self.control.turn(dict(self.control.watched()))
        return list(self.recorder.commands)

    def look(self) -> list[Command]:
        """Let a second pass, and give a turn."""
        self.clock.advance(TOUCH_INTERVAL)
        return self.turn()


def touch(path: Path, mark: int) -> None:
    path.touch()
    os.utime(path, (mark, mark))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path, "--master-fifo", "a.fifo", "--master-fifo", "b.fifo")
    yield found
    found.control.close()


def send(path: Path, text: str) -> None:
    with path.open("w") as pipe:
        pipe.write(text)


def test_letters_become_commands(stage: Stage, tmp_path: Path) -> None:
    send(tmp_path / "a.fifo", "rRwWc+-lLqQ\n")
    reloads, logs = [Command.RELOAD] * 5, [Command.REOPEN_LOGS] * 2
    assert stage.turn() == [*reloads, Command.MORE, Command.FEWER, *logs, Command.DRAIN, Command.STOP]


def test_writers_come_and_go(stage: Stage, tmp_path: Path) -> None:
    send(tmp_path / "a.fifo", "r")
    assert stage.turn() == [Command.RELOAD]
    assert stage.turn() == []
    send(tmp_path / "a.fifo", "r")
    assert stage.turn() == [Command.RELOAD]


def test_letters_that_do_nothing_say_why(stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    send(tmp_path / "a.fifo", "S?\n")
    with caplog.at_level(logging.WARNING, "hostler"):
        assert stage.turn() == []
    assert [record.message for record in caplog.records] == ["S in the FIFO: there are no subscriptions"]


def test_letter_and_signal_pause_and_resume(stage: Stage, tmp_path: Path) -> None:
    send(tmp_path / "a.fifo", "p")
    assert stage.turn() == []
    assert stage.recorder.is_paused
    stage.control.map_calls()[signal.SIGTSTP]()
    assert not stage.recorder.is_paused


def test_digits_choose_between_pipes(stage: Stage, tmp_path: Path) -> None:
    send(tmp_path / "a.fifo", "1")
    stage.turn()
    assert not (tmp_path / "a.fifo").exists()
    send(tmp_path / "b.fifo", "r0")
    assert stage.turn() == [Command.RELOAD]
    send(tmp_path / "a.fifo", "q")
    assert stage.turn() == [Command.DRAIN]


def test_pipe_is_private_and_is_removed(stage: Stage, tmp_path: Path) -> None:
    assert (tmp_path / "a.fifo").stat().st_mode & 0o777 == 0o600
    stage.control.close()
    assert not (tmp_path / "a.fifo").exists()


def test_file_in_the_place_of_the_pipe_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.fifo").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"a\.fifo is there, and no named pipe; remove it"):
        Stage(tmp_path, "--master-fifo", "a.fifo")
    assert (tmp_path / "a.fifo").read_text() == "precious"


def test_touched_files_are_commands(tmp_path: Path) -> None:
    for name in ("reload", "logs"):
        touch(tmp_path / name, 1)
    stage = Stage(tmp_path, "--touch-reload", "reload", "--touch-logreopen", "logs", "--exit-on-reload")
    assert stage.look() == []
    touch(tmp_path / "logs", 2)
    assert stage.turn() == []  # no second has passed
    assert stage.look() == [Command.REOPEN_LOGS]
    assert stage.look() == []
    touch(tmp_path / "reload", 2)
    assert stage.look() == [Command.DRAIN]


def test_file_that_appears_is_no_touch(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "--touch-logrotate", "absent")
    assert stage.look() == []
    touch(tmp_path / "absent", 1)
    assert stage.look() == []
    touch(tmp_path / "absent", 2)
    assert stage.look() == [Command.REOPEN_LOGS]
    (tmp_path / "absent").unlink()
    assert stage.look() == []


def test_nothing_to_look_at_needs_no_turn(stage: Stage) -> None:
    assert stage.control.deadline() is None


def test_files_of_a_new_configuration_are_looked_at(tmp_path: Path) -> None:
    touch(tmp_path / "one", 1)
    touch(tmp_path / "two", 1)
    stage = Stage(tmp_path, "--touch-logreopen", "one")
    stage.facts = gather(tmp_path, "--touch-logreopen", "two")
    stage.control.concluded(Concluded(Outcome.RELOADED))
    touch(tmp_path / "one", 2)
    assert stage.look() == []
    touch(tmp_path / "two", 2)
    assert stage.look() == [Command.REOPEN_LOGS]
