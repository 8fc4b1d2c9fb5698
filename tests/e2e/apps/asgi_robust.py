"""An ASGI application whose routes each put one particular strain on the server; the test decides what it waits for."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Route = Callable[[Scope, Receive, Send], Awaitable[None]]

TEXT = [(b"content-type", b"text/plain")]
EVENTS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
PIECE = b"x" * 65_536

_readers: set[asyncio.Queue[bytes]] = set()


async def announce(name: str) -> None:
    """Tell the gate that something has happened."""
    _, writer = await asyncio.open_unix_connection(os.environ["GATE"])
    writer.write(f"{name}\n".encode())
    await writer.drain()
    writer.close()


async def hold(name: str) -> None:
    """Tell the gate that we are here, and wait to be let through."""
    reader, writer = await asyncio.open_unix_connection(os.environ["GATE"])
    writer.write(f"{name}\n".encode())
    await reader.read(1)
    writer.close()


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*TEXT, length]})
    await send({"type": "http.response.body", "body": body})


# HTTP


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"hello\n")


async def process(scope: Scope, receive: Receive, send: Send) -> None:
    told = {"pid": os.getpid(), "root": scope["root_path"], "path": scope["path"]}
    await answer(send, json.dumps(told).encode())


async def work(scope: Scope, receive: Receive, send: Send) -> None:
    """A few milliseconds of waiting, as for a database: long enough to be in flight when something happens."""
    await asyncio.sleep(0.005)
    await answer(send, b"worked\n")


async def wait(scope: Scope, receive: Receive, send: Send) -> None:
    """A long poll."""
    await hold(scope["query_string"].decode() or "wait")
    await answer(send, b"waited\n")


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Count the body's bytes while they arrive."""
    size = 0
    more = True
    while more:
        event = await receive()
        size += len(event["body"])
        more = event["more_body"]
    await answer(send, b"%d\n" % size)


async def drip(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a piece, wait at the gate, send another."""
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    await send({"type": "http.response.body", "body": b"first\n", "more_body": True})
    await hold("drip")
    await send({"type": "http.response.body", "body": b"last\n"})


async def pour(scope: Scope, receive: Receive, send: Send) -> None:
    """Send without end; the gate learns of the first piece and of the end."""
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    try:
        while True:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    except BaseException as error:
        await asyncio.shield(announce("OSError" if isinstance(error, OSError) else type(error).__name__))
        raise


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """Server-sent events, until the client goes or the server does."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    await send({"type": "http.response.body", "body": b": welcome\n\n", "more_body": True})
    listener = asyncio.create_task(_wait_disconnect(receive))
    _readers.add(queue)
    try:
        while True:
            getter = asyncio.create_task(queue.get())
            done, _ = await asyncio.wait([getter, listener], return_when=asyncio.FIRST_COMPLETED)
            if listener in done:
                getter.cancel()
                break
            body = b"data: " + getter.result() + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
    finally:
        _readers.discard(queue)
        listener.cancel()


async def publish(scope: Scope, receive: Receive, send: Send) -> None:
    """Send an event to all who listen; tell how many those are."""
    for queue in _readers:
        queue.put_nowait(scope["query_string"])
    await answer(send, b"%d" % len(_readers))


async def background(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, then go on until the gate lets us, as background tasks of frameworks do."""
    await answer(send, b"accepted\n", 202)
    try:
        await hold("background")
    except asyncio.CancelledError:
        await asyncio.shield(announce("background-cancelled"))
        raise
    await announce("background-done")


async def background_task(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, and leave a task behind that the request does not wait for."""

    async def later() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await announce("left-task-ended")

    _tasks.add(asyncio.create_task(later()))
    await answer(send, b"accepted\n", 202)


_tasks: set[asyncio.Task[None]] = set()


async def block(scope: Scope, receive: Receive, send: Send) -> None:
    """Swallow every cancellation, as badly written loops do."""
    await announce("block")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await announce("swallowed")


async def _wait_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# WebSocket


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send messages back; the gate learns of the code of the end, if the query asks for it."""
    await receive()
    await send({"type": "websocket.accept"})
    event = await receive()
    while event["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
        event = await receive()
    if scope["query_string"]:
        await announce(f"{scope['query_string'].decode()}-{event['code']}")


async def pour_messages(scope: Scope, receive: Receive, send: Send) -> None:
    """Send messages without end; the gate learns of the end."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while True:
            await send({"type": "websocket.send", "bytes": PIECE})
    except BaseException as error:
        await asyncio.shield(announce("OSError" if isinstance(error, OSError) else type(error).__name__))
        raise


async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
    """A conversation that does not listen, and goes on when told to end."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        await hold("stubborn")
    finally:
        await asyncio.shield(announce("stubborn-ended"))


async def accept_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept when the gate opens, and listen."""
    await receive()
    await hold("accept")
    await send({"type": "websocket.accept"})
    await receive()


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("the stable door was left open")


ROUTES: dict[str, dict[str, Route]] = {
    "http": {
        "/": hello,
        "/process": process,
        "/work": work,
        "/wait": wait,
        "/count": count,
        "/drip": drip,
        "/pour": pour,
        "/events": events,
        "/publish": publish,
        "/background": background,
        "/background-task": background_task,
        "/block": block,
        "/fail": fail,
    },
    "websocket": {"/echo": echo, "/pour": pour_messages, "/stubborn": stubborn, "/accept-late": accept_late},
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the route says; below a mount point, the routes are those of the rest of the path."""
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
        return
    path = scope["path"].removeprefix(scope["root_path"])
    route = ROUTES[scope["type"]].get(path)
    if route is None:
        await answer(send, b"not found\n", 404)
    else:
        await route(scope, receive, send)


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    """Start and end as the environment says (LIFE); the gate learns of both, if it says so."""
    life = os.environ.get("LIFE", "")
    assert (await receive())["type"] == "lifespan.startup"
    if life == "fail":
        await send({"type": "lifespan.startup.failed", "message": "the stable is closed"})
        return
    if life == "raise":
        raise LookupError("the stable has burnt down")
    if life == "told":
        await announce("startup")
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    if life == "told":
        await announce("shutdown")
    if life == "fail-late":
        await send({"type": "lifespan.shutdown.failed", "message": "the door is stuck"})
        return
    await send({"type": "lifespan.shutdown.complete"})
