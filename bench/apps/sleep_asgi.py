"""Twenty milliseconds of waiting in the event loop, as for a database: what many waiting tasks cost."""

from __future__ import annotations

import asyncio

from bench.apps.asgi import Receive, Scope, Send

SECONDS = 0.020
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer after `SECONDS` of waiting."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await asyncio.sleep(SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello, world!"})
