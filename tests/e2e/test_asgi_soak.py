"""The engine inside of an event loop, under random clients."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.asgi_soak import TEXT, AsgiSoak, SocketWire, build_frame, build_handshake
from tests.e2e.harness import RunningServer, StartServer, wait_until
from tests.e2e.soak import Soak, Wire
from tests.e2e.vitals import count_descriptors

APP = "tests.e2e.apps.asgi_soak:app"
SECONDS = 5.0
# One task that serves, one that is asking, the lifespan's, and some spare ones (rust/src/python/asgi/runner.rs).
MOST_TASKS = 8

# What the application does on purpose leaves lines of these kinds.
EXPECTED = re.compile(
    r" /(?:fail|broken) failed in the application|without completing its response.* GET /nothing|"
    r"cancelled before its response was complete: GET /fail|Content-Length.* GET /(?:short|over)|"
    r"Task exception was never retrieved"
)
LINE = re.compile(r"^\d{4}-\d\d-\d\d \S+ \[\d+\] (?:WARN|ERROR|FATAL|CRIT).*$", re.MULTILINE)


def read_state(server: RunningServer) -> dict[str, Any]:
    with Wire(server.connect) as wire:
        wire.stream.sendall(Soak.get("state", 0, 0, fields="Connection: close\r\n"))
        state: dict[str, Any] = json.loads(wire.answer()[2])
    return state


def find_unexpected(log: str) -> list[str]:
    return [line for line in LINE.findall(log) if not EXPECTED.search(line)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("body", ["stream", "buffer"])
@pytest.mark.parametrize("loop", LOOPS)
def test_random_clients_get_every_byte_and_nothing_is_left_of_them(
    hostler_server: StartServer, loop: str, body: str
) -> None:
    options = (
        "--workers",
        "1",
        "--http-request-body",
        body,
        "--graceful-timeout",
        "10",
        "--websocket-ping-interval",
        "1s",
    )
    server = hostler_server(APP, *asgi_options(loop, *options))
    (worker,) = server.children()
    before = count_descriptors(worker)
    soak = AsgiSoak(server.connect, seed=LOOPS.index(loop) * 2 + (body == "buffer"), clients=10)
    soak.run(SECONDS)
    assert not soak.failures
    assert soak.checked > 100
    wait_until(lambda: not read_state(server)["running"], f"the end of all handlers: {read_state(server)}")
    wait_until(lambda: count_descriptors(worker) <= before + 1, f"{before} descriptors as before")
    state = read_state(server)
    assert (state["pid"], state["problems"]) == (worker, [])
    assert state["tasks"] <= MOST_TASKS
    load = AsgiSoak(server.connect, seed=100 + LOOPS.index(loop), clients=10)
    load.start()
    load.wait_checked(100)
    server.signal(signal.SIGTERM)
    assert server.wait(15) == 0
    load.finish()
    assert "soak: 0 handlers are left [], 0 problems []" in server.stderr.wait_end()
    assert find_unexpected(server.log()) == []


# What random clients have found.


def test_messages_of_a_client_that_is_gone_arrive_through_a_unix_socket(
    hostler_server: StartServer, tmp_path: Path
) -> None:
    # The kernel reports the end of both directions at once there, while the messages are still to be read.
    server = hostler_server(APP, "--workers", "1", *asgi_options("asyncio"), bind=f"unix:{tmp_path}/socket")
    with Wire(server.connect) as wire:
        client = SocketWire(wire)
        client.open("tally", 0)
        client.send(*[build_frame(TEXT, b"one of many")] * 20)
    wait_until(lambda: read_state(server)["tallies"] == [20], "20 messages")


@pytest.mark.parametrize("behind", [b"", build_frame(TEXT, b"early"), b"GET"])
def test_application_hears_of_the_end_of_a_client_that_left_more_behind(
    hostler_server: StartServer, behind: bytes
) -> None:
    server = hostler_server(APP, "--workers", "1", *asgi_options("asyncio"))
    with Wire(server.connect) as wire:
        wire.stream.sendall(build_handshake("wait", 0, 0) + behind)
        wait_until(lambda: read_state(server)["running"] == ["/wait"], "the application at work")
    wait_until(lambda: not read_state(server)["running"], "the end of the application")
