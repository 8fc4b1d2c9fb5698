"""New connections go to the worker that has least to do."""

from __future__ import annotations

import contextlib
import http.client
from collections import Counter

import pytest

from tests.e2e.asgi import asgi_options
from tests.e2e.gate import Gate
from tests.e2e.harness import PATIENCE, RunningServer, StartServer

WSGI = "tests.e2e.apps.late:app"
ASGI = "tests.e2e.apps.late_asgi:app"
WORKERS = 4
CONNECTIONS = 64
# A worker leaves new connections to others when it has two more than the least busy one, and an eighth of those; what
# comes beside that is what arrives while a worker looks.
MOST_APART = 6


def ask(connection: http.client.HTTPConnection) -> bytes:
    """Ask which worker serves a connection."""
    connection.request("GET", "/quick")
    return connection.getresponse().read()


def connect(server: RunningServer, stack: contextlib.ExitStack) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    return stack.enter_context(contextlib.closing(connection))


@pytest.mark.parametrize("target, options", [(WSGI, ()), (ASGI, asgi_options("asyncio"))])
def test_connections_that_stay_are_spread_evenly(
    hostler_server: StartServer, target: str, options: tuple[str, ...]
) -> None:
    server = hostler_server(target, "--workers", str(WORKERS), *options)
    with contextlib.ExitStack() as stack:
        found = Counter(ask(connect(server, stack)) for _ in range(CONNECTIONS))
    assert len(found) == WORKERS
    assert max(found.values()) - min(found.values()) <= MOST_APART, found


def burst(server: RunningServer) -> Counter[bytes]:
    """Open all connections before any is used, and return how many each worker has."""
    with contextlib.ExitStack() as stack:
        opened = [connect(server, stack) for _ in range(CONNECTIONS)]
        for connection in opened:
            connection.connect()
        return Counter(ask(connection) for connection in opened)


def test_connections_that_come_at_once_are_shared(hostler_server: StartServer) -> None:
    """Whoever is woken first does not take them all.

    How many it takes depends on when the others come to run, which a busy machine puts off: one burst of ten must do.
    """
    server = hostler_server(WSGI, "--workers", str(WORKERS))
    found: list[Counter[bytes]] = []
    for _ in range(10):
        found.append(burst(server))
        if len(found[-1]) == WORKERS and max(found[-1].values()) <= CONNECTIONS / 2:
            return
    pytest.fail(f"never shared: {found}")


def test_quick_requests_do_not_wait_behind_a_slow_one(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, "--workers", "2", "--threads", "4")
    with contextlib.ExitStack() as stack:
        slow = connect(server, stack)
        busy = ask(slow)
        # It keeps the interpreter of its worker, so that whoever lands there has to share it.
        slow.request("GET", "/spin")
        found = Counter(ask(stack.enter_context(contextlib.closing(connect(server, stack)))) for _ in range(4))
    assert found[busy] <= 1, (found, busy)


def test_stuck_worker_gets_no_connections(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(WSGI, "--workers", "2", "--threads", "1", env=gate.env)
    with contextlib.ExitStack() as stack:
        stuck = connect(server, stack)
        first = ask(stuck)
        stuck.request("GET", "/gate")
        gate.wait("late")
        found = Counter(ask(connect(server, stack)) for _ in range(12))
    assert first not in found
