"""Logs of a running server: fields of the application, chosen requests, rotation, and daemons that gather them."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import RunningServer, StartServer, wait_until

Start = Callable[..., RunningServer]

WSGI = """
import time
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if "hostler.log" in environ:
        environ["hostler.log"].update({"path": path, "rows": 3, "hit": True, "share": 0.5, "who": "Ada \\"L\\"\\n"})
    if path == "/slow":
        time.sleep(0.2)
    start_response("404 Not Found" if path == "/missing" else "200 OK", [])
    return [b"x"]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan here")
    if "hostler.log" in scope:
        inner = dict(scope)  # as middleware does
        inner["hostler.log"]["tenant"] = "blue"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
"""


@pytest.fixture(name="start")
def fixture_start(hostler_server: StartServer, tmp_path: Path) -> Start:
    (tmp_path / "logging_wsgi.py").write_text(WSGI)
    (tmp_path / "logging_asgi.py").write_text(ASGI)

    def start(module: str, *arguments: str) -> RunningServer:
        return hostler_server(f"{module}:app", "--chdir", str(tmp_path), *arguments)

    return start


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_wsgi_application_adds_fields_to_its_line(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = start("logging_wsgi", "--access-log", str(log), "--access-log-format", "json")
    server.get("/a")
    server.stop()
    (line,) = lines_of(log)
    assert line["fields"] == {"path": "/a", "rows": 3, "hit": True, "share": 0.5, "who": 'Ada "L"\n'}
    assert line["path"] == "/a"


def test_asgi_application_adds_fields_through_a_copy_of_its_scope(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = start("logging_asgi", "--access-log", str(log), "--access-log-format", "%(s)s %({tenant}f)s %({none}f)s")
    server.get("/")
    server.stop()
    assert log.read_text() == "200 blue -\n"


def test_application_is_not_offered_fields_that_nobody_writes(start: Start, tmp_path: Path) -> None:
    (tmp_path / "offered.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [str('hostler.log' in environ).encode()]\n"
    )
    server = start("offered", "--access-log", str(tmp_path / "access.log"))
    assert server.get("/").text == "False"


def test_chosen_requests_only_get_a_line(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    arguments = ["--log-access-skip", "/health", "--log-access-statuses", "4xx", "--log-access-slow", "150ms"]
    server = start("logging_wsgi", "--access-log", str(log), "--access-log-format", "%(U)s", *arguments)
    for path in ("/health", "/", "/missing", "/slow", "/"):
        server.get(path)
    server.stop()
    assert log.read_text().split() == ["/missing", "/slow"]


@pytest.mark.parametrize("number", [1, 2])
def test_files_are_put_aside_and_begun_anew_without_a_lost_line(start: Start, tmp_path: Path, number: int) -> None:
    log, server_log = tmp_path / "access.log", tmp_path / "server.log"
    arguments = ["--log-rotate-size", "1KiB", "--log-rotate-keep", "50", "--log-file", str(server_log)]
    arguments += ["--workers", str(number)]
    server = start("logging_wsgi", "--access-log", str(log), "--access-log-format", "%(U)s %(a)s", *arguments)
    asked = 0
    while not (tmp_path / "access.log.2").exists():
        server.get(f"/{asked}")
        asked += 1
    server.get(f"/{asked}")
    server.stop()
    parts = [log, *tmp_path.glob("access.log.*")]
    paths = [line.split()[0] for part in parts if part.exists() for line in part.read_text().splitlines()]
    assert sorted(paths) == sorted(f"/{number}" for number in range(asked + 1))


class Journal:
    """A socket in the place of the journal's."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.05)
        self.entries: list[dict[str, str]] = []

    def find(self, text: str) -> dict[str, str] | None:
        """Return the first entry whose message has the text."""
        with contextlib.suppress(TimeoutError):
            while True:
                packet = self.socket.recv(65536).decode()
                self.entries.append(dict(line.split("=", 1) for line in packet.splitlines() if "=" in line))
        return next((entry for entry in self.entries if text in entry.get("MESSAGE", "")), None)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal")
    yield made
    made.socket.close()


def test_both_logs_go_to_the_journal_from_all_processes(start: Start, tmp_path: Path, journal: Journal) -> None:
    where = f"journald:{tmp_path / 'journal'}"
    server = start("logging_wsgi", "--access-log", where, "--access-log-format", "%(U)s", "--log-file", where)
    server.get("/one")
    wait_until(lambda: journal.find("/one") is not None, "the line in the journal")
    entry = journal.find("/one")
    assert entry is not None
    assert (entry["HOSTLER_LOG"], entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("access", "6", "hostler")
    serving = journal.find("serving")
    assert serving is not None
    assert (serving["HOSTLER_LOG"], serving["SYSLOG_PID"]) == ("server", str(server.pid))


def test_server_log_for_machines(start: Start) -> None:
    server = start("logging_wsgi", "--log-format", "json", "--log-level", "debug")
    server.get("/")
    server.stop()
    # From the first line to the last: a machine reads them all.
    lines = [json.loads(line) for line in server.stderr.wait_end().splitlines()]
    assert any(line["message"].startswith("serving ") and server.url in line["message"] for line in lines)
    assert {line["level"] for line in lines} >= {"debug", "info"}
    assert any(line["message"].startswith("stopping") and line["pid"] == server.pid for line in lines)


def test_rotation_that_fails_is_told_once_and_nothing_is_lost(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    blocked = tmp_path / "access.log.1"
    blocked.mkdir()
    (blocked / "inside").write_text("")
    arguments = ["--log-rotate-size", "1", "--log-rotate-keep", "1"]
    server = start("logging_wsgi", "--access-log", str(log), "--access-log-format", "%(U)s", *arguments)
    server.get("/a")
    server.stderr.wait_for(f"cannot put the log file {log} aside")
    server.get("/b")
    server.stop()
    assert log.read_text().split() == ["/a", "/b"]
    assert [each.name for each in blocked.iterdir()] == ["inside"]
