"""The number of workers follows the load, down to none."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import RunningServer, StartServer, wait_until
from tests.e2e.load import StrictLoad, Wrk

FindPeer = Callable[[str], str]
APP = "tests.e2e.apps.robust:app"
ASGI_APP = "tests.e2e.apps.asgi_robust:app"
IDLE = ("--scaling-max", "2", "--scaling-min", "0", "--scaling-idle", "1s")


def workers(server: RunningServer) -> list[int]:
    """The workers, without a fork server."""
    return [pid for pid in server.children() if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_until_nobody_is_there(server: RunningServer) -> None:
    wait_until(lambda: workers(server) == [], "the end of the last worker")


def test_workers_are_added_while_those_there_are_are_busy(hostler_server: StartServer, find_peer: FindPeer) -> None:
    """Clients that come anew with each request, as those that stay would stay with the first worker."""
    server = hostler_server(APP, "--threads", "1", "--scaling-max", "3")
    with Wrk(find_peer("wrk"), f"{server.url}/work", 7, ("-H", "Connection: close")) as wrk:
        wait_until(lambda: len(server.children()) == 3, "three workers")
        report = wrk.report()
    assert (report.errors, report.unexpected) == (0, 0)
    assert "scaling from 1 to 2 workers: 100% busy" in server.stderr.text


def test_operators_count_is_kept(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--threads", "1", "--scaling-max", "4")
    server.signal(signal.SIGTTIN)
    server.stderr.wait_for("now wanted: 2 workers; scaling pauses until the next reload")
    with StrictLoad(server, "/work", b"worked\n", 6) as load:
        load.wait_served(300)
    wait_until(lambda: len(server.children()) == 2, "two workers")
    assert "scaling from" not in server.stderr.text


@pytest.mark.parametrize("preload", [False, True], ids=["", "preloaded"])
@pytest.mark.parametrize("is_unix", [False, True], ids=["tcp", "unix"])
def test_nobody_is_there_until_somebody_comes(
    hostler_server: StartServer, tmp_path: Path, is_unix: bool, preload: bool
) -> None:
    bind = f"unix:{tmp_path}/s" if is_unix else None
    server = hostler_server(APP, *IDLE, *(["--preload"] if preload else []), bind=bind)
    wait_until_nobody_is_there(server)
    assert server.get("/").body == b"hello\n"
    assert server.stop() == 0


def test_supervisor_rests_while_nobody_is_there(hostler_server: StartServer) -> None:
    server = hostler_server(APP, *IDLE)
    wait_until_nobody_is_there(server)
    server.stderr.wait_for("workers: idle")

    def spent() -> int:
        fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = spent()
    threading.Event().wait(1.5)  # a span of time to be measured, not a guess at one
    assert spent() - before <= 2, "hundredths of a second"


def test_asgi_worker_comes_when_it_is_asked_for(hostler_server: StartServer) -> None:
    server = hostler_server(ASGI_APP, *IDLE)
    wait_until_nobody_is_there(server)
    assert server.get("/").body == b"hello\n"


def test_reload_while_nobody_is_there_shows_whether_the_release_loads(
    hostler_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text("from tests.e2e.apps.robust import app\n")
    options = ("--chdir", str(tmp_path), "--python-path", str(Path(__file__).parents[2]))
    server = hostler_server("shop:app", *options, *IDLE)
    wait_until_nobody_is_there(server)
    (tmp_path / "shop.py").write_text("raise RuntimeError('broken')\n")
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reload abandoned")
    (tmp_path / "shop.py").write_text("from tests.e2e.apps.robust import app\n")
    assert server.get("/").body == b"hello\n"


def test_no_request_fails_while_the_last_worker_comes_and_goes(hostler_server: StartServer) -> None:
    """A client that asks just as the last worker goes, again and again."""
    server = hostler_server(APP, *IDLE)
    for round_ in range(2):
        server.stderr.wait_for("workers: idle", count=round_ + 1)
        with StrictLoad(server, "/", b"hello\n", 8) as load:
            load.wait_served(100)
            assert load.finish().failures == []


def test_upgrade_while_nobody_is_there(hostler_server: StartServer) -> None:
    server = hostler_server(APP, *IDLE)
    wait_until_nobody_is_there(server)
    os.kill(server.pid, signal.SIGUSR2)
    assert server.wait() == 0
    assert server.get("/").body == b"hello\n"
