"""Twenty milliseconds of waiting, as for a database: what a thread pool costs and loses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SECONDS = 0.020
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "13")]


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer after `SECONDS` of waiting with the interpreter released."""
    time.sleep(SECONDS)
    start_response("200 OK", HEADERS)
    return [b"Hello, world!"]
