"""Reloading, recycling and stopping while requests come in: none of them fails."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, ServerError, StartServer, wait_until
from tests.e2e.load import StrictLoad, Wrk

APP = "tests.e2e.apps.robust:app"
FindPeer = Callable[[str], str]

# The promise is a minute; a developer's own loop may be shorter: HOSTLER_SOAK_SECONDS=10.
SOAK_SECONDS = int(os.environ.get("HOSTLER_SOAK_SECONDS", "60"))


def reload_once(server: RunningServer) -> None:
    """Reload, and wait until all workers are others."""
    before = set(server.children())
    server.signal(signal.SIGHUP)
    wait_until(lambda: bool(now := set(server.children())) and not before & now, "new workers only")


@pytest.mark.soak
@pytest.mark.timeout(SOAK_SECONDS + 60)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_request_fails_while_every_second_brings_a_reload(
    hostler_server: StartServer, find_peer: FindPeer, workers: str
) -> None:
    """Half of the minute with one worker, half with two."""
    seconds = max(SOAK_SECONDS // 2, 2)
    server = hostler_server(APP, "--workers", workers, "--threads", "4")
    before = set(server.children())
    pid = server.pid
    with (
        Wrk(find_peer("wrk"), server.url + "/", seconds) as wrk,
        StrictLoad(server, "/work", b"worked\n", 4) as slow,
        StrictLoad(server, "/", b"hello\n", 2) as quick,
    ):
        begin = time.monotonic()
        for second in range(1, seconds):
            slow.wait_served(1)
            quick.wait_served(1)
            _wait_until_time(begin + second)
            os.kill(pid, signal.SIGHUP)
        report = wrk.report()
        tallies = slow.finish(), quick.finish()
    assert [tally.failures for tally in tallies] == [[], []]
    assert (report.errors, report.unexpected) == (0, 0)
    assert all(tally.served > 10 * seconds for tally in tallies)
    assert not before & set(server.children())


def _wait_until_time(point: float) -> None:
    """Wait for a point in time, which is all that is waited for here: the pace is part of the promise."""
    with pytest.raises(ServerError):
        wait_until(lambda: time.monotonic() >= point + 3600, "", timeout=max(point - time.monotonic(), 0))


@pytest.mark.parametrize("workers", ["1", "3"])
def test_no_request_fails_over_ten_reloads_in_a_row(hostler_server: StartServer, workers: str) -> None:
    server = hostler_server(APP, "--workers", workers, "--threads", "4")
    with StrictLoad(server, "/work", b"worked\n", 6) as load:
        for _ in range(10):
            load.wait_served(20)
            reload_once(server)
        load.wait_served(20)
        assert load.finish().failures == []


def test_no_request_fails_while_a_preloaded_application_is_reloaded(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "2", "--preload")
    with StrictLoad(server, "/work", b"worked\n", 6) as load:
        for _ in range(5):
            load.wait_served(20)
            reload_once(server)
        load.wait_served(20)
        assert load.finish().failures == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_request_fails_while_workers_are_recycled(hostler_server: StartServer, workers: str) -> None:
    options = ("--max-requests", "200", "--workers-max-requests-jitter", "100")
    server = hostler_server(APP, "--workers", workers, *options)
    seen: set[int] = set()
    with StrictLoad(server, "/work", b"worked\n", 4) as slow, StrictLoad(server, "/", b"hello\n", 2) as quick:

        def is_recycled_often() -> bool:
            seen.update(server.children())
            return len(seen) > 8

        wait_until(is_recycled_often, "more than eight workers")
        slow.wait_served(50)
        assert [load.finish().failures for load in (slow, quick)] == [[], []]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_requests_in_flight_are_finished_after_the_order_to_stop(
    hostler_server: StartServer, gate: Gate, workers: str
) -> None:
    server = hostler_server(APP, "--workers", workers, "--threads", "8", env=gate.env)
    streams = [server.connect() for _ in range(6)]
    for stream in streams:
        stream.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
    gate.wait("wait", 6)
    server.signal(signal.SIGTERM)
    server.notifications.wait_for("STOPPING=1")
    gate.release("wait")
    for stream in streams:
        with stream:
            answer = b"".join(iter(lambda: stream.recv(65536), b""))  # noqa: B023 - used at once
            assert answer.endswith(b"waited\n")
    assert server.wait() == 0


def test_stop_under_load_breaks_no_answer(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "2")
    with StrictLoad(server, "/work", b"worked\n", 8) as load:
        load.wait_served(100)
        server.signal(signal.SIGTERM)
        server.notifications.wait_for("STOPPING=1")
        assert server.wait() == 0
        tally = load.finish()
    # After the end nobody listens, so clients are refused. The kernel may take a connection in the instant between a
    # worker's last look and the closing of its listener, and resets it then: not more than one for a client.
    resets = [failure for failure in tally.failures if "ConnectionRefusedError" not in failure]
    assert all(failure.startswith("ConnectionResetError on a fresh connection") for failure in resets), resets
    assert len(resets) <= 8


def test_broken_application_never_replaces_one_that_serves(hostler_server: StartServer, tmp_path: Path) -> None:
    module = tmp_path / "shop.py"
    shutil.copy(Path(__file__).parent / "apps" / "robust.py", module)
    server = hostler_server("shop:app", "--workers", "2", "--chdir", str(tmp_path))
    before = server.children()
    with StrictLoad(server, "/work", b"worked\n", 4) as load:
        module.write_text("raise RuntimeError('a broken release')\n")
        for attempt in range(1, 4):
            server.signal(signal.SIGHUP)
            server.stderr.wait_for("a broken release", count=attempt)
            load.wait_served(50)
        assert load.finish().failures == []
    assert server.children() == before
    shutil.copy(Path(__file__).parent / "apps" / "robust.py", module)
    reload_once(server)
    assert server.get("/").body == b"hello\n"
