"""Ten milliseconds of processor time in the event loop, as for a page that is rendered there."""

from __future__ import annotations

from bench.apps.asgi import Receive, Scope, Send
from bench.apps.work import work

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer after the work."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    work()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello, world!"})
