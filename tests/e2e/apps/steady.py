"""WSGI and ASGI applications whose requests keep a worker for ten milliseconds each, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SECONDS = 0.010


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer after `SECONDS`, and after a second where that is asked for."""
    slow = _environ["PATH_INFO"] == "/slow"
    time.sleep(1.0 if slow else SECONDS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """Do the same in the event loop, which has nothing else to do; a WebSocket echoes."""
    if scope["type"] == "websocket":
        await _echo(receive, send)
        return
    time.sleep(1.0 if scope["path"] == "/slow" else SECONDS)  # noqa: ASYNC251 - this is what it is for
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _echo(receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
