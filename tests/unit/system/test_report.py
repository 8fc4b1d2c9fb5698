"""Reports that a process writes when a signal asks for them."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable

import pytest

from hostler.system.report import REPORT_SIGNALS, SEPARATOR, answer_reports, clear_report, open_report, read_report

Begin = Callable[[], object]


def start(report: int, told: int, body: Callable[[Begin], object]) -> int:
    """Fork a process that answers and then runs `body`; it writes to `told` when it begins and when it has answered."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(30)  # whatever becomes of the test
            answer_reports(report, lambda: b"second", lambda: os.write(told, b"."))
            body(lambda: os.write(told, b"!"))
        finally:
            os._exit(0)
    return pid


def ask(pid: int) -> None:
    for number in REPORT_SIGNALS:
        os.kill(pid, number)


def sleep_long(begin: Begin) -> None:
    begin()
    time.sleep(20)


def be_stuck(begin: Begin) -> None:
    """In C and with the GIL held, as a stuck extension is: the interpreter runs no handler meanwhile."""
    import ctypes

    empty, _ = os.pipe()
    begin()
    ctypes.PyDLL(None).read(empty, ctypes.create_string_buffer(1), 1)


@pytest.mark.parametrize("times", [1, 3])
def test_process_that_runs_python_writes_both_parts(times: int) -> None:
    report, (reader, writer) = open_report(), os.pipe()
    pid = start(report, writer, sleep_long)
    assert os.read(reader, 1) == b"!"
    for _ in range(times):
        clear_report(report)
        ask(pid)
        assert os.read(reader, 1) == b"."
        first, second = read_report(report)
        assert "in sleep_long" in first
        assert first.count("most recent call first") == 1
        assert second == b"second"
    end(pid, report, reader, writer)


def test_process_that_is_stuck_outside_of_python_writes_the_first_part() -> None:
    report, (reader, writer) = open_report(), os.pipe()
    pid = start(report, writer, be_stuck)
    assert os.read(reader, 1) == b"!"
    told = [reader]
    while told:  # it may still be on its way into the call, and then it answers
        select.select([], [], [], 0.1)
        clear_report(report)
        ask(pid)
        told, _, _ = select.select([reader], [], [], 0.5)
        if told:
            os.read(reader, 1)
    first, second = read_report(report)
    assert "in be_stuck" in first
    assert second == b""
    end(pid, report, reader, writer)


def end(pid: int, *descriptors: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for fd in descriptors:
        os.close(fd)


def test_report_begins_anew_each_time() -> None:
    report = open_report()
    os.write(report, b"first" + SEPARATOR + b"second")
    clear_report(report)
    os.write(report, b"other")
    assert read_report(report) == ("other", b"")
    os.close(report)


def test_report_is_not_inherited_by_other_programs() -> None:
    report = open_report()
    assert not os.get_inheritable(report)
    os.close(report)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is none")
def test_there_is_a_signal() -> None:
    first, second = REPORT_SIGNALS
    assert signal.SIGRTMIN < first < second < signal.SIGRTMAX
