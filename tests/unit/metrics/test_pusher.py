"""What is pushed at intervals, and what the log hears of it."""

from __future__ import annotations

import logging
import threading

import pytest

from hostler.metrics.pusher import Pusher
from hostler.telemetry.snapshot import Snapshot
from tests.unit.telemetry.test_openmetrics import WORKER, snapshot

PATIENCE = 30.0


class Receiver:
    """A target that says what it is told to, and counts."""

    def __init__(self, *answers: str) -> None:
        self.name = "somebody"
        self.pushes = 0
        self._answers = list(answers)
        self._changed = threading.Condition()

    def push(self, shown: Snapshot) -> str:
        assert shown.reading.workers == (WORKER,)
        with self._changed:
            self.pushes += 1
            self._changed.notify_all()
            return self._answers.pop(0) if self._answers else ""

    def wait(self, pushes: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.pushes >= pushes, PATIENCE)


def test_target_is_told_at_once_at_intervals_and_at_the_end() -> None:
    receiver = Receiver()
    pusher = Pusher(lambda: snapshot(WORKER), receiver, 0.01)
    pusher.start()
    receiver.wait(4)
    pusher.stop()
    told = receiver.pushes
    pusher.stop()
    assert receiver.pushes == told


def test_last_push_comes_without_waiting_for_the_interval() -> None:
    receiver = Receiver()
    pusher = Pusher(lambda: snapshot(WORKER), receiver, 3600)
    pusher.start()
    receiver.wait(1)
    pusher.stop()
    receiver.wait(2)


def test_log_hears_of_a_failure_once_and_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver("nobody is there", "nobody is there", "nobody is there", "")
    with caplog.at_level(logging.INFO, "hostler"):
        pusher = Pusher(lambda: snapshot(WORKER), receiver, 0.01)
        pusher.start()
        receiver.wait(5)
        pusher.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "metrics: cannot send to somebody: nobody is there; trying on",
        "metrics: sending to somebody again",
    ]
