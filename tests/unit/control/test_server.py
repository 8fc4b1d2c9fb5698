"""The server of the control socket, in a loop of the test's own: its manners, its bounds, and that it never blocks."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hostler.control.server import (
    HEAD_TIMEOUT,
    IDLE_TIMEOUT,
    MAX_CALLS_PER_TURN,
    MAX_CLIENTS,
    WRITE_TIMEOUT,
    Call,
    ControlServer,
)
from hostler.system.local_socket import LocalListener
from tests.fakes.clock import FakeClock

STATUS = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"


class Desk:
    """A server with its socket, and what it was asked."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.calls: list[Call] = []
        self.answer: Callable[[Call], None] = lambda call: call.answer({"number": len(self.calls)})
        self.path = directory / "desk.sock"
        self.is_allowed = True
        self.server = ControlServer(
            LocalListener(self.path, None),
            dict.fromkeys(("status", "stop", "logs"), self.take),
            self.clock,
            lambda peer: self.is_allowed,
        )
        self.clients: list[socket.socket] = []

    def take(self, call: Call) -> None:
        self.calls.append(call)
        self.answer(call)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        self.clients.append(client)
        return client

    def turn(self, times: int = 1) -> None:
        """Take turns while something is ready, as the supervisor's loop does, but without waiting."""
        for _ in range(times):
            poller = select.poll()
            for fd, events in self.server.watched():
                poller.register(fd, events)
            self.server.turn(dict(poller.poll(0)))

    def ask(self, client: socket.socket, request: bytes = STATUS) -> tuple[int, dict[str, Any]]:
        client.sendall(request)
        self.turn(3)
        return read_answer(client)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.close()


def read_answer(client: socket.socket) -> tuple[int, dict[str, Any]]:
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(1)
        assert data, f"the connection ended after {head!r}"
        head += data
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = b""
    while len(body) < length:
        body += client.recv(length - len(body))
    return int(head.split()[1]), json.loads(body)


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        client.settimeout(10)


@pytest.fixture(name="desk")
def fixture_desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_requests_on_one_connection_are_answered_in_order(desk: Desk) -> None:
    client = desk.connect()
    assert desk.ask(client) == (200, {"number": 1})
    assert desk.ask(client) == (200, {"number": 2})


def test_pipelined_requests_are_answered_one_by_one(desk: Desk) -> None:
    client = desk.connect()
    client.sendall(STATUS * 3)
    desk.turn(2)
    # The rest has arrived and is no event any more: the server asks for a turn at once.
    assert desk.server.deadline() == desk.clock.now()
    desk.turn(3)
    assert [read_answer(client)[1]["number"] for _ in range(3)] == [1, 2, 3]


def test_request_in_single_bytes_is_answered(desk: Desk) -> None:
    client = desk.connect()
    for byte in STATUS:
        client.sendall(bytes([byte]))
        desk.turn()
    desk.turn()
    assert read_answer(client) == (200, {"number": 1})


def test_answer_may_come_later_and_its_client_is_left_in_peace(desk: Desk) -> None:
    desk.answer = lambda call: None
    client = desk.connect()
    client.sendall(STATUS)
    desk.turn(2)
    desk.clock.advance(10 * IDLE_TIMEOUT)
    desk.turn()
    assert desk.server.deadline() is None
    desk.calls[0].answer({"late": True})
    assert read_answer(client) == (200, {"late": True})


def test_client_that_leaves_abandons_its_call(desk: Desk) -> None:
    desk.answer = lambda call: None
    client = desk.connect()
    client.sendall(STATUS)
    desk.turn(2)
    client.close()
    desk.turn()
    assert not desk.calls[0].is_open
    desk.calls[0].answer({})
    assert len(desk.server.descriptors()) == 1


def test_connection_is_closed_after_a_last_request(desk: Desk) -> None:
    client = desk.connect()
    status, _ = desk.ask(client, STATUS.replace(b"Host", b"Connection: close\r\nHost"))
    assert status == 200
    assert is_closed(client)


@pytest.mark.parametrize(
    "request_, status",
    [
        (b"GET /v2/status HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /v1/logs?lines=x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)
def test_request_that_cannot_be_served_leaves_the_connection_open(desk: Desk, request_: bytes, status: int) -> None:
    client = desk.connect()
    assert desk.ask(client, request_)[0] == status
    assert desk.ask(client)[0] == 200


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01", b"SSH-2.0-OpenSSH\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"])
def test_garbage_is_answered_once_and_the_connection_ends(desk: Desk, garbage: bytes) -> None:
    client = desk.connect()
    status, answer = desk.ask(client, garbage)
    assert status in (400, 505)
    assert answer["error"]
    assert is_closed(client)


def test_allowed_methods_are_named(desk: Desk) -> None:
    client = desk.connect()
    client.sendall(b"DELETE /v1/stop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    desk.turn(2)
    assert b"\r\nAllow: POST\r\n" in client.recv(4096)


def test_user_who_may_not_is_told_so(desk: Desk) -> None:
    desk.is_allowed = False
    client = desk.connect()
    client.sendall(STATUS)
    desk.turn()
    assert read_answer(client)[0] == 403
    assert is_closed(client)
    assert not desk.calls


class TestDeadlines:
    def test_client_that_says_nothing_is_let_go(self, desk: Desk) -> None:
        client = desk.connect()
        desk.turn()
        assert desk.server.deadline() == desk.clock.now() + HEAD_TIMEOUT
        desk.clock.advance(HEAD_TIMEOUT)
        desk.turn()
        assert is_closed(client)

    def test_drops_of_a_head_do_not_prolong_it(self, desk: Desk) -> None:
        client = desk.connect()
        desk.turn()
        begin = desk.clock.now()
        for _ in range(20):
            client.send(b"G")
            desk.turn()
            desk.clock.advance(HEAD_TIMEOUT / 10)
            if len(desk.server.descriptors()) == 1:
                break
        assert desk.clock.now() - begin <= 1.2 * HEAD_TIMEOUT
        assert is_closed(client)

    def test_idle_connection_lives_longer(self, desk: Desk) -> None:
        client = desk.connect()
        desk.ask(client)
        desk.clock.advance(IDLE_TIMEOUT - 1)
        desk.turn()
        assert desk.ask(client)[0] == 200
        desk.clock.advance(IDLE_TIMEOUT)
        desk.turn()
        assert is_closed(client)

    def test_client_that_does_not_take_its_answer_is_let_go(self, desk: Desk) -> None:
        desk.answer = lambda call: call.answer({"much": "x" * 4_000_000})
        client = desk.connect()
        client.sendall(STATUS)
        desk.turn(3)
        assert len(desk.server.descriptors()) == 2
        desk.clock.advance(WRITE_TIMEOUT)
        desk.turn()
        assert len(desk.server.descriptors()) == 1

    def test_client_that_takes_its_answer_slowly_gets_it(self, desk: Desk) -> None:
        text = "x" * 4_000_000
        desk.answer = lambda call: call.answer({"much": text})
        client = desk.connect()
        client.sendall(STATUS)
        desk.turn(2)
        taken = b""
        while len(taken) < len(text):
            taken += client.recv(200_000)
            desk.clock.advance(WRITE_TIMEOUT / 2)
            desk.turn()
        assert taken.endswith(b'"}\n')


class TestCrowd:
    def test_there_is_room_for_a_newcomer_while_others_idle(self, desk: Desk) -> None:
        first = desk.connect()
        desk.turn()
        desk.clock.advance(0.1)
        for _ in range(MAX_CLIENTS):
            desk.connect()
            desk.turn()
        assert is_closed(first)
        assert desk.ask(desk.clients[-1])[0] == 200
        assert len(desk.server.descriptors()) == MAX_CLIENTS + 1

    def test_newcomer_is_refused_while_everybody_is_being_served(self, desk: Desk) -> None:
        desk.answer = lambda call: None
        for _ in range(MAX_CLIENTS):
            desk.connect().sendall(STATUS)
            desk.turn(2)
        newcomer = desk.connect()
        desk.turn()
        assert read_answer(newcomer)[0] == 503
        assert is_closed(newcomer)

    def test_one_turn_makes_few_calls_and_nobody_is_forgotten(self, desk: Desk) -> None:
        clients = [desk.connect() for _ in range(MAX_CALLS_PER_TURN + 3)]
        desk.turn()
        for client in clients:
            client.sendall(STATUS * 2)
        desk.turn()
        assert len(desk.calls) == MAX_CALLS_PER_TURN
        desk.turn()
        # Those who had to wait come before those who want more.
        assert len(desk.calls) == 2 * MAX_CALLS_PER_TURN
        assert all(read_answer(client)[0] == 200 for client in clients)


def test_socket_file_goes_with_the_server(desk: Desk) -> None:
    assert desk.path.stat().st_mode & 0o777 == 0o600
    desk.server.close()
    assert not desk.path.exists()
    desk.server = ControlServer(LocalListener(desk.path, None), {}, desk.clock, lambda peer: True)
