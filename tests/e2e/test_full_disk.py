"""A full disk costs the requests that need it, and no others."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

from tests.e2e.harness import RunningServer, StartServer, wait_until

APP = "tests.e2e.apps.robust:app"


def fill_disk(pid: int, left: int) -> None:
    """Let a process write files of up to `left` bytes, from now on."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (left, resource.RLIM_INFINITY))


def test_body_that_finds_no_room_is_refused_and_the_server_goes_on(hostler_server: StartServer) -> None:
    server = hostler_server(APP)
    (worker,) = server.children()
    body = b"x" * 1_000_000
    assert server.post("/length", body).body == b"1000000\n"
    fill_disk(worker, 500_000)
    for _ in range(3):
        refused = server.exchange(b"POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n" + body)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"Connection: close\r\n" in refused
    assert server.post("/length", b"x" * 100_000).body == b"100000\n", "a body that fits in memory needs no disk"
    assert server.post("/length", b"x" * 400_000).body == b"400000\n", "a body that fits on the disk is taken"
    server.stderr.wait_for("cannot store a request body in")
    fill_disk(worker, resource.RLIM_INFINITY)
    assert server.post("/length", body).body == b"1000000\n"
    assert server.children() == [worker]


def test_requests_go_on_while_the_access_log_finds_no_room(hostler_server: StartServer, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = hostler_server(APP, "--access-log", str(log), "--access-log-format", "%(r)s")
    (worker,) = server.children()
    fill_disk(worker, 10_000)
    request_many(server, 2_000)
    server.stderr.wait_for("access log")
    assert log.stat().st_size <= 10_000
    fill_disk(worker, resource.RLIM_INFINITY)
    assert server.get("/?afterwards").body == b"hello\n"
    wait_until(lambda: "afterwards" in log.read_text(), "lines once there is room again")
    assert server.children() == [worker]


def test_requests_go_on_with_an_access_log_on_a_full_device(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--access-log", "/dev/full")
    request_many(server, 2_000)
    said = server.stderr.wait_for("access log")
    assert said.count("access log") < 10, "a flood of lines is told once, not line by line"
    assert server.stop() == 0


def test_server_whose_log_finds_no_room_goes_on(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--log-file", "/dev/full")
    for _ in range(20):
        assert server.get("/error").status == 500
    before = server.children()
    server.signal(signal.SIGHUP)
    wait_until(lambda: bool(now := server.children()) and not set(before) & set(now), "a reload")
    assert server.get("/").body == b"hello\n"
    assert server.stop() == 0


def request_many(server: RunningServer, count: int) -> None:
    with server.connect() as stream:
        for _ in range(count):
            stream.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert stream.recv(65536).endswith(b"hello\n")
    assert json.loads(server.get("/process").text)["pid"] in server.children()
