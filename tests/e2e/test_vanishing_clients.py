"""Clients that vanish, at every stage and in every way, take nothing with them and leave nothing behind."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Callable
from typing import BinaryIO

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, StartServer, wait_until
from tests.e2e.vitals import count_descriptors

APP = "tests.e2e.apps.robust:app"
ROUNDS = 25

# What a client has sent when it vanishes, by stage.
STAGES = {
    "before-a-byte": b"",
    "in-the-request-line": b"GET /he",
    "in-the-head": b"GET / HTTP/1.1\r\nHost: te",
    "before-the-body": b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n",
    "in-the-body": b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nabc",
    "in-a-spooled-body": b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 400000\r\n\r\n" + b"x" * 300_000,
    "in-a-chunk": b"POST /length HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
    "after-the-request": b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    "after-two-requests": b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 2,
    "in-the-second-request": b"GET / HTTP/1.1\r\nHost: test\r\n\r\nGET / HT",
    "before-a-large-answer": b"GET /whole?5000000 HTTP/1.1\r\nHost: test\r\n\r\n",
}


def close_in_order(stream: socket.socket) -> None:
    stream.close()


def reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


def stop_sending_then_close(stream: socket.socket) -> None:
    stream.shutdown(socket.SHUT_WR)
    stream.close()


def read_answer(answers: BinaryIO) -> tuple[int, bytes]:
    """Read one answer of several on a connection: its status and body."""
    status = int(answers.readline().split()[1])
    headers = http.client.parse_headers(answers)
    if headers["Transfer-Encoding"] != "chunked":
        return status, answers.read(int(headers["Content-Length"]))
    body = b""
    while size := int(answers.readline(), 16):
        body += answers.read(size)
        answers.readline()
    answers.readline()
    return status, body


def worker_of(server: RunningServer) -> int:
    pid: int = json.loads(server.get("/process").text)["pid"]
    return pid


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("vanish", [close_in_order, reset, stop_sending_then_close])
@pytest.mark.parametrize("mode", ["buffer", "stream"])
def test_vanished_client_leaves_nothing_behind(
    hostler_server: StartServer, stage: str, vanish: Callable[[socket.socket], None], mode: str
) -> None:
    server = hostler_server(APP, "--http-request-body", mode, "--threads", "2")
    worker = worker_of(server)
    for _ in range(5):
        server.get("/")
    before = count_descriptors(worker)
    for _ in range(ROUNDS):
        stream = server.connect()
        stream.sendall(STAGES[stage])
        vanish(stream)
    assert server.get("/").body == b"hello\n"
    wait_until(lambda: count_descriptors(worker) <= before, f"{before} descriptors as before")
    assert worker_of(server) == worker


@pytest.mark.parametrize("vanish", [close_in_order, reset])
@pytest.mark.parametrize("threads", ["1", "2"])
def test_answer_in_pieces_is_closed_when_its_client_vanishes(
    hostler_server: StartServer, gate: Gate, vanish: Callable[[socket.socket], None], threads: str
) -> None:
    server = hostler_server(APP, "--threads", threads, env=gate.env)
    worker = worker_of(server)
    before = count_descriptors(worker)
    for turn in range(1, 6):
        stream = server.connect()
        stream.sendall(b"GET /pieces?100000000 HTTP/1.1\r\nHost: test\r\n\r\n")
        assert stream.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        vanish(stream)
        gate.wait("closed", turn)
    assert server.get("/").body == b"hello\n"
    wait_until(lambda: count_descriptors(worker) <= before, f"{before} descriptors as before")


def test_client_that_vanishes_while_the_application_runs_is_forgotten(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    worker = worker_of(server)
    before = count_descriptors(worker)
    for turn in range(1, 6):
        stream = server.connect()
        stream.sendall(b"GET /drip HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("drip", turn)
        reset(stream)
        assert server.get("/").body == b"hello\n"
        gate.release("drip")
        gate.wait("closed", turn)
    wait_until(lambda: count_descriptors(worker) <= before, f"{before} descriptors as before")


@pytest.mark.parametrize("path, size", [("/", 6), ("/whole?3000000", 3_000_000), ("/pieces?1048576", 1_048_576)])
def test_half_closed_client_gets_its_answer(hostler_server: StartServer, gate: Gate, path: str, size: int) -> None:
    server = hostler_server(APP, env=gate.env)
    with server.connect() as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        stream.shutdown(socket.SHUT_WR)
        with stream.makefile("rb") as answers:
            status, body = read_answer(answers)
            assert (status, len(body)) == (200, size)
            assert answers.read() == b"", "the server closes, too"


def test_half_closed_client_gets_the_answer_of_a_slow_call(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    with server.connect() as stream:
        stream.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
        stream.shutdown(socket.SHUT_WR)
        gate.wait("wait")
        assert server.get("/").body == b"hello\n"  # the end was seen by now
        gate.release("wait")
        assert b"".join(iter(lambda: stream.recv(65536), b"")).endswith(b"waited\n")


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("half_close", [False, True])
def test_a_hundred_requests_in_one_packet_are_answered_in_order(
    hostler_server: StartServer, threads: str, half_close: bool
) -> None:
    server = hostler_server(APP, "--threads", threads)
    request = b"".join(b"GET /echo-path?%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(100))
    with server.connect() as stream:
        stream.sendall(request)
        if half_close:
            stream.shutdown(socket.SHUT_WR)
        with stream.makefile("rb") as answers:
            for number in range(100):
                answer = read_answer(answers)
                assert answer == (200, str(number).encode())


@pytest.mark.parametrize("threads", ["1", "4"])
def test_pipelined_slow_and_quick_requests_are_answered_in_order(
    hostler_server: StartServer, gate: Gate, threads: str
) -> None:
    server = hostler_server(APP, "--threads", threads, env=gate.env)
    paths = ["/wait", "/echo-path?1", "/error", "/echo-path?2", "/pieces?65536", "/echo-path?3"]
    with server.connect() as stream:
        stream.sendall(b"".join(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % path.encode() for path in paths))
        gate.wait("wait")
        gate.release("wait")
        with stream.makefile("rb") as answers:
            assert read_answer(answers) == (200, b"waited\n")
            assert read_answer(answers) == (200, b"1")
            assert read_answer(answers)[0] == 500
            assert read_answer(answers) == (200, b"2")
            assert read_answer(answers) == (200, b"x" * 65536)
            assert read_answer(answers) == (200, b"3")
