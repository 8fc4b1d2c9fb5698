"""Cores, niceness and the score by which the kernel chooses whom to kill."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hostler.errors import PrivilegeError
from hostler.system.process import SystemProcesses, exit_of
from hostler.system.scheduling import choose_cores, parse_cpus, set_cores, set_nice, set_oom_score


def test_lists_of_cores_are_read() -> None:
    assert parse_cpus("0-3,8") == {0, 1, 2, 3, 8}
    assert parse_cpus("") == frozenset()


@pytest.mark.parametrize("text", ["a", "3-1", "1-", "-1", "1;2", "999999"])
def test_what_is_no_list_of_cores_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="a list of cores"):
        parse_cpus(text)


def test_each_worker_gets_a_core_in_turn() -> None:
    usable = frozenset({2, 5, 7})
    assert [choose_cores("each", slot, usable) for slot in (1, 2, 3, 4)] == [{2}, {5}, {7}, {2}]
    assert choose_cores("0-1", 9, usable) == {0, 1}


def holds_in_child(body: Callable[[], bool]) -> bool:
    _, status = os.waitpid(SystemProcesses().start(lambda: 0 if body() else 1), 0)
    return exit_of(status).code == 0


def test_process_runs_on_its_core() -> None:
    first = min(os.sched_getaffinity(0))

    def pinned() -> bool:
        set_cores("each", 1)
        return os.sched_getaffinity(0) == {first}

    assert holds_in_child(pinned)


def test_cores_that_are_not_there_are_told() -> None:
    with pytest.raises(PrivilegeError, match=r"process\.cpus is '4000'.*usable cores"):
        set_cores("4000", 1)


def test_niceness_is_added_and_zero_changes_nothing() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    def nicer() -> bool:
        set_nice(0)
        unchanged = os.getpriority(os.PRIO_PROCESS, 0) == before
        set_nice(3)
        return unchanged and os.getpriority(os.PRIO_PROCESS, 0) == min(19, before + 3)

    assert holds_in_child(nicer)


def test_score_for_the_end_of_memory_is_set() -> None:
    def scored() -> bool:
        set_oom_score(900)
        return Path("/proc/self/oom_score_adj").read_text() == "900\n"

    assert holds_in_child(scored)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_needs_root_is_told() -> None:
    def refused() -> bool:
        os.setresuid(54321, 54321, 54321)
        told = []
        attempts: tuple[tuple[Callable[[int], None], int], ...] = ((set_nice, -5), (set_oom_score, -900))
        for attempt, value in attempts:
            try:
                attempt(value)
            except PrivilegeError as error:
                told.append(str(error))
        return len(told) == 2 and "process.nice is -5" in told[0] and "process.oom_score is -900" in told[1]

    assert holds_in_child(refused)
