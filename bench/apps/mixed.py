"""Quick calls, and slow ones under `/slow`: what the slow ones do to the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SECONDS = 0.050
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "13")]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer at once, or after `SECONDS` of waiting where the path is `/slow`."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(SECONDS)
    start_response("200 OK", HEADERS)
    return [b"Hello, world!"]
