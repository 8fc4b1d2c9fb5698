"""The plain text for an ASGI server, which is measured for its memory only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"13")]


async def app(_scope: dict[str, Any], _receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    """Answer every request with the same short text."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello, world!"})
