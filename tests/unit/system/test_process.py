"""Processes: one contract, kept by the real table and by the fake one; and what only the real one does."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hostler.system.process import Exit, ProcessTable, SystemProcesses
from tests.e2e.harness import ROOT, wait_until
from tests.fakes.processes import FakeProcesses


@pytest.fixture(name="table", params=["real", "fake"])
def fixture_table(request: pytest.FixtureRequest) -> ProcessTable:
    return SystemProcesses() if request.param == "real" else FakeProcesses()


def finish(table: ProcessTable, pid: int) -> None:
    if isinstance(table, FakeProcesses):
        table.finish(pid)


def reaped(table: ProcessTable, pid: int) -> list[Exit]:
    found: list[Exit] = []

    def look() -> bool:
        found.extend(end for each, end in table.reap() if each == pid)
        return bool(found)

    wait_until(look, f"process {pid} has been reaped")
    return found + [end for each, end in table.reap() if each == pid]


def wait_for_signal() -> int:
    select.select([], [], [])
    return 0


@pytest.mark.parametrize("status", [0, 3, 255])
def test_child_ends_with_the_result_of_its_main(table: ProcessTable, status: int) -> None:
    pid = table.start(lambda: status)
    finish(table, pid)
    assert reaped(table, pid) == [Exit(status)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_child_is_ended_by_a_signal(table: ProcessTable, number: int) -> None:
    pid = table.start(wait_for_signal)
    table.send_signal(pid, number)
    assert reaped(table, pid) == [Exit(None, number)]


def test_main_thread_of_a_child_takes_a_signal(table: ProcessTable) -> None:
    pid = table.start(wait_for_signal)
    table.signal_main_thread(pid, signal.SIGTERM)
    assert reaped(table, pid) == [Exit(None, signal.SIGTERM)]


def test_signal_to_a_child_that_is_gone_does_nothing(table: ProcessTable) -> None:
    pid = table.start(lambda: 0)
    finish(table, pid)
    reaped(table, pid)
    table.send_signal(pid, signal.SIGTERM)
    table.signal_main_thread(pid, signal.SIGTERM)


def test_living_child_is_not_reaped(table: ProcessTable) -> None:
    pid = table.start(wait_for_signal)
    assert [each for each, _ in table.reap() if each == pid] == []
    table.send_signal(pid, signal.SIGKILL)
    reaped(table, pid)


def test_pids_differ(table: ProcessTable) -> None:
    pids = [table.start(wait_for_signal) for _ in range(3)]
    assert len(set(pids)) == 3
    for pid in pids:
        table.send_signal(pid, signal.SIGKILL)
        reaped(table, pid)


def test_exit_is_told_in_words() -> None:
    assert str(Exit(3)) == "exited with status 3"
    assert str(Exit(None, signal.SIGSEGV)) == "was killed by SIGSEGV"


def test_exception_in_a_child_is_shown_and_does_not_unwind_the_parent(capfd: pytest.CaptureFixture[str]) -> None:
    table = SystemProcesses()

    def fail() -> int:
        raise RuntimeError("the child is broken")

    try:
        pid = table.start(fail)
    finally:
        os.write(1, b"unwound;")
    assert reaped(table, pid) == [Exit(1)]
    out, err = capfd.readouterr()
    assert "the child is broken" in err
    assert out == "unwound;"


@pytest.mark.parametrize("code,status", [(4, 4), (None, 0), ("words", 1)])
def test_exit_of_the_application_is_the_status(code: object, status: int) -> None:
    table = SystemProcesses()

    def leave() -> int:
        raise SystemExit(code)

    assert reaped(table, table.start(leave)) == [Exit(status)]


def test_child_starts_with_signals_reset() -> None:
    def look() -> int:
        is_reset = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        return int(not (is_reset and signal.set_wakeup_fd(-1) == -1 and not signal.pthread_sigmask(0, ())))

    former = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        table = SystemProcesses()
        assert reaped(table, table.start(look)) == [Exit(0)]
    finally:
        signal.signal(signal.SIGTERM, former)


def in_own_interpreter(program: str) -> str:
    """Run code that changes its whole process."""
    command = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": f"{ROOT}/src"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_grandchild_becomes_the_child_of_its_subreaper() -> None:
    program = """
import os
from hostler.system.process import SystemProcesses, become_subreaper, fork_grandchild, own_pid
become_subreaper()
top = own_pid()
table = SystemProcesses()
def fork_server():
    fork_grandchild(lambda: 7 if os.getppid() == top else 8)
    return 0
table.start(fork_server)
print(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)))
"""
    assert in_own_interpreter(program) == "[0, 7]\n"


def test_child_dies_with_its_parent() -> None:
    program = """
import os, select, signal
from hostler.system.process import die_with_parent
read, write = os.pipe()
gone, held = os.pipe()
parent = os.fork()
if parent == 0:
    if os.fork() == 0:
        os.close(gone)
        die_with_parent(signal.SIGKILL)
        os.write(write, b"x")
        select.select([], [], [], 15)
        os._exit(0)
    os.close(held)
    select.select([], [], [], 15)
    os._exit(0)
os.close(held)
os.read(read, 1)
os.kill(parent, signal.SIGKILL)
print("gone" if os.read(gone, 1) == b"" else "there")
"""
    assert in_own_interpreter(program) == "gone\n"


def test_closed_standard_descriptors_are_opened() -> None:
    program = f"""
import os, sys
sys.path.insert(0, {str(ROOT / "src")!r})
from hostler.system.process import open_standard_descriptors
os.close(0); os.close(2)
open_standard_descriptors()
print([os.path.exists(f"/proc/self/fd/{{fd}}") for fd in (0, 1, 2)], Path := os.readlink("/proc/self/fd/2"))
"""
    assert in_own_interpreter(program) == f"[True, True, True] {Path(os.devnull)}\n"


TIED_SCRIPT = """
import os, signal, sys
from hostler.system.process import tie_to_parent
tie_to_parent(os.getppid() + int(sys.argv[1]), signal.SIGKILL)
print("going on")
"""


@pytest.mark.parametrize("offset, output", [("0", "going on\n"), ("1", "")], ids=["alive", "gone"])
def test_child_whose_parent_is_gone_already_ends(offset: str, output: str) -> None:
    ended = subprocess.run([sys.executable, "-c", TIED_SCRIPT, offset], capture_output=True, check=True, text=True)
    assert ended.stdout == output
