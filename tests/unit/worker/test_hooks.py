"""What the engine calls back."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from hostler.system.channel import MessageReader, open_pipe
from hostler.worker.hooks import Hooks

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


def test_line_of_the_engine_is_not_a_format(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("hostler").propagate = True
    Hooks(-1).log(logging.WARNING, "100 %s")
    assert "100 %s" in caplog.text


def test_threads_have_names_of_their_own() -> None:
    hooks, follower = Hooks(-1), Follower()
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
