"""What the engine calls back."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from hostler.system.channel import MessageReader, open_pipe
from hostler.worker.hooks import CrewHooks, Hooks, LoopHooks

REQUEST = {"id": "7f", "method": "GET", "path": "/cart", "client": "127.0.0.1"}


class Follower:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.followed = threading.Event()

    def follow(self) -> None:
        self.names.append(threading.current_thread().name)
        self.followed.set()


def raised() -> RuntimeError:
    try:
        raise RuntimeError("the shop is closed")
    except RuntimeError as error:
        return error


def test_exception_is_logged_with_its_traceback_and_request(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("hostler").propagate = True
    assert Hooks(-1).application_failed(raised(), REQUEST) is None
    assert "GET /cart failed in the application [request 7f]" in caplog.text
    assert 'raise RuntimeError("the shop is closed")' in caplog.text


def test_error_page_is_given_to_the_engine() -> None:
    hooks = Hooks(-1, lambda error, request: f"{error} {request['id']}".encode())
    assert hooks.application_failed(raised(), REQUEST) == b"the shop is closed 7f"


def test_failed_websocket_has_a_name_of_its_own_and_no_page(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("hostler").propagate = True
    hooks = Hooks(-1, lambda _error, _request: b"page")
    assert hooks.application_failed(raised(), {**REQUEST, "interface": "websocket"}) is None
    assert "WebSocket /cart failed in the application [request 7f]" in caplog.text


def test_line_of_the_engine_is_not_a_format(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("hostler").propagate = True
    Hooks(-1).log(logging.WARNING, "100 %s")
    assert "100 %s" in caplog.text


def test_threads_have_names_of_their_own() -> None:
    hooks, follower = CrewHooks(-1), Follower()
    hooks.attach(follower)
    hooks.start_thread()
    assert follower.followed.wait(5)
    follower.followed.clear()
    hooks.start_thread()
    assert follower.followed.wait(5)
    assert follower.names == ["hostler-1", "hostler-2"]


def test_recycling_is_asked_for_on_the_status_pipe() -> None:
    source, target = open_pipe()
    Hooks(target).recycle()
    reader = MessageReader(source)
    assert reader.receive() == [{"event": "recycle"}]
    reader.close()
    os.close(target)


def test_calls_run_in_threads_with_a_limit() -> None:
    hooks = LoopHooks(-1, None, threads=2, when_finished=lambda: None)
    names: set[str] = set()
    meeting = threading.Barrier(3)

    def call() -> None:
        names.add(threading.current_thread().name)
        meeting.wait(5)

    hooks.submit(call)
    hooks.submit(call)
    meeting.wait(5)
    hooks.close()
    assert names == {"hostler-wsgi-1", "hostler-wsgi-2"}


def test_defect_in_a_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("hostler").propagate = True
    hooks = LoopHooks(-1, None, threads=1, when_finished=lambda: None)
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("the bridge is down")

    hooks.submit(fail)
    hooks.submit(done.set)
    assert done.wait(5)
    hooks.close()
    assert "the bridge is down" in caplog.text


def test_end_of_the_engine_is_passed_on() -> None:
    told: list[str] = []
    hooks = LoopHooks(-1, None, threads=1, when_finished=lambda: told.append("finished"))
    hooks.finished()
    hooks.close()
    assert told == ["finished"]
