"""What is looked at from outside a web server: a page, a WebSocket, an upload, a stream of events."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from tests.interop.apps.asgi_page import Message, Receive, Scope, Send

__all__ = ["app"]

Answer = Callable[[Scope, Receive, Send], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["path"] == "/digest":
        await digest(receive, send)
    elif scope["path"] == "/events":
        await tell(receive, send)
    else:
        await show(scope, send)


async def live(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"hay {message['text']}"})


async def digest(receive: Receive, send: Send) -> None:
    sha256, size, message = hashlib.sha256(), 0, await receive()
    while True:
        sha256.update(message["body"])
        size += len(message["body"])
        if not message.get("more_body"):
            break
        message = await receive()
    await answer(send, {"size": size, "sha256": sha256.hexdigest()})


async def tell(receive: Receive, send: Send) -> None:
    """One event, then nothing until the client goes: it arrives only where nobody collects answers."""
    headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"data: neigh\n\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


async def show(scope: Scope, send: Send) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    told = {"scheme": scope["scheme"], "client": scope["client"], "headers": headers}
    await answer(send, {**told, "path": scope["path"], "greeting": os.environ.get("GREETING", "")})


async def answer(send: Send, told: dict[str, Any]) -> None:
    body = json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
