"""Workers that have served enough are replaced by fresh ones, and nobody notices."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.gate import Gate
from tests.e2e.harness import StartServer, wait_until
from tests.e2e.load import StrictLoad

APP = "tests.e2e.apps.robust:app"

LEAK = """
KEPT = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        KEPT.append(b"x" * 250_000)
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\\n"]
"""


def test_no_request_fails_while_workers_are_replaced_for_their_age(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "2", "--workers-max-age", "0.5s")
    seen: set[int] = set()
    with StrictLoad(server, "/work", b"worked\n", 4) as slow, StrictLoad(server, "/", b"hello\n", 2) as quick:

        def are_replaced_often() -> bool:
            seen.update(server.children())
            return len(seen) > 8

        wait_until(are_replaced_often, "more than eight workers")
        assert [load.finish().failures for load in (slow, quick)] == [[], []]
    assert "it has served for" in server.stderr.text


def test_request_of_an_old_worker_is_finished(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, "--workers-max-age", "1s", env=gate.env)
    (old,) = server.children()
    with server.connect() as stream:
        stream.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("wait", 1)
        server.stderr.wait_for("worker 1 is to be recycled")
        wait_until(lambda: len(server.children()) > 1 and server.get("/").status == 200, "a successor")
        assert old in server.children()
        gate.release("wait")
        assert b"".join(iter(lambda: stream.recv(65536), b"")).endswith(b"waited\n")
    wait_until(lambda: old not in server.children(), "the end of the old worker")


def test_worker_that_has_grown_is_replaced(hostler_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "leak.py").write_text(LEAK)
    options = ("--chdir", str(tmp_path), "--workers", "2", "--workers-max-memory-growth", "32MiB")
    server = hostler_server("leak:app", *options)
    before = server.children()
    # Memory is looked at every two seconds, and what is there at the first look is the beginning.
    wait_until(lambda: server.get("/leak").status == 200 and "has grown by" in server.stderr.text, "a recycling")
    wait_until(lambda: len(set(server.children()) & set(before)) < 2, "the end of the one that has grown")
    assert "(workers.max_memory_growth)" in server.stderr.text
