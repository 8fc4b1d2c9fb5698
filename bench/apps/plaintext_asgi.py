"""Thirteen bytes through ASGI: what a server costs when the application costs nothing."""

from __future__ import annotations

from bench.apps.asgi import Receive, Scope, Send

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request with the same short text."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # ASGI, lifespan: an application without it raises
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello, world!"})
