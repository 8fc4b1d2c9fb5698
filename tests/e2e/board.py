"""Opens the scoreboard of a server under test, as a process that was given its descriptor would."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hostler.telemetry.scoreboard import Scoreboard
from tests.e2e.harness import RunningServer, ServerError


@contextlib.contextmanager
def scoreboard_of(server: RunningServer) -> Iterator[Scoreboard]:
    """Give the scoreboard of a running server."""
    fd = _open(server.pid)
    try:
        yield Scoreboard(fd)
    finally:
        os.close(fd)


def _open(pid: int) -> int:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "hostler-scoreboard" in str(link.readlink()):
                return os.open(link, os.O_RDONLY | os.O_CLOEXEC)
    raise ServerError(f"process {pid} has no scoreboard")
