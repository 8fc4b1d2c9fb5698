"""Reloads again and again: the supervisor stays as it was."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import RunningServer, StartServer

# The promise is ten thousand; HOSTLER_RELOADS=10000 shows it, in a quarter of an hour.
RELOADS = int(os.environ.get("HOSTLER_RELOADS", "150"))
# What is there before the allocator and caches are full does not count.
FIRST = 50
# Bytes that the supervisor may grow by in all of them; 10,000 have been seen to need 0.8 MiB, all in the first 4,000.
SLACK = 1 << 20

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\\n"]
"""


def vitals(server: RunningServer) -> tuple[int, int]:
    """Resident bytes and open descriptors of the supervisor."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


@pytest.mark.soak
@pytest.mark.timeout(60 + RELOADS)
def test_memory_is_flat_over_many_reloads(hostler_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "trivial.py").write_text(APP)
    server = hostler_server("trivial:app", "--chdir", str(tmp_path))
    samples: list[tuple[int, int]] = []
    for count in range(1, RELOADS + 1):
        server.signal(signal.SIGHUP)
        server.notifications.wait_for("READY=1", count=1 + count)
        if count >= FIRST and (count % 50 == 0 or count == RELOADS):
            samples.append(vitals(server))
            sys.stdout.write(f"{count} reloads: {samples[-1][0] >> 10} KiB, {samples[-1][1]} descriptors\n")
    assert server.get("/").text == "ok\n"
    assert server.stderr.wait_for("reloaded", count=RELOADS).count("reloaded") == RELOADS
    memory = [size for size, _ in samples]
    assert max(memory) - memory[0] <= SLACK, samples
    # One more worker may be on its way out while they are counted.
    assert max(fds for _, fds in samples) - min(fds for _, fds in samples) <= 8, samples
