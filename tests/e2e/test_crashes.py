"""Processes that are killed under load: what is lost is what they had in flight, and nothing else."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, ServerError, StartServer, wait_process_end, wait_until
from tests.e2e.load import StrictLoad

APP = "tests.e2e.apps.robust:app"
CLIENTS = 8


def test_killed_worker_takes_only_its_own_requests_and_is_replaced(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "2", "--threads", "4")
    before = server.children()
    assert len(before) == 2
    with StrictLoad(server, "/work", b"worked\n", CLIENTS) as load:
        load.wait_served(200)
        server.signal(signal.SIGKILL, before[0])
        wait_process_end(before[0])
        load.wait_served(500)
        tally = load.finish()
    # A client has one request at a time: those of the killed worker are no more than there are clients.
    assert len(tally.failures) <= CLIENTS, tally.failures
    wait_until(lambda: len(server.children()) == 2, "a replacement")
    after = server.children()
    assert before[1] in after
    assert before[0] not in after
    assert server.get("/").body == b"hello\n"


def test_requests_of_the_other_worker_outlive_a_killed_one(hostler_server: StartServer, gate: Gate) -> None:
    # Each worker takes four connections, so eight fill both.
    options = ("--workers", "2", "--threads", "5", "--limits-connections", "4")
    server = hostler_server(APP, *options, env=gate.env)
    victim, other = server.children()

    def hold_one(_: int) -> tuple[int, bytes]:
        """Two requests on one connection, so that we know which worker has the second."""
        with server.connect() as stream:
            stream.sendall(b"GET /process HTTP/1.1\r\nHost: test\r\n\r\n")
            pid: int = json.loads(stream.recv(65536).partition(b"\r\n\r\n")[2])["pid"]
            stream.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
            try:
                return pid, stream.recv(65536)
            except ConnectionResetError:
                return pid, b""

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(hold_one, number) for number in range(8)]
        gate.wait("wait", 8)
        server.signal(signal.SIGKILL, victim)
        wait_process_end(victim)
        gate.release("wait")
        answers = [call.result() for call in calls]
    assert [answer for pid, answer in answers if pid == victim] == [b""] * 4
    survivors = [answer for pid, answer in answers if pid == other]
    assert len(survivors) == 4
    assert all(answer.endswith(b"waited\n") for answer in survivors)


def test_workers_go_when_their_supervisor_is_killed(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "2", "--graceful-timeout", "5s")
    workers = server.children()
    with StrictLoad(server, "/work", b"worked\n", CLIENTS) as load:
        load.wait_served(100)
        server.signal(signal.SIGKILL)
        for pid in workers:
            wait_process_end(pid, 10)


def test_workers_finish_their_requests_after_the_supervisor_was_killed(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    (worker,) = server.children()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.get, "/wait")
        gate.wait("wait")
        server.signal(signal.SIGKILL)
        server.wait()
        gate.release("wait")
        assert answer.result().body == b"waited\n"
    wait_process_end(worker)


def test_workers_that_crash_again_and_again_are_started_less_and_less_often(
    hostler_server: StartServer, tmp_path: Path
) -> None:
    # Loads once, for the start; from then on it dies while it serves, as a faulty extension would make it.
    (tmp_path / "crashing.py").write_text(
        "import os, signal, threading\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'fine']\n"
        "if os.path.exists('crash'):\n"
        "    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
    )
    server = hostler_server("crashing:app", "--chdir", str(tmp_path), "--log-level", "debug")
    (tmp_path / "crash").touch()
    server.signal(signal.SIGKILL, server.children()[0])
    seen: set[int] = set()

    def has_started_too_often() -> bool:
        seen.update(server.children())
        return len(seen) > 10

    # Without back-off there would be some thirty in this time.
    with pytest.raises(ServerError):
        wait_until(has_started_too_often, "more than ten workers", timeout=3)
    assert len(seen) >= 2, server.log()
    (tmp_path / "crash").unlink()
    wait_until(lambda: _answers(server), "an answer once it does not crash any more")


def _answers(server: RunningServer) -> bool:
    try:
        return server.get("/").body == b"fine"
    except OSError:
        return False
