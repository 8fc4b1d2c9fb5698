"""The access log of a running server: its formats, its escaping, and its destinations."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import PAGES
from tests.conformance.wire import Wire, build_request
from tests.e2e.harness import RunningServer, StartServer, wait_until

ODD = 'a "quote" back\\slash \x9b2J \xe9 tab'


def read_lines(server: RunningServer, path: Path) -> list[str]:
    """Stop the server, which writes what it has gathered, and read the log."""
    assert server.stop() == 0
    return path.read_text(encoding="ascii").splitlines()


def log_one(
    hostler_server: StartServer, path: Path, line_format: str, request: bytes, options: tuple[str, ...] = ()
) -> str:
    """The line of one request."""
    server = hostler_server(PAGES, "--access-log", str(path), "--access-log-format", line_format, *options)
    with Wire.to(server) as wire:
        wire.send(request).read_rest()
    [line] = read_lines(server, path)
    return line


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


REQUEST = build_request(
    "GET",
    "/list?a=1",
    ["Connection: close", "Referer: http://from.example/", "User-Agent: tester/1", "Authorization: Basic bWU6c2VjcmV0"],
)
DATE = r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\]"


# Formats


def test_common_format(hostler_server: StartServer, log_path: Path) -> None:
    line = log_one(hostler_server, log_path, "common", REQUEST)
    found = re.fullmatch(rf'127\.0\.0\.1 - me {DATE} "GET /list\?a=1 HTTP/1\.1" 200 7', line)
    assert found, line
    when = datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z")
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=1)


def test_combined_format_is_the_default(hostler_server: StartServer, log_path: Path) -> None:
    server = hostler_server(PAGES, "--access-log", str(log_path))
    server.exchange(REQUEST)
    [line] = read_lines(server, log_path)
    end = r'"GET /list\?a=1 HTTP/1\.1" 200 7 "http://from\.example/" "tester/1"'
    assert re.fullmatch(rf"127\.0\.0\.1 - me {DATE} {end}", line), line


@pytest.mark.parametrize(
    "line_format, pattern",
    [
        ("%(h)s %(l)s %(u)s", r"127\.0\.0\.1 - me"),
        ("%(m)s %(U)s %(q)s %(H)s", r"GET /list a=1 HTTP/1\.1"),
        ("%(s)s %(b)s %(B)s", "200 7 7"),
        ("%(T)s %(M)s %(D)s %(L)s", r"0 \d+ \d+ 0\.\d{6}"),
        ("%(p)s", r"<\d+>"),
        ("%(f)s|%(a)s", r"http://from\.example/\|tester/1"),
        ("%({User-Agent}i)s %({X-None}i)s", "tester/1 -"),
        ("%({content-type}o)s %({content-length}o)s %({X-None}o)s", "text/plain 7 -"),
        ("%({REQUEST_METHOD}e)s %({NONE}e)s", "GET -"),
        ("%({scheme}x)s %({request_id}x)s", "http [0-9a-f]{32}"),
        ("%({time}x)s", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
        ("100%% plain", "100% plain"),
    ],
)
def test_atoms_of_a_custom_format(hostler_server: StartServer, log_path: Path, line_format: str, pattern: str) -> None:
    line = log_one(hostler_server, log_path, line_format, REQUEST)
    assert re.fullmatch(pattern, line), line


def test_unknown_atom_is_an_error_at_the_start(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--access-log", "-", "--access-log-format", "%(h)s %(z)s", ready=False)
    assert server.wait() != 0
    assert "%(z)s" in server.stderr.wait_end()


def test_json_format(hostler_server: StartServer, log_path: Path) -> None:
    entry: dict[str, Any] = json.loads(log_one(hostler_server, log_path, "json", REQUEST))
    assert {
        "client": "127.0.0.1",
        "user": "me",
        "method": "GET",
        "path": "/list",
        "query": "a=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 7,
        "referer": "http://from.example/",
        "user_agent": "tester/1",
        "host": "test.example",
        "scheme": "http",
    }.items() <= entry.items()
    assert abs(datetime.now(UTC) - datetime.fromisoformat(entry["time"])) < timedelta(minutes=1)
    assert 0 <= entry["duration_ms"] < 60_000
    assert re.fullmatch("[0-9a-f]{32}", entry["request_id"])


def test_client_and_scheme_are_those_that_the_proxy_names(hostler_server: StartServer, log_path: Path) -> None:
    request = build_request(
        "GET", "/list", ["Connection: close", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"]
    )
    assert log_one(hostler_server, log_path, "%(h)s %({scheme}x)s", request) == "203.0.113.9 https"


# What is logged


@pytest.mark.parametrize(
    "request_bytes, pattern",
    [
        (build_request("HEAD", "/list", ["Connection: close"]), "HEAD /list 200 0"),
        (build_request("GET", "/fail", ["Connection: close"]), r"GET /fail 500 \d+"),
        (build_request("GET", "/generator", ["Connection: close"]), "GET /generator 200 7"),
        (build_request("GET", "/respond?status=204+No", ["Connection: close"]), "GET /respond 204 0"),
        (build_request("GET", "/fail-midstream", ["Connection: close"]), "GET /fail-midstream 200 12"),
        (b"GET / HTTP/1.1\r\n\r\n", r"\S+ \S+ 400 \d+"),
        (b"\x16\x03\x01\r\n\r\n", r"\S+ \S+ 400 \d+"),
        (build_request("POST", "/body", ["Content-Length: 999999999999"]), r"\S+ \S+ 413 \d+"),
    ],
)
def test_every_answer_is_logged(
    hostler_server: StartServer, log_path: Path, request_bytes: bytes, pattern: str
) -> None:
    line = log_one(hostler_server, log_path, "%(m)s %(U)s %(s)s %(B)s", request_bytes)
    assert re.fullmatch(pattern, line), line


def test_every_pipelined_request_has_its_line_in_order(hostler_server: StartServer, log_path: Path) -> None:
    server = hostler_server(PAGES, "--access-log", str(log_path), "--access-log-format", "%(q)s")
    with Wire.to(server) as wire:
        wire.send(b"".join(build_request("GET", f"/list?{number}") for number in range(500)))
        for _ in range(500):
            wire.read_answer()
    assert read_lines(server, log_path) == [str(number) for number in range(500)]


def test_request_whose_client_vanished_is_logged(hostler_server: StartServer, log_path: Path) -> None:
    server = hostler_server(
        PAGES, "--access-log", str(log_path), "--access-log-format", "%(U)s %(s)s", "--limits-response-buffer", "65536"
    )
    with Wire.to(server) as wire:
        wire.send(build_request("GET", "/close-endless?note=vanished"))
        wire.read_exactly(1000)
        wire.reset()
    with Wire.to(server) as wire:
        assert wire.ask("GET", "/note?vanished").status == 200
    assert "/close-endless 200" in read_lines(server, log_path)


# Escaping


def test_odd_values_cannot_break_a_text_line(hostler_server: StartServer, log_path: Path) -> None:
    request = build_request("GET", "/list", ["Connection: close", f"User-Agent: {ODD}", f"Referer: {ODD}"])
    line = log_one(hostler_server, log_path, 'x "%(f)s" "%(a)s" y', request)
    escaped = r"a \x22quote\x22 back\x5Cslash \x9B2J \xE9 tab"
    assert line == f'x "{escaped}" "{escaped}" y'


def test_odd_values_are_valid_json(hostler_server: StartServer, log_path: Path) -> None:
    request = build_request("GET", "/list?%22%0a", ["Connection: close", f"User-Agent: {ODD}"])
    server = hostler_server(PAGES, "--access-log", str(log_path), "--access-log-format", "json")
    server.exchange(request)
    assert server.stop() == 0
    raw = log_path.read_bytes()
    assert b"\x9b" not in raw
    entry = json.loads(raw)
    assert (entry["user_agent"], entry["query"]) == (ODD, "%22%0a")


def test_response_headers_and_environ_are_escaped(hostler_server: StartServer, log_path: Path) -> None:
    request = build_request("GET", "/respond?header=X-Odd:%22%E9&%22", ["Connection: close", 'X-In: "\x9b'])
    line = log_one(hostler_server, log_path, '"%({x-odd}o)s" "%({HTTP_X_IN}e)s"', request)
    assert re.fullmatch(r'"\\x22\\xE9" "\\x22(\\x[0-9A-F]{2})+"', line), line


# Destinations


def test_standard_output_is_written_within_a_second_or_so(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--access-log", "-", "--access-log-format", "seen %(U)s")
    assert server.get("/list").status == 200
    server.stdout.wait_for("seen /list\n")


def test_workers_share_a_file_in_whole_lines(hostler_server: StartServer, log_path: Path) -> None:
    options = ["--workers", "3", "--threads", "1", "--access-log", str(log_path), "--access-log-format", "json"]
    server = hostler_server(PAGES, *options)
    workers: Counter[str] = Counter()
    lock = threading.Lock()

    def ask_many(number: int) -> None:
        with Wire.to(server) as wire:
            batch = b"".join(build_request("GET", f"/pid?{number}-{at}-" + "x" * 300) for at in range(200))
            wire.send(batch)
            found = [wire.read_answer().text for _ in range(200)]
        with lock:
            workers.update(found)

    # Who takes a connection is chance: as many rounds as it takes for two workers to have written a good deal.
    for start in range(0, 50 * 8, 8):
        threads = [threading.Thread(target=ask_many, args=(number,)) for number in range(start, start + 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if sum(count >= 400 for count in workers.values()) > 1:
            break
    entries = [json.loads(line) for line in read_lines(server, log_path)]
    assert len({entry["query"] for entry in entries}) == len(entries) == workers.total()
    assert Counter(str(entry["pid"]) for entry in entries) == workers
    assert len(workers) > 1, "one worker alone shows nothing"


def test_file_is_opened_anew_on_usr1(hostler_server: StartServer, log_path: Path) -> None:
    server = hostler_server(
        PAGES, "--workers", "2", "--access-log", str(log_path), "--access-log-format", "%(U)s?%(q)s"
    )
    moved = log_path.with_suffix(".1")
    for number in range(20):
        server.get(f"/list?before-{number}")
    log_path.rename(moved)
    server.signal(signal.SIGUSR1)

    def is_reopened() -> bool:
        """Each worker has the new file open, and no worker the old one."""
        links = [
            str(link.readlink())
            for child in server.children()
            for link in Path(f"/proc/{child}/fd").iterdir()
            if link.is_symlink()
        ]
        return links.count(str(log_path)) == 2 and str(moved) not in links

    wait_until(is_reopened, "the workers have opened the log anew")
    for number in range(20):
        server.get(f"/list?after-{number}")
    after = read_lines(server, log_path)
    assert sorted(after) == sorted(f"/list?after-{number}" for number in range(20))
    before = moved.read_text().splitlines()
    assert sorted(before) == sorted(f"/list?before-{number}" for number in range(20))


def test_new_file_is_not_for_everyone(hostler_server: StartServer, log_path: Path) -> None:
    log_one(hostler_server, log_path, "%(U)s", REQUEST)
    assert log_path.stat().st_mode & 0o137 == 0


def test_lines_go_to_syslog(hostler_server: StartServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(15)
        where = f"syslog:udp://127.0.0.1:{daemon.getsockname()[1]}?facility=local3&tag=shop"
        server = hostler_server(PAGES, "--access-log", where, "--access-log-format", "%(m)s %(U)s %(s)s")
        server.get("/list")
        datagram = daemon.recv(65536).decode()
    # RFC 3164 4.1: local3 is 19, informational 6.
    assert re.fullmatch(r"<158>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ shop\[\d+\]: GET /list 200\n?", datagram), (
        datagram
    )


def test_lines_go_to_a_local_syslog(hostler_server: StartServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(15)
        where = f"syslog:unix:{tmp_path}/log"
        server = hostler_server(PAGES, "--access-log", where, "--access-log-format", "%(m)s %(U)s %(s)s")
        server.get("/list")
        datagram = daemon.recv(65536).decode()
    assert re.fullmatch(r"<134>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d hostler\[\d+\]: GET /list 200\n?", datagram), (
        datagram
    )


def test_file_that_cannot_be_opened_is_an_error_at_the_start(hostler_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "access.log"
    server = hostler_server(PAGES, "--access-log", str(path), ready=False)
    assert server.wait() != 0
    assert str(path) in server.stderr.wait_end()


# Request ids


@pytest.mark.parametrize("given", [None, "from-the-proxy-7"])
def test_request_id_is_the_same_everywhere(hostler_server: StartServer, log_path: Path, given: str | None) -> None:
    """In the access log, in the application, on the error page and beside the traceback."""
    options = ["--access-log", str(log_path), "--access-log-format", "%({request_id}x)s %({hostler.request_id}e)s"]
    server = hostler_server(PAGES, *options)
    fields = [f"X-Request-Id: {given}"] if given else []
    with Wire.to(server) as wire:
        page = wire.ask("GET", "/fail", fields).text
    found = re.search("<code>([^<]+)</code>", page)
    assert found is not None
    assert given in {None, found[1]}
    server.stderr.wait_for(f"[request {found[1]}]")
    assert read_lines(server, log_path) == [f"{found[1]} {found[1]}"]
