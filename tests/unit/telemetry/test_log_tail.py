"""The latest records of the log: what is kept, and that nobody waits for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.telemetry import log_tail
from hostler.telemetry.log import ServerLog
from hostler.telemetry.log_tail import LogCopy, LogTail


@pytest.fixture(name="tail")
def fixture_tail() -> Iterator[LogTail]:
    made = LogTail()
    yield made
    made.close()


def fill(tail: LogTail, *lines: str) -> LogCopy:
    copy = LogCopy(tail.copy_fd)
    for line in lines:
        copy.send(line.encode() + b"\n")
        tail.receive()
    return copy


def test_latest_records_come_first_and_then_what_is_new(tail: LogTail) -> None:
    fill(tail, "one", "two", "three")
    assert tail.read(0, 2) == (["two", "three"], 3)
    fill(tail, "four", "five")
    assert tail.read(3, 10) == (["four", "five"], 5)
    assert tail.read(3, 1) == (["four"], 4)
    assert tail.read(5, 10) == ([], 5)


def test_number_from_another_life_of_the_server_means_the_beginning(tail: LogTail) -> None:
    fill(tail, "one")
    assert tail.read(900, 10) == (["one"], 1)
    assert tail.missed(900) == 0


def test_record_of_many_lines_stays_one(tail: LogTail) -> None:
    fill(tail, "reload abandoned\nTraceback\n  line")
    assert tail.read(0, 10)[0] == ["reload abandoned\nTraceback\n  line"]


def test_old_records_go(tail: LogTail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "MAX_RECORDS", 3)
    fill(tail, *"abcdef")
    assert tail.read(0, 10)[0] == ["d", "e", "f"]
    assert tail.missed(1) == 2
    assert tail.missed(3) == 0
    assert tail.missed(6) == 0


def test_memory_is_bounded(tail: LogTail) -> None:
    for _ in range(100):
        fill(tail, "x" * 100_000)
    assert sum(map(len, tail.read(0, 1000)[0])) <= log_tail.MAX_BYTES
    assert tail.read(0, 1)[0][0].endswith(" [...]")


def test_flood_is_dropped_and_counted_and_nobody_waits(tail: LogTail) -> None:
    copy = LogCopy(tail.copy_fd)
    for number in range(5000):
        copy.send(b"%d %b\n" % (number, b"x" * 200))
    while tail.receive():
        continue
    kept = tail.read(0, 5000)[0]
    assert 0 < len(kept) < 5000
    copy.send(b"afterwards\n")
    tail.receive()
    dropped, record = tail.read(0, 1)[0][0].split("\n")
    assert dropped == f"[{5000 - len(kept)} records of this process were not kept here]"
    assert record == "afterwards"


def test_colours_are_for_terminals(tail: LogTail) -> None:
    fill(tail, "\x1b[31mERROR\x1b[0m no shop")
    assert tail.read(0, 1)[0] == ["ERROR no shop"]


def test_log_on_a_full_disk_is_still_kept(tail: LogTail) -> None:
    log = ServerLog("/dev/full")
    log.copy = LogCopy(tail.copy_fd)
    log.handle(logging.makeLogRecord({"msg": "no room", "levelno": logging.ERROR, "levelname": "ERROR"}))
    tail.receive()
    assert "no room" in tail.read(0, 1)[0][0]
    os.close(log.fd)


def test_records_reach_the_file_and_the_tail(tail: LogTail, tmp_path: Path) -> None:
    log = ServerLog(str(tmp_path / "log"))
    log.copy = LogCopy(tail.copy_fd)
    log.handle(logging.makeLogRecord({"msg": "hello", "levelno": logging.INFO, "levelname": "INFO"}))
    tail.receive()
    assert (tmp_path / "log").read_text().rstrip("\n") == tail.read(0, 1)[0][0]
    os.close(log.fd)
