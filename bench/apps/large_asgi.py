"""One mebibyte from memory through ASGI: what copies of a response cost."""

from __future__ import annotations

from bench.apps.asgi import Receive, Scope, Send

BODY = b"0123456789abcdef" * 65_536
HEADERS = [(b"content-type", b"application/octet-stream"), (b"content-length", str(len(BODY)).encode())]


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer with one large bytes object that exists already."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
