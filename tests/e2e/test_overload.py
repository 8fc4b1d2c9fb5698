"""More requests than can be served: those that waited for too long are turned away, the others are served in time."""

from __future__ import annotations

import threading
import time

import pytest

from bench.arrivals import Arrivals, run_arrivals
from tests.conformance.websocket_wire import WebSocketWire
from tests.e2e.asgi import asgi_options
from tests.e2e.board import scoreboard_of
from tests.e2e.harness import RunningServer, StartServer

WSGI = ("tests.e2e.apps.steady:app", "--workers", "1", "--threads", "1")
ASGI = ("tests.e2e.apps.steady:asgi", "--workers", "1", *asgi_options("asyncio"))
KINDS = pytest.mark.parametrize("kind", [WSGI, ASGI], ids=["wsgi", "asgi"])
SHEDDING = ("--overload-target", "50ms")
# What the application allows.
CAPACITY = 100.0
# The target of 50 ms, the call itself, and what a busy machine may add to both. After a second of twice the capacity
# the queue of a server that serves all is longer than this already, and grows by half a second in each second.
BOUND = 0.35


def load(server: RunningServer, rate: float, seconds: float) -> Arrivals:
    return run_arrivals(server.host, server.port, rate, seconds)


def measure_capacity(server: RunningServer) -> float:
    """Ask one request after the other: what this machine allows at the moment, per second."""
    count = 40
    start = time.monotonic()
    for _ in range(count):
        assert server.get("/").status == 200
    return count / (time.monotonic() - start)


@KINDS
def test_latency_is_bounded_at_twice_the_capacity(hostler_server: StartServer, kind: tuple[str, ...]) -> None:
    server = hostler_server(*kind, *SHEDDING)
    with scoreboard_of(server) as board:
        capacity = measure_capacity(server)
        found = load(server, 2 * CAPACITY, 3)
        shed = board.read().counts.shed
    assert found.count(200) + found.count(503) == len(found.answers)
    assert all(answer.retry_after for answer in found.answers if answer.status == 503)
    assert found.count(503) == shed > 0
    assert found.count(200) / found.seconds >= 0.8 * capacity, capacity
    settled = Arrivals(found.answers[len(found.answers) // 3 :], 2)
    assert settled.percentile(0.99) <= BOUND, settled.percentile(0.5)
    # Nothing of it is left behind.
    assert load(server, 0.3 * CAPACITY, 1).count(200) == 30
    assert server.log().count("overloaded: requests have waited") == 1
    server.stderr.wait_for(f"no longer overloaded: {shed} requests were answered 503")


@KINDS
def test_nothing_is_shed_below_the_capacity(hostler_server: StartServer, kind: tuple[str, ...]) -> None:
    server = hostler_server(*kind, *SHEDDING)
    assert load(server, 0.5 * CAPACITY, 2).count(200) == 100
    assert "overloaded" not in server.log()


@KINDS
def test_everything_is_served_however_late_by_default(hostler_server: StartServer, kind: tuple[str, ...]) -> None:
    server = hostler_server(*kind)
    found = load(server, 3 * CAPACITY, 1)
    assert found.count(200) == 300
    # That it was overload, and would have been shed.
    assert found.percentile(0.99) > 1


@KINDS
def test_one_slow_request_sheds_nothing(hostler_server: StartServer, kind: tuple[str, ...]) -> None:
    server = hostler_server(*kind, *SHEDDING)
    slow = threading.Thread(target=server.get, args=("/slow",))
    slow.start()
    found = load(server, 10, 0.9)
    slow.join()
    assert found.count(200) == 9
    assert "overloaded" not in server.log()


def test_open_websockets_are_left_alone(hostler_server: StartServer) -> None:
    server = hostler_server(*ASGI, *SHEDDING)
    with WebSocketWire.open(server, "/") as socket:
        assert load(server, 3 * CAPACITY, 1).count(503) > 0
        socket.send_text("still here?")
        assert socket.read_text() == "still here?"
