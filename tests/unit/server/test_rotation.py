"""Log files that are put aside: when, how, and what becomes of them where that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostler.config import Config
from hostler.config.schema import Log
from hostler.server.rotation import INTERVAL, LogRotation, Rotation, plan_rotation
from hostler.supervisor.model import Command
from tests.fakes.clock import FakeClock

DAY = 86400.0


class FakeSupervisor:
    """Notes the commands that it is given."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def command(self, command: Command) -> None:
        self.commands.append(command)


class Bench:
    """A rotation of one file on fake clocks."""

    def __init__(self, path: Path, *, size: int = 0, period: float = 0.0, keep: int = 2, time: float = 1e9) -> None:
        self.path = path
        self.clock = FakeClock()
        self.time = time
        self.rotation = Rotation((str(path),), size, period, keep)
        self.supervisor = FakeSupervisor()
        self.attendant = LogRotation(self.clock, lambda: self.time, self.rotation, lambda: self.rotation)
        self.attendant.attach(self.supervisor)  # type: ignore[arg-type]

    def look(self) -> int:
        """Look at the file and return how often logs were opened anew so far."""
        self.clock.advance(INTERVAL)
        self.attendant.turn({})
        return self.supervisor.commands.count(Command.REOPEN_LOGS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("line\n")
    return path


def test_file_that_grows_beyond_its_bound_is_put_aside_and_older_ones_move_on(path: Path) -> None:
    bench = Bench(path, size=10)
    assert bench.look() == 0
    for number in range(1, 5):
        path.write_text(f"{number}" * 11)
        assert bench.look() == number
        assert not path.exists()
    assert path.with_name("access.log.1").read_text() == "4" * 11
    assert path.with_name("access.log.2").read_text() == "3" * 11
    assert not path.with_name("access.log.3").exists()


def test_file_is_put_aside_when_a_period_begins(path: Path) -> None:
    midnight = 20_000 * DAY
    os.utime(path, (midnight - 60, midnight - 60))
    bench = Bench(path, period=DAY, time=midnight - 10)
    assert bench.look() == 0
    bench.time = midnight + 1
    assert bench.look() == 1
    path.write_text("today\n")
    bench.time += 3600
    assert bench.look() == 1


def test_file_of_an_earlier_period_is_put_aside_after_a_restart(path: Path) -> None:
    midnight = 20_000 * DAY
    os.utime(path, (midnight - 60, midnight - 60))
    bench = Bench(path, period=DAY, time=midnight + 100)
    path.write_text("yesterday\ntoday, by the start\n")
    assert bench.look() == 1


def test_clock_that_is_set_back_puts_nothing_aside(path: Path) -> None:
    bench = Bench(path, period=DAY, time=20_000 * DAY + 5)
    os.utime(path, (bench.time, bench.time))
    assert bench.look() == 0
    bench.time -= 3 * DAY
    assert bench.look() == 0
    bench.time += 3 * DAY
    assert bench.look() <= 1


def test_empty_and_missing_files_are_left_alone(path: Path) -> None:
    bench = Bench(path, size=1, period=1.0)
    path.write_text("")
    assert bench.look() == 0
    path.unlink()
    assert bench.look() == 0


def test_nothing_is_looked_at_between_turns_or_without_a_bound(path: Path) -> None:
    bench = Bench(path, size=1)
    assert bench.look() == 1
    path.write_text("more\n")
    bench.attendant.turn({})
    assert path.exists()
    idle = Bench(path)
    assert idle.attendant.deadline() is None
    assert idle.look() == 0


def test_place_that_is_taken_by_a_directory_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.with_name("access.log.1").mkdir()
    (path.with_name("access.log.1") / "inside").write_text("")
    bench = Bench(path, size=1, keep=1)
    assert bench.look() == bench.look() == 0
    assert caplog.text.count("cannot put the log file") == 1
    assert path.read_text() == "line\n"


def test_files_of_a_configuration_are_found_once_each() -> None:
    def files(log: Log) -> tuple[str, ...]:
        return plan_rotation(Config(log=log)).files

    assert files(Log()) == ()
    assert files(Log(file="/a", access="/b")) == ("/a", "/b")
    assert files(Log(file="/a", access="/a")) == ("/a",)
    assert files(Log(file="journald:", access="syslog:")) == ()
