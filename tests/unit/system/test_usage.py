"""What /proc says of a process, compared with what the process knows itself."""

from __future__ import annotations

import os
import threading
import time

import pytest

from hostler.system.usage import read_usage


def test_own_process_is_described() -> None:
    usage = read_usage(os.getpid())
    assert usage is not None
    assert usage.cpu == pytest.approx(time.process_time(), abs=0.2)
    assert usage.threads == threading.active_count()
    assert usage.resident > 10_000_000
    assert usage.proportional is not None
    assert 0 < usage.proportional <= usage.resident * 1.1
    assert usage.age > 0


def test_memory_that_is_taken_shows() -> None:
    before = read_usage(os.getpid(), proportional=False)
    taken = bytearray(os.urandom(1)) * 50_000_000
    after = read_usage(os.getpid(), proportional=False)
    assert before is not None
    assert after is not None
    assert after.resident - before.resident > 0.9 * len(taken)
    assert after.proportional is None


def test_process_that_is_gone_has_no_usage() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert read_usage(pid) is None
