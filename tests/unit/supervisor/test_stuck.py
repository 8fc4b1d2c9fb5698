"""What the supervisor does about a child that reports something which does not end."""

from __future__ import annotations

from hostler.supervisor.core import PROMPT_TIMEOUT
from hostler.supervisor.model import ChildState, Order
from tests.fakes.supervision import WORKER, Drive


def test_stuck_child_drains_once_its_successor_is_ready() -> None:
    drive = Drive((WORKER,)).booted()
    drive.stuck(1)
    assert "worker 1 is stuck with GET /report [request abc] and is replaced" in drive.logged()
    assert drive.orders(Order.DRAIN) == []
    successor = drive.spawned()
    assert len(successor) == 1
    drive.ready(*drive.numbers(ChildState.STARTING))
    assert drive.orders(Order.DRAIN) == [1]


def test_stuck_child_that_does_not_end_says_where_it_is_before_it_is_killed() -> None:
    drive = Drive((WORKER,)).booted()
    drive.stuck(1)
    drive.ready(*drive.numbers(ChildState.STARTING))
    drive.wait(WORKER.graceful_timeout)
    assert (drive.orders(Order.ABORT), drive.orders(Order.KILL)) == ([1], [])
    drive.wait(PROMPT_TIMEOUT)
    assert drive.orders(Order.KILL) == [1]


def test_child_in_which_nothing_goes_on_has_no_time_to_drain() -> None:
    drive = Drive((WORKER,)).booted()
    drive.stuck(1, hopeless=True)
    drive.ready(*drive.numbers(ChildState.STARTING))
    drive.wait(PROMPT_TIMEOUT)
    assert drive.orders(Order.ABORT) == [1]


def test_child_that_becomes_hopeless_while_it_drains_has_no_more_time() -> None:
    drive = Drive((WORKER,)).booted()
    drive.stuck(1)
    drive.ready(*drive.numbers(ChildState.STARTING))
    drive.stuck(1, hopeless=True)
    drive.wait(PROMPT_TIMEOUT)
    assert drive.orders(Order.ABORT) == [1]
    assert drive.logged().count("is stuck") == 1
