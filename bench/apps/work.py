"""Ten milliseconds of processor time, as for a page that is rendered: a server's capacity is known beforehand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SECONDS = 0.010
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "13")]


def work() -> None:
    """Use `SECONDS` of this thread's processor time."""
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        pass


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer after the work."""
    work()
    start_response("200 OK", HEADERS)
    return [b"Hello, world!"]
