"""The warm-up of a worker."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hostler.errors import ApplicationError
from hostler.system.channel import open_pipe
from hostler.worker.rehearsal import Rehearsal


@contextmanager
def answering(rehearsal: Rehearsal, *answers: bytes) -> Iterator[list[bytes]]:
    """Answer the requests in turn, in a thread; yields what was asked."""
    asked: list[bytes] = []
    server = socket.socket(fileno=os.dup(rehearsal.listener.fd))
    server.settimeout(10)

    def serve() -> None:
        for answer in answers:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    yield asked
    thread.join(10)
    server.close()


def rehearse(*answers: bytes, timeout: float = 10) -> list[bytes]:
    reader, writer = open_pipe()
    done = threading.Event()
    error: ApplicationError | None = None
    asked: list[bytes] = []
    try:
        with Rehearsal(["/a", "/b?c=d"], timeout, writer) as rehearsal, answering(rehearsal, *answers) as asked:
            rehearsal.start(done.set)
            assert done.wait(10)
    except ApplicationError as raised:
        error = raised
    os.close(writer)
    told = os.read(reader, 4096)
    os.close(reader)
    if error is not None:
        assert json.loads(told)["message"] == str(error), "the supervisor hears it at once"
        raise error
    return asked


def test_paths_are_asked_for_in_order() -> None:
    first, second = rehearse(b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 404 Not Found\r\n\r\nbody")
    assert first.startswith(b"GET /a HTTP/1.1\r\nHost: localhost\r\n")
    assert second.startswith(b"GET /b?c=d HTTP/1.1\r\n")


def test_error_of_the_server_is_a_failure_and_the_rest_is_not_asked() -> None:
    with pytest.raises(ApplicationError, match="/a was answered with 500"):
        rehearse(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1\r\n"])
def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    with pytest.raises(ApplicationError, match="/a was not answered: the connection ended without an answer"):
        rehearse(answer)


def test_no_answer_in_time_is_a_failure() -> None:
    with pytest.raises(ApplicationError, match=r"/a was not answered within 0.05 s \(reload.warm_up_timeout\)"):
        rehearse(timeout=0.05)
