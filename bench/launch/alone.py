"""Call an ASGI application in a loop, without a server: `python -m bench.launch.alone MODULE:ATTRIBUTE SECONDS`.

What it prints is the part of the processor time that is the application's own: no server can take it away.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop

from bench.apps.asgi import Event, Scope

# Calls between two looks at the clock; arbitrary.
BATCH = 200
WARM_UP_SECONDS = 0.5


def build_scope() -> Scope:
    """Build the scope of one `GET /` as a server does for each request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def _receive() -> Event:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(event: Event) -> None:
    if event["type"] == "http.response.start" and event["status"] != 200:
        raise RuntimeError(f"answered {event['status']}")


async def call(app: Callable[..., Any], seconds: float) -> dict[str, float]:
    """Call `app` for so long, one call after the other, and count."""
    count, started, used = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - started) < seconds:
        for _ in range(BATCH):
            await app(build_scope(), _receive, _send)
        count += BATCH
    return {"requests": count, "cpu_us": (time.process_time() - used) / count * 1e6, "rate": count / elapsed}


async def _measure(app: Callable[..., Any], seconds: float) -> dict[str, float]:
    await call(app, WARM_UP_SECONDS)
    return await call(app, seconds)


def main() -> None:
    """Print the figures as one line of JSON."""
    module, _, attribute = sys.argv[1].partition(":")
    app = getattr(importlib.import_module(module), attribute)
    print(json.dumps(uvloop.run(_measure(app, float(sys.argv[2])))))


if __name__ == "__main__":
    main()
