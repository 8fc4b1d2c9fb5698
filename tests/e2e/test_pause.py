"""A pause: requests wait, none is lost, and what the application has goes on."""

from __future__ import annotations

import select
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import PATIENCE, RunningServer, StartServer, wait_process_end, wait_until
from tests.e2e.operator import ask_json, fetch, find_socket, operate
from tests.e2e.test_upgrade import upgrade

APP = "tests.e2e.apps.operated:app"
ASGI = "tests.e2e.apps.operated:asgi"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def read_answer(stream: socket.socket) -> bytes:
    """Read one answer of a connection that may stay open."""
    received = b""
    while not received.endswith(b"hello\n"):
        more = stream.recv(4096)
        assert more, f"the connection has ended after {received!r}"
        received += more
    return received


def load(server: RunningServer) -> list[dict[str, Any]]:
    _, answer = fetch(find_socket(server), "/v1/load")
    found: list[dict[str, Any]] = answer["workers"]
    return found


def ask_both(server: RunningServer, kept: socket.socket) -> socket.socket:
    """Send a request on a new connection, then on one that is open; return when a worker has the latter."""
    new = server.connect()
    new.sendall(REQUEST)
    kept.sendall(REQUEST)
    wait_until(lambda: sum(worker["waiting"] for worker in load(server)) == 1, "the request waits in the worker")
    assert select.select([new, kept], [], [], 0)[0] == []
    return new


@pytest.mark.parametrize("app", [APP, ASGI])
def test_requests_wait_until_the_server_is_resumed(hostler_server: StartServer, app: str) -> None:
    server = hostler_server(app, "--workers", "2")
    with server.connect() as kept:
        kept.sendall(REQUEST)
        read_answer(kept)
        assert operate(server, "pause").stdout == "paused: requests wait until `hostler resume`\n"
        with ask_both(server, kept) as new:
            assert operate(server, "pause").stdout == "it was paused already\n"
            assert operate(server, "status").stdout.startswith(f"{ask_json(server, 'status')['name']}: running, paused")
            # Of all connections only the one from before is a worker's.
            assert sum(worker["connections_open"] for worker in load(server)) == 1
            assert operate(server, "resume").stdout == "resumed\n"
            assert b"200 OK" in read_answer(new)
            assert b"200 OK" in read_answer(kept)
    assert operate(server, "resume").stdout == "it was not paused\n"
    assert ask_json(server, "status")["is_paused"] is False


def test_request_in_progress_is_finished(hostler_server: StartServer, tmp_path: Path) -> None:
    server = hostler_server(APP)
    gate = tmp_path / "gate"
    with server.connect() as stream:
        stream.sendall(f"GET /wait?{gate} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: ask_json(server, "requests")["requests"] != [], "it is in the application")
        operate(server, "pause")
        gate.touch()
        assert b"200 OK" in read_answer(stream)


def test_requests_that_have_waited_are_not_turned_away(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--threads", "1", "--overload-target", "1ms", "--overload-interval", "1ms")
    with server.connect() as kept:
        kept.sendall(REQUEST)
        read_answer(kept)
        operate(server, "pause")
        with ask_both(server, kept) as new:
            operate(server, "resume")
            assert b"200 OK" in read_answer(kept)
            assert b"200 OK" in read_answer(new)


@pytest.mark.parametrize("options", [(), ("--preload",), ("--reuse-port",)], ids=["plain", "preloaded", "own sockets"])
def test_pause_outlives_a_reload(hostler_server: StartServer, options: tuple[str, ...]) -> None:
    server = hostler_server(APP, *options)
    operate(server, "pause")
    with server.connect() as new:
        new.sendall(REQUEST)
        before = [worker["pid"] for worker in load(server)]
        assert operate(server, "reload").returncode == 0
        for pid in before:
            wait_process_end(pid)
        assert select.select([new], [], [], 0)[0] == []
        operate(server, "resume")
        assert b"200 OK" in read_answer(new)


def test_worker_that_ends_serves_what_it_has(hostler_server: StartServer) -> None:
    server = hostler_server(APP)
    with server.connect() as kept:
        kept.sendall(REQUEST)
        read_answer(kept)
        operate(server, "pause")
        with ask_both(server, kept) as new:
            assert operate(server, "reload").returncode == 0
            assert b"200 OK" in read_answer(kept)
            assert select.select([new], [], [], 0)[0] == []
            operate(server, "resume")
            assert b"200 OK" in read_answer(new)


def test_stop_serves_what_has_waited(hostler_server: StartServer) -> None:
    server = hostler_server(APP)
    operate(server, "pause")
    with server.connect() as new:
        new.sendall(REQUEST)
        server.signal(signal.SIGTERM)
        assert b"200 OK" in read_answer(new)
    assert server.wait() == 0


def test_pause_outlives_an_upgrade(hostler_server: StartServer) -> None:
    server = hostler_server(APP)
    operate(server, "pause")
    with server.connect() as new:
        new.sendall(REQUEST)
        pid = upgrade(server)
        wait_until(lambda: ask_json(server, "status")["pid"] == pid, "the new supervisor has the control socket")
        assert ask_json(server, "status")["is_paused"] is True
        assert select.select([new], [], [], 0)[0] == []
        operate(server, "resume")
        new.settimeout(PATIENCE)
        assert b"200 OK" in read_answer(new)


def test_pause_is_refused_while_the_server_stops(hostler_server: StartServer, tmp_path: Path) -> None:
    server = hostler_server(APP)
    gate = tmp_path / "gate"
    with server.connect() as stream:
        stream.sendall(f"GET /wait?{gate} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: ask_json(server, "requests")["requests"] != [], "it is in the application")
        server.signal(signal.SIGTERM)
        wait_until(lambda: ask_json(server, "status")["phase"] == "stopping", "the server stops")
        done = operate(server, "pause")
        assert (done.returncode != 0, "the server is stopping" in done.stderr) == (True, True)
        gate.touch()
        assert b"200 OK" in read_answer(stream)
