"""The control socket among clients that are slow, many, or mad: supervision goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import RunningServer, StartServer, wait_until
from tests.e2e.operator import dial, exchange, fetch, find_socket, operate

APP = "tests.e2e.apps.operated:app"
REQUEST = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
# Seconds in which a worker that crashed is back, on a machine that has other things to do as well.
SOON = 5.0


@pytest.fixture(name="server")
def fixture_server(hostler_server: StartServer) -> RunningServer:
    return hostler_server(APP)


def crash_and_return(server: RunningServer) -> float:
    """Kill the worker; return the seconds until another one has answered a request."""
    (worker,) = server.children()
    begin = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    with contextlib.suppress(OSError):
        # The connection may have been the old one's.
        server.get("/")
    assert server.get("/").status == 200
    return time.monotonic() - begin


@contextmanager
def crowd(count: int, act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Have threads do something again and again for as long as the block lasts."""
    is_over = threading.Event()
    threads = [threading.Thread(target=act, args=(is_over,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def read_memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_flood_of_requests_delays_no_restart(server: RunningServer) -> None:
    path = find_socket(server)

    def flood(is_over: threading.Event) -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError), dial(path, 2) as stream:
                stream.sendall(REQUEST * 100)
                while not is_over.is_set() and stream.recv(65536):
                    stream.sendall(REQUEST)

    before = read_memory(server.pid)
    with crowd(6, flood):
        for _ in range(3):
            assert crash_and_return(server) < SOON
        assert operate(server, "status").returncode == 0
    assert read_memory(server.pid) - before < 16 * 1024 * 1024


def test_thousand_connections_delay_no_restart_and_keep_nobody_out(server: RunningServer) -> None:
    path = find_socket(server)
    held: list[socket.socket] = []
    try:
        for _ in range(1000):
            stream = socket.socket(socket.AF_UNIX)
            stream.setblocking(False)
            held.append(stream)
            # Those that find the queue full are as mad as the others: they hold what they got.
            with contextlib.suppress(BlockingIOError):
                stream.connect(str(path))
        assert crash_and_return(server) < SOON
        done = operate(server, "status")
        assert done.returncode == 0, done.stderr
    finally:
        for stream in held:
            stream.close()
    assert len(list(Path(f"/proc/{server.pid}/fd").iterdir())) < 80


def test_client_that_dribbles_is_let_go_and_disturbs_nobody(server: RunningServer) -> None:
    path = find_socket(server)
    begin = time.monotonic()
    with dial(path) as slow:
        with contextlib.suppress(ConnectionError):
            for byte in REQUEST * 10:
                slow.send(bytes([byte]) if byte not in b"\r\n" else b"x")
                assert fetch(path, "/v1/requests")[0] == 200
                slow.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    if slow.recv(1) == b"":
                        break
        assert 3.0 < time.monotonic() - begin < 20.0


def test_clients_that_take_no_answers_disturb_nobody(server: RunningServer) -> None:
    path = find_socket(server)
    with contextlib.ExitStack() as ends:
        for _ in range(20):
            greedy = ends.enter_context(dial(path, 0.2))
            with contextlib.suppress(TimeoutError, ConnectionError):
                greedy.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
        assert fetch(path, "/v1/status")[0] == 200
        assert crash_and_return(server) < SOON


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 100_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 1000,
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1_000_000,
        b"POST /v1/scale HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n",
        b"POST /v1/scale HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n" + b"[" * 5,
        b"GET /v1/workers/999999999999999/stacks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
def test_garbage_is_answered_or_dropped(server: RunningServer, garbage: bytes) -> None:
    path = find_socket(server)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        assert exchange(path, garbage).startswith(b"HTTP/1.1 4")
    assert fetch(path, "/v1/status")[0] == 200


def test_worker_that_floods_the_log_disturbs_nobody(server: RunningServer) -> None:
    def fail(is_over: threading.Event) -> None:
        while not is_over.is_set():
            server.get("/fail")

    path = find_socket(server)
    with crowd(2, fail):
        for _ in range(20):
            assert fetch(path, "/v1/logs")[0] == 200
        assert operate(server, "status").returncode == 0
    wait_until(lambda: "kitchen" in str(fetch(path, "/v1/logs")[1]["lines"]), "records are kept")
