"""Descriptors and memory after very many requests are what they were after a few."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import StartServer, wait_until
from tests.e2e.load import run_wrk
from tests.e2e.vitals import MIB, count_descriptors, count_threads, resident_bytes

APP = "tests.e2e.apps.robust:app"
FindPeer = Callable[[str], str]
REQUESTS = 200_000
WARM_UP = 20_000
# Pages that the allocators of Python and Rust touch late, and eight bytes for each connection of the last half minute,
# which the timer wheel forgets when their time comes. A leak of ten bytes a request would be twice that.
GROWTH = MIB

MIXED = """
local number = 0
local form = string.rep("x", 16384)
local chunked = "POST /length HTTP/1.1\\r\\nHost: test\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
  .. "4\\r\\nabcd\\r\\n0\\r\\n\\r\\n"
request = function()
  number = number + 1
  local turn = number % 8
  if turn == 0 then return wrk.format("GET", "/nowhere") end
  if turn == 1 then return wrk.format("POST", "/length", nil, form) end
  if turn == 2 then return chunked end
  if turn == 3 then return wrk.format("GET", "/error") end
  if turn == 4 then return wrk.format("GET", "/whole?40000") end
  return wrk.format("GET", "/?" .. number)
end
"""
ERRORS = """
local number = 0
request = function()
  number = number + 1
  if number % 4 == 0 then return wrk.format("GET", "/error") end
  if number % 4 == 1 then return wrk.format("GET", "/" .. string.rep("x", 9000)) end
  return wrk.format("GET", "/")
end
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], list[str]]:
    """A function that returns the options by which wrk runs a script."""

    def write(text: str) -> list[str]:
        path = tmp_path / "requests.lua"
        path.write_text(text)
        return ["-s", str(path)]

    return write


@pytest.mark.soak
@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["kept", "new", "mixed", "errors"])
def test_memory_and_descriptors_stay_flat(
    hostler_server: StartServer,
    find_peer: FindPeer,
    script: Callable[[str], list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    options = {
        "kept": [],
        "new": ["-H", "Connection: close"],
        "mixed": script(MIXED) if kind == "mixed" else [],
        "errors": script(ERRORS) if kind == "errors" else [],
    }[kind]
    requests = {"kept": REQUESTS, "new": REQUESTS // 10, "mixed": REQUESTS, "errors": REQUESTS // 10}[kind]
    server = hostler_server(APP, "--threads", "4", "--log-file", "/dev/null", "--access-log", str(tmp_path / "access"))
    (worker,) = server.children()
    wrk = find_peer("wrk")
    run_wrk(wrk, server.url + "/", min(WARM_UP, requests), options)
    wait_until(lambda: count_descriptors(worker) < 32, "the end of the connections of the warm-up")
    before = resident_bytes(worker), count_descriptors(worker), count_threads(worker)
    report = run_wrk(wrk, server.url + "/", requests, options)
    assert server.get("/").body == b"hello\n"
    wait_until(lambda: count_descriptors(worker) <= before[1], f"{before[1]} descriptors as before")
    grown = resident_bytes(worker) - before[0]
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}: {report.requests} requests, {grown / 1024:+.0f} KiB of {before[0] // 1024}\n")
    assert grown < GROWTH
    assert count_threads(worker) <= before[2] + 3
    assert server.children() == [worker]
    if kind in {"kept", "new"}:
        assert (report.errors, report.unexpected) == (0, 0)
