"""The slowest requests of late, of real workers: under every interface and protocol, and after their worker's end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hostler.telemetry.layout import SLOW_ROWS
from hostler.telemetry.reading import SlowRequestReading
from hostler.telemetry.scoreboard import Scoreboard
from tests.conformance.http2_wire import Http2Wire
from tests.conformance.websocket_wire import WebSocketWire
from tests.e2e.asgi import asgi_options
from tests.e2e.board import scoreboard_of
from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, StartServer, wait_until

WSGI = ("tests.e2e.apps.robust:app", "--threads", "3")
ASGI = ("tests.e2e.apps.asgi_robust:app", *asgi_options("asyncio"))
KINDS = pytest.mark.parametrize("kind", [WSGI, ASGI], ids=["wsgi", "asgi"])
# What makes a request slow here: far more than those beside it take, also on a busy machine.
SLOW = 0.5
Ask = Callable[[RunningServer, str], int]


def read(board: Scoreboard, path: str) -> SlowRequestReading:
    """Return the slowest request for a path, once it has ended."""

    def find() -> list[SlowRequestReading]:
        return [request for request in board.read_slowest(1_000).requests if request.path == path]

    wait_until(lambda: bool(find()), f"the end of {path}")
    return find()[0]


def ask_slowly(
    server: RunningServer, board: Scoreboard, gate: Gate, path: str = "/wait", ask: Ask | None = None
) -> int:
    """Have a request take `SLOW` seconds at least; return the status of its response."""
    asking = ask or (lambda server, path: server.get(path).status)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(asking, server, path)
        gate.wait("wait")
        wait_until(lambda: max(worker.oldest for worker in board.read().workers) > SLOW, "a slow request")
        gate.release("wait")
        return call.result()


def ask_http2(server: RunningServer, path: str) -> int:
    with Http2Wire.to(server) as wire:
        return wire.ask("GET", path).status


@KINDS
@pytest.mark.parametrize("ask", [None, ask_http2], ids=["http1", "http2"])
def test_slow_request_is_shown_after_its_end_and_stays_whatever_follows(
    hostler_server: StartServer, gate: Gate, kind: tuple[str, ...], ask: Ask | None
) -> None:
    server = hostler_server(*kind, "--workers", "1", env=gate.env)
    with scoreboard_of(server) as board:
        assert ask_slowly(server, board, gate, ask=ask) == 200
        for _ in range(2 * SLOW_ROWS):
            server.get("/")
        wait_until(lambda: board.read().counts.finished == 2 * SLOW_ROWS + 1, "the end of all requests")
        first, *others = board.read_slowest(SLOW_ROWS).requests
    assert (first.method, first.path, first.client, first.status) == ("GET", "/wait", "127.0.0.1", 200)
    assert (first.worker, first.pid) == (1, server.children()[0])
    assert first.protocol == ("HTTP/2.0" if ask else "HTTP/1.1")
    assert first.duration > SLOW
    assert SLOW < first.application_time <= first.duration
    assert first.waited + first.application_time == pytest.approx(first.duration, abs=0.2)
    assert first.body_sent == len(b"waited\n")
    assert first.id
    assert [request.path for request in others] == ["/"] * (SLOW_ROWS - 1)
    assert all(request.duration < first.duration for request in others)


def test_call_of_a_mounted_application_is_shown(hostler_server: StartServer, gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "hostler.toml").write_text(
        f'app.target = "{ASGI[0]}"\napp.mounts = {{ "/old" = "{WSGI[0]}" }}\nworkers.count = 1\n'
    )
    server = hostler_server(None, cwd=tmp_path, env=gate.env)
    with scoreboard_of(server) as board:
        assert ask_slowly(server, board, gate, "/old/wait") == 200
        found = read(board, "/old/wait")
    assert found.application_time > SLOW


@pytest.mark.parametrize("app, path", [("tests.e2e.apps.late:app", "/spin"), ("tests.e2e.apps.late_asgi:app", "/wait")])
def test_request_that_its_deadline_ended_is_shown(hostler_server: StartServer, app: str, path: str) -> None:
    server = hostler_server(app, "--workers", "1", "--deadlines-default", "0.3")
    with scoreboard_of(server) as board:
        assert server.get(path).status == 503
        found = read(board, path)
    assert (found.status, found.is_lost) == (503, False)
    assert found.duration >= 0.25


def test_request_whose_client_gave_up_is_shown_without_a_status(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(*WSGI, "--workers", "1", env=gate.env)
    with scoreboard_of(server) as board:
        with server.connect() as client:
            client.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
            gate.wait("wait")
            wait_until(lambda: board.read().workers[0].oldest > SLOW, "a slow request")
        gate.release("wait")
        assert read(board, "/wait").application_time > SLOW


@KINDS
def test_requests_that_never_reached_the_application_are_left_out(
    hostler_server: StartServer, kind: tuple[str, ...]
) -> None:
    """Half a request, kept back for long, displaces nothing; nor does one that is not HTTP."""
    server = hostler_server(*kind, "--workers", "1", "--http-head-timeout", "0.2")
    with scoreboard_of(server) as board:
        server.exchange(b"BROKEN\r\n\r\n")
        assert b" 408 " in server.exchange(b"GET /half HTTP/1.1\r\n")
        server.get("/")
        read(board, "/")
        wait_until(lambda: board.read().counts.finished >= 3, "the end of all of them")
        assert [request.path for request in board.read_slowest(100).requests] == ["/"]


def test_websockets_are_left_out(hostler_server: StartServer, tmp_path: Path) -> None:
    server = hostler_server(*ASGI, "--workers", "1", "--access-log", str(tmp_path / "access.log"))
    with scoreboard_of(server) as board:
        with WebSocketWire.open(server, "/echo") as client:
            assert client.send_text("hay").read_text() == "hay"
        server.get("/")
        wait_until(lambda: board.read().counts.finished == 2, "the end of both")
        assert board.read().counts.responses_1xx == 1
        assert [request.path for request in board.read_slowest(100).requests] == ["/"]


def test_worker_that_is_killed_leaves_what_it_knew_and_what_it_was_at(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(*WSGI, "--workers", "1", env=gate.env)
    with scoreboard_of(server) as board, server.connect() as client:
        assert ask_slowly(server, board, gate) == 200
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("hang")
        (worker,) = board.read().workers
        server.signal(signal.SIGKILL, worker.pid)
        lost = read(board, "/hang")
        kept = read(board, "/wait")
    assert (lost.is_lost, lost.status, lost.pid, lost.method) == (True, 0, worker.pid, "GET")
    assert (kept.is_lost, kept.status, kept.pid) == (False, 200, worker.pid)


def test_reload_forgets_nothing(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(*ASGI, "--workers", "2", env=gate.env)
    with scoreboard_of(server) as board:
        assert ask_slowly(server, board, gate) == 200
        former = {worker.pid for worker in board.read().workers}
        server.signal(signal.SIGHUP)
        server.stderr.wait_for("reloaded")
        wait_until(lambda: not former & {worker.pid for worker in board.read().workers}, "the end of the old workers")
        assert read(board, "/wait").pid in former
