"""Clients that are slow, idle or too many cost memory within a bound, no thread, and nobody else's time."""

from __future__ import annotations

import http.client
import json
import select
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import ROOT, RunningServer, StartServer, wait_until
from tests.e2e.vitals import MIB, count_descriptors, count_threads, resident_bytes

APP = "tests.e2e.apps.robust:app"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
SAMPLES = 3000


def worker_of(server: RunningServer) -> int:
    pid: int = json.loads(server.get("/process").text)["pid"]
    return pid


def read_all(stream: socket.socket) -> bytes:
    return b"".join(iter(lambda: stream.recv(65536), b""))


def read_answer(stream: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(stream)
    answer.begin()
    answer.read()
    return answer


def measure_latency(server: RunningServer) -> tuple[float, float]:
    """Median and 99th percentile of the seconds that a request takes on a kept connection."""
    times = []
    with server.connect() as stream:
        for _ in range(SAMPLES):
            begin = time.perf_counter()
            stream.sendall(GET)
            assert stream.recv(65536).endswith(b"hello\n")
            times.append(time.perf_counter() - begin)
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


@contextmanager
def slow_clients(port: int, idle: int, dribbling: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.e2e.dribble", str(port), str(idle), str(dribbling)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == f"ready {idle + dribbling}\n".encode()
        yield
        process.stdin.close()
    assert process.returncode == 0, "a slow client was cut off"


def test_idle_and_dribbling_connections_cost_a_normal_client_nothing(
    hostler_server: StartServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = hostler_server(APP, "--threads", "4")
    worker = worker_of(server)
    median, late = min(measure_latency(server) for _ in range(2))
    threads, memory = count_threads(worker), resident_bytes(worker)
    with slow_clients(server.port, 1000, 200):
        wait_until(lambda: count_descriptors(worker) > 1200, "1,200 connections in the worker")
        crowded_median, crowded_late = min(measure_latency(server) for _ in range(2))
        grown = resident_bytes(worker) - memory
        with capsys.disabled():
            sys.stdout.write(
                f"\nlatency alone {median * 1e6:.0f} µs (p99 {late * 1e6:.0f}), "
                f"in the crowd {crowded_median * 1e6:.0f} µs (p99 {crowded_late * 1e6:.0f}); "
                f"{grown / MIB:.1f} MiB for 1,200 connections\n"
            )
        # Twice, and a fifth of a millisecond for the machine's own noise: a server that looked at each connection in
        # each turn, or gave one a thread, would be out by far.
        assert crowded_median <= 2 * median + 0.0002
        assert crowded_late <= 5 * late + 0.005
        assert count_threads(worker) <= threads + 1
        # 5 KiB each; measured is about 1.
        assert grown < 6 * MIB


def test_head_that_does_not_end_in_time_is_answered_408(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--http-head-timeout", "200ms")
    answer = server.exchange(b"GET / HTTP/1.1\r\nHost: te")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close\r\n" in answer


def test_bytes_that_keep_coming_do_not_prolong_the_time_for_a_head(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--http-head-timeout", "300ms")
    with server.connect() as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nX: ")
        deadline = time.monotonic() + 10
        while not select.select([stream], [], [], 0.02)[0]:
            assert time.monotonic() < deadline, "the head's deadline was moved by its bytes"
            stream.sendall(b"x")
        assert stream.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_body_that_makes_no_progress_is_answered_408(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--http-body-timeout", "200ms")
    answer = server.exchange(b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_idle_connections_are_closed_without_a_word(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--http-keep-alive-timeout", "200ms", "--http-head-timeout", "300ms")
    with server.connect() as used, server.connect() as fresh:
        used.sendall(GET)
        answer = read_all(used)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"hello\n")
        assert read_all(fresh) == b""


def test_client_that_takes_nothing_of_its_answer_is_closed(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--http-write-timeout", "200ms", env=gate.env)
    worker = worker_of(server)
    before = count_descriptors(worker)
    with server.connect() as whole, server.connect() as pieces:
        whole.sendall(b"GET /whole?100000000 HTTP/1.1\r\nHost: test\r\n\r\n")
        pieces.sendall(b"GET /pieces?100000000 HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("closed")  # the application was let go
        wait_until(lambda: count_descriptors(worker) <= before, "both connections closed")
    assert server.get("/").body == b"hello\n"


def test_connections_beyond_the_limit_wait_and_are_served_later(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--limits-connections", "2")
    with server.connect() as first, server.connect() as second, server.connect() as third:
        for stream in (first, second):
            stream.sendall(GET)
            assert read_answer(stream).status == 200
        third.sendall(GET)
        # Both that are held go on being served; the third is not answered meanwhile.
        for _ in range(50):
            first.sendall(GET)
            assert read_answer(first).status == 200
        assert not select.select([third], [], [], 0.1)[0]
        second.close()
        assert read_answer(third).status == 200


def test_flood_of_partial_heads_is_refused_at_the_memory_limit(hostler_server: StartServer) -> None:
    server = hostler_server(
        APP, *(f"--limits-{name}=65536" for name in ("buffered-bytes", "body-memory", "response-buffer"))
    )
    flood = [server.connect() for _ in range(40)]
    for stream in flood:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nX-Part: " + b"x" * 8000)
    wait_until(lambda: bool(select.select(flood, [], [], 0)[0]), "refusals")
    for stream in flood:
        stream.sendall(b"y")  # those within the limit are still listened to
    wait_until(lambda: len(select.select(flood, [], [], 0)[0]) >= 20, "refusals of most of the flood")
    refused = select.select(flood, [], [], 0)[0]
    assert all(stream.recv(65536).startswith(b"HTTP/1.1 503 ") for stream in refused)
    assert len(refused) < len(flood), "some were within the limit"
    assert server.get("/").body == b"hello\n", "a head that comes whole is served all the same"
    for stream in flood:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()
    assert server.get("/").body == b"hello\n"
