"""Slow calls, quick calls and threads in one worker: leader and followers with real processes."""

from __future__ import annotations

import json
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import Response, RunningServer, StartServer
from tests.e2e.vitals import count_threads

APP = "tests.e2e.apps.robust:app"
GET = b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n"


def get_side_by_side(server: RunningServer, pool: ThreadPoolExecutor, path: str, count: int) -> list[Future[Response]]:
    return [pool.submit(server.get, path) for _ in range(count)]


def worker_of(server: RunningServer) -> int:
    pid: int = json.loads(server.get("/process").text)["pid"]
    return pid


def read_until(stream: socket.socket, wanted: bytes) -> bytes:
    received = b""
    while wanted not in received:
        piece = stream.recv(65536)
        assert piece, f"the connection ended after {received!r}"
        received += piece
    return received


def read_to_end(stream: socket.socket) -> None:
    """Read the rest of a chunked answer."""
    tail = b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        piece = stream.recv(1 << 20)
        assert piece
        tail = (tail + piece)[-8:]


@pytest.mark.parametrize("threads", [2, 8, 32])
def test_as_many_slow_calls_as_threads_run_side_by_side(hostler_server: StartServer, threads: int) -> None:
    server = hostler_server(APP, "--threads", str(threads))
    with ThreadPoolExecutor(threads) as pool:
        answers = get_side_by_side(server, pool, f"/meet?{threads}", threads)
        assert [answer.result().body for answer in answers] == [b"met\n"] * threads


def test_quick_calls_are_answered_while_all_threads_but_one_are_held(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "8", env=gate.env)
    with ThreadPoolExecutor(7) as pool:
        slow = get_side_by_side(server, pool, "/wait", 7)
        gate.wait("wait", 7)
        for _ in range(500):
            assert server.get("/").body == b"hello\n"
        assert not any(answer.done() for answer in slow)
        gate.release("wait")
        assert [answer.result().body for answer in slow] == [b"waited\n"] * 7


def test_quick_calls_pass_slow_ones_that_keep_coming(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "3", env=gate.env)
    with ThreadPoolExecutor(2) as pool:
        for turn in range(1, 31):
            slow = get_side_by_side(server, pool, "/wait", 2)
            gate.wait("wait", 2 * turn)
            assert server.get("/").body == b"hello\n"
            gate.release("wait")
            assert [answer.result().status for answer in slow] == [200, 200]


def test_more_slow_calls_than_threads_wait_and_are_served(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "4", env=gate.env)
    with ThreadPoolExecutor(20) as pool:
        slow = get_side_by_side(server, pool, "/wait", 20)
        for entered in range(4, 21):
            gate.wait("wait", entered)
            # Four hold all threads; each that leaves lets exactly one in.
            assert gate.count("wait") == entered
            gate.release("wait", 1)
        gate.release("wait")
        assert [answer.result().body for answer in slow] == [b"waited\n"] * 20


def test_all_threads_held_and_freed_serve_quick_calls_again(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    with ThreadPoolExecutor(4) as pool:
        slow = get_side_by_side(server, pool, "/wait", 2)
        gate.wait("wait", 2)
        quick = get_side_by_side(server, pool, "/", 2)
        gate.release("wait")
        assert {answer.result().status for answer in slow + quick} == {200}


def test_calls_see_real_threads_with_locals_of_their_own(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "4", env=gate.env)
    with ThreadPoolExecutor(4) as pool:
        slow = get_side_by_side(server, pool, "/thread?held", 4)
        gate.wait("held", 4)
        gate.release("held")
        told: list[dict[str, Any]] = [json.loads(answer.result().text) for answer in slow]
    assert len({each["native"] for each in told}) == len({each["ident"] for each in told}) == 4
    assert all(each["is_listed"] and not each["is_dummy"] for each in told)
    assert [each["is_main"] for each in told].count(True) == 1
    assert {each["calls"] for each in told} == {1}


def test_thread_locals_live_as_long_as_their_thread(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--threads", "1")
    assert [json.loads(server.get("/thread").text)["calls"] for _ in range(3)] == [1, 2, 3]


def test_threads_are_started_when_they_are_needed(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "64", env=gate.env)
    worker = worker_of(server)
    for _ in range(100):
        server.get("/")
    # The leader and the one that watches it; a third if a quick call was taken for a late one on a busy machine.
    assert count_threads(worker) <= 3
    with ThreadPoolExecutor(16) as pool:
        slow = get_side_by_side(server, pool, "/wait", 16)
        gate.wait("wait", 16)
        assert 16 <= count_threads(worker) <= 19
        gate.release("wait")
        assert {answer.result().status for answer in slow} == {200}


@pytest.mark.parametrize("threads", ["1", "4"])
def test_client_that_takes_a_large_answer_slowly_stops_nobody(hostler_server: StartServer, threads: str) -> None:
    server = hostler_server(APP, "--threads", threads)
    with server.connect() as slow:
        slow.sendall(GET % b"/whole?50000000")
        read_until(slow, b"\r\n\r\n")
        for _ in range(20):
            assert server.get("/").body == b"hello\n"


@pytest.mark.parametrize("threads", ["1", "4"])
def test_client_that_sends_a_body_slowly_stops_nobody(hostler_server: StartServer, threads: str) -> None:
    server = hostler_server(APP, "--threads", threads)
    with server.connect() as slow:
        slow.sendall(b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n")
        for digit in b"0123456789":
            assert server.get("/").body == b"hello\n"
            slow.sendall(bytes([digit]))
        assert read_until(slow, b"10\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_streamed_answer_on_hold_stops_nobody(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    with server.connect() as slow:
        slow.sendall(GET % b"/drip")
        read_until(slow, b"first\n")
        gate.wait("drip")
        for _ in range(50):
            assert server.get("/").body == b"hello\n"
        gate.release("drip")
        read_until(slow, b"0\r\n\r\n")
    gate.wait("closed")


def test_streamed_answer_that_its_client_does_not_take_stops_nobody(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    with server.connect() as slow:
        slow.sendall(GET % b"/pieces?67108864")
        read_until(slow, b"\r\n\r\n")
        for _ in range(50):
            assert server.get("/").body == b"hello\n"
        assert gate.count("closed") == 0  # back-pressure holds the application
        read_to_end(slow)
    gate.wait("closed")


def test_engine_goes_on_with_its_connections_while_the_only_thread_is_held_back(
    hostler_server: StartServer, gate: Gate
) -> None:
    server = hostler_server(APP, "--threads", "1", env=gate.env)
    size = 20_000_000
    with server.connect() as download, server.connect() as slow:
        download.sendall(GET % b"/whole?%d" % size)
        head = read_until(download, b"\r\n\r\n")
        slow.sendall(GET % b"/pieces?67108864")
        read_until(slow, b"\r\n\r\n")
        # The only thread waits for the slow client now; bytes of others move all the same.
        received = len(head.partition(b"\r\n\r\n")[2])
        while received < size:
            piece = download.recv(1 << 20)
            assert piece
            received += len(piece)
        assert server.exchange(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        read_to_end(slow)
        assert server.get("/").body == b"hello\n"


def test_call_that_was_held_back_by_its_client_and_goes_on_stops_nobody(
    hostler_server: StartServer, gate: Gate
) -> None:
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    size = 67_108_864
    with server.connect() as slow, server.connect() as other:
        other.sendall(GET % b"/wait")
        gate.wait("wait")
        # Now the thread that streams is the only one left, and has to see to the connections itself.
        slow.sendall(GET % b"/pieces-then-hold?%d" % size)
        received = len(read_until(slow, b"\r\n\r\n").partition(b"\r\n\r\n")[2])
        gate.release("wait")
        read_until(other, b"waited\n")
        while received < size:
            received += len(slow.recv(min(1 << 20, size - received)))
        gate.wait("hold")
        # It polls no more; the other one has to.
        for _ in range(50):
            assert server.get("/").body == b"hello\n"
        gate.release("hold")
        read_to_end(slow)


def test_streamed_request_body_on_hold_stops_nobody(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "2", "--http-request-body", "stream", env=gate.env)
    with server.connect() as slow:
        slow.sendall(b"POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\n")
        gate.wait("reading")
        for _ in range(50):
            assert server.get("/").body == b"hello\n"
        slow.sendall(b"abc")
        assert read_until(slow, b"3\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_only_thread_reads_a_streamed_body_that_comes_slowly(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "1", "--http-request-body", "stream", env=gate.env)
    with server.connect() as slow, server.connect() as quick:
        slow.sendall(b"POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\n")
        gate.wait("reading")
        quick.sendall(GET % b"/")  # waits for the thread, and is not lost
        assert server.exchange(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        slow.sendall(b"abc")
        assert read_until(slow, b"3\n").startswith(b"HTTP/1.1 200 OK\r\n")
        assert read_until(quick, b"hello\n").startswith(b"HTTP/1.1 200 OK\r\n")
