"""Reading `/proc`: times and memory of a process tree."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.errors import BenchError
from bench.process import (
    Meter,
    ProcessStat,
    find_worker,
    load_sizes,
    parse_busy_ticks,
    parse_pss,
    parse_stat,
    select_tree,
)

# Fields after the state: ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime ...
TAIL = "S 7 42 42 0 -1 4194560 100 200 0 0 30 4 500 6000 20 0 1 0 12345 1000 200"


@pytest.mark.parametrize("name", ["python", "a b", "x) S 1 (y", "(sd-pam)", ""])
def test_stat_is_read_whatever_the_program_is_called(name: str) -> None:
    assert parse_stat(f"42 ({name}) {TAIL}\n") == ProcessStat(pid=42, parent=7, ticks=30 + 4 + 500 + 6000)


def test_stat_without_a_name_is_refused() -> None:
    with pytest.raises(BenchError, match="not the text"):
        parse_stat("42 python S 1")


def test_pss_is_read_in_bytes() -> None:
    text = "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:  1234 kB\nPss_Anon:  7 kB\n"
    assert parse_pss(text) == 1234 * 1024


def test_pss_missing_is_an_error() -> None:
    with pytest.raises(BenchError, match="Pss"):
        parse_pss("Rss: 9000 kB\nPss_Anon: 7 kB\n")


def test_busy_ticks_leave_out_idle_and_waiting_for_disks() -> None:
    text = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 1 2 4 1000 2000 8 16 32 0 0\ncpu10 5 5 5 5 5 5 5 5 0 0\n"
    assert parse_busy_ticks(text, 0) == 1 + 2 + 4 + 8 + 16 + 32


def test_busy_ticks_of_a_processor_that_is_not_there_name_it() -> None:
    with pytest.raises(BenchError, match="no processor 3"):
        parse_busy_ticks("cpu0 1 2 4 1000 2000 8 16 32 0 0\n", 3)


def test_tree_holds_descendants_in_any_order_and_nobody_else() -> None:
    grandchild, stranger = ProcessStat(5, 9, 1), ProcessStat(6, 1, 1)
    child, root = ProcessStat(9, 3, 1), ProcessStat(3, 1, 1)
    assert {process.pid for process in select_tree(3, [grandchild, stranger, child, root])} == {3, 5, 9}


def test_tree_of_a_process_that_ended_is_empty() -> None:
    assert select_tree(3, [ProcessStat(9, 1, 1)]) == []


@pytest.fixture
def child() -> Iterator[int]:
    script = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate()


def test_sizes_are_those_of_the_processes_that_are_there(child: int) -> None:
    sizes = load_sizes([child, os.getpid(), 2**22 + 1])
    assert set(sizes) == {child, os.getpid()}
    assert all(size > 0 for size in sizes.values())


def test_worker_is_the_process_that_used_most_in_between() -> None:
    sizes = {1: 100, 2: 200, 3: 300}
    assert find_worker({1: 50, 2: 10}, {1: 60, 2: 500, 3: 15, 4: 900}, sizes) == 2


def test_worker_of_a_tree_that_ended_is_an_error() -> None:
    with pytest.raises(BenchError, match="ended during"):
        find_worker({}, {}, {})


def test_meter_counts_the_tree_and_nothing_before(child: int) -> None:
    meter = Meter(os.getpid(), min(os.sched_getaffinity(0)))
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    usage = meter.stop()
    assert 0.05 <= usage.cpu < 10
    assert child in usage.sizes
    assert usage.worker == os.getpid()
    assert usage.foreign_share >= 0


def test_meter_of_a_process_that_ended_is_an_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(BenchError, match="ended during"):
        Meter(process.pid, min(os.sched_getaffinity(0))).stop()
