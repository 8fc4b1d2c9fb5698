"""What the scoreboard tells of real workers: at work, stuck, killed, replaced."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from hostler.telemetry.reading import Reading, compare
from hostler.telemetry.scoreboard import Scoreboard
from tests.conformance.websocket_wire import WebSocketWire
from tests.e2e.board import scoreboard_of
from tests.e2e.gate import Gate
from tests.e2e.harness import StartServer, wait_process_end, wait_until
from tests.e2e.load import StrictLoad

WSGI = "tests.e2e.apps.robust:app"
ASGI = "tests.e2e.apps.asgi_robust:app"


def read_after(board: Scoreboard, finished: int) -> Reading:
    """Read once so many requests have ended: a client has its answer a moment before."""
    wait_until(lambda: board.read().counts.finished >= finished, "the end of all requests")
    return board.read()


@pytest.mark.parametrize("app", [WSGI, ASGI])
def test_requests_are_counted_by_class_with_their_bytes_and_times(hostler_server: StartServer, app: str) -> None:
    server = hostler_server(app, "--workers", "1", "--threads", "3")
    with scoreboard_of(server) as board:
        for path in ("/", "/work", "/nothing"):
            server.get(path)
        server.exchange(b"BROKEN\r\n\r\n")
        read_after(board, 4)
        wait_until(lambda: board.read().workers[0].silent_for is None, "a worker that waits for clients")
        (worker,) = board.read().workers
    counts = worker.counts
    assert (worker.pid, worker.slot, worker.generation, worker.state) == (server.children()[0], 1, 1, "idle")
    assert (counts.connections, counts.requests, counts.refusals) == (4, 3, 1)
    assert (counts.responses["2xx"], counts.responses["4xx"], counts.failures) == (2, 2, 0)
    assert counts.bytes_received > 100
    assert counts.bytes_sent > 300
    # The route waits for five milliseconds.
    assert counts.busy_time > 0.005
    assert counts.application_time > 0.005
    assert counts.request_time.count == 4
    slowest = counts.request_time.percentile(1.0)
    assert slowest is not None
    assert slowest > 0.005


@pytest.mark.parametrize("app", [WSGI, ASGI])
def test_requests_in_the_application_are_shown(hostler_server: StartServer, gate: Gate, app: str) -> None:
    server = hostler_server(app, "--workers", "1", "--threads", "3", env=gate.env)
    with scoreboard_of(server) as board, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(server.get, "/wait"), pool.submit(server.get, "/wait?wait")]
        gate.wait("wait", 2)
        (worker,) = board.read().workers
        gate.release("wait")
        assert [call.result().status for call in calls] == [200, 200]
        assert worker.state == "busy"
        assert worker.in_flight == 2
        assert [(each.method, each.path, each.client) for each in worker.requests] == [
            ("GET", "/wait", "127.0.0.1")
        ] * 2
        assert len({each.id for each in worker.requests}) == 2
        assert worker.oldest > 0
        assert read_after(board, 2).workers[0].requests == ()


@pytest.mark.parametrize("app", ["/fail", "/error"])
def test_exceptions_of_the_application_are_counted(hostler_server: StartServer, app: str) -> None:
    server = hostler_server(ASGI if app == "/fail" else WSGI, "--workers", "1")
    with scoreboard_of(server) as board:
        assert server.get(app).status == 500
        counts = read_after(board, 1).counts
    assert (counts.failures, counts.responses["5xx"]) == (1, 1)


def test_websockets_are_connections_and_no_requests_in_flight(hostler_server: StartServer) -> None:
    server = hostler_server(ASGI, "--workers", "1")
    with scoreboard_of(server) as board:
        with WebSocketWire.open(server, "/echo") as client:
            assert client.send_text("hay").read_text() == "hay"
            (worker,) = board.read().workers
        assert (worker.websockets_open, worker.in_flight, worker.counts.websockets) == (1, 0, 1)
        wait_until(lambda: board.read().workers[0].websockets_open == 0, "the end of the WebSocket")


def test_stuck_worker_shows_its_request_and_its_silence(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(WSGI, "--workers", "1", "--threads", "4", env=gate.env)
    with scoreboard_of(server) as board, server.connect() as client:
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("hang")
        wait_until(lambda: (board.read().workers[0].silent_for or 0.0) > 1.5, "the silence of the worker")
        (worker,) = board.read().workers
        assert [request.path for request in worker.requests] == ["/hang"]
        assert worker.oldest > 1.5
        assert worker.state == "busy"
        server.signal(signal.SIGKILL, worker.pid)
        server.stderr.wait_for(f"worker 1 (pid {worker.pid}) ended in the midst of GET /hang from 127.0.0.1")


def test_worker_with_slow_requests_is_not_silent(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(ASGI, "--workers", "1", env=gate.env)
    with scoreboard_of(server) as board, ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.get, "/wait")
        gate.wait("wait")
        turns = board.read().counts.turns
        wait_until(lambda: board.read().counts.turns >= turns + 2, "two beats of a worker that has nothing to do")
        assert (board.read().workers[0].silent_for or 0.0) < 3.0
        gate.release("wait")
        assert call.result().status == 200


def test_killed_workers_leave_what_they_did_in_the_sum(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, "--workers", "2", "--threads", "4")
    with scoreboard_of(server) as board:
        seen = [board.read()]
        with StrictLoad(server, "/work", b"worked\n", 8) as load:
            for served in (100, 300):
                load.wait_served(served)
                victim = server.children()[0]
                server.signal(signal.SIGKILL, victim)
                while any(worker.pid == victim for worker in board.read().workers):
                    seen.append(board.read())
                wait_process_end(victim)
            load.wait_served(500)
            load.finish()
        wait_until(lambda: all(not worker.in_flight for worker in board.read().workers), "the end of all requests")
        seen.append(board.read())
    for earlier, later in pairwise(seen):
        assert later.is_consistent
        assert later.counts.requests >= earlier.counts.requests
        assert later.counts.responses["2xx"] >= earlier.counts.responses["2xx"]
        assert later.counts.busy_time >= earlier.counts.busy_time
    last = seen[-1]
    # Each killed worker may have been past the application with a request, and not at its end.
    missing = last.counts.requests - last.counts.finished - last.counts.lost
    assert 0 <= missing <= 2
    assert compare(seen[0], last).counts.responses["2xx"] >= 500


@pytest.mark.parametrize("options", [(), ("--preload",)])
def test_reload_gives_new_workers_blocks_of_their_own(
    hostler_server: StartServer, gate: Gate, options: tuple[str, ...]
) -> None:
    server = hostler_server(WSGI, "--workers", "1", "--threads", "2", *options, env=gate.env)
    with scoreboard_of(server) as board, ThreadPoolExecutor(1) as pool:
        call = pool.submit(server.get, "/wait")
        gate.wait("wait")
        server.signal(signal.SIGHUP)
        server.stderr.wait_for("reloaded")
        wait_until(lambda: board.read().workers[0].state == "draining", "the old worker's drain")
        old, new = board.read().workers
        assert (old.slot, old.generation, old.in_flight) == (1, 1, 1)
        assert (new.slot, new.generation, new.state) == (1, 2, "idle")
        assert old.pid != new.pid
        gate.release("wait")
        assert call.result().status == 200
        wait_until(lambda: len(board.read().workers) == 1, "the end of the old worker")
        assert board.read().counts.requests == 1
        assert board.read().counts.lost == 0


def test_requests_past_their_deadline_are_counted(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(ASGI, "--workers", "1", "--deadlines-default", "0.2", env=gate.env)
    with scoreboard_of(server) as board:
        assert server.get("/wait").status == 503
        counts = read_after(board, 1).counts
    assert (counts.expired, counts.responses["5xx"]) == (1, 1)
