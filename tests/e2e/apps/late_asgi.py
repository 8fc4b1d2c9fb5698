"""An ASGI application that does not come to an end, in every way that there is."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import hostler
from tests.e2e.apps.late import lock_up

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
NOTES: dict[str, str] = {}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    await PLACES[scope["path"].split("/")[1]](scope, receive, send)


async def _say(send: Send, text: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


async def _quick(_: Scope, __: Receive, send: Send) -> None:
    await _say(send, str(os.getpid()))


async def _note(scope: Scope, _: Receive, send: Send) -> None:
    await _say(send, NOTES.get(scope["query_string"].decode(), ""))


async def _wait(_: Scope, __: Receive, ___: Send) -> None:
    """Wait for what never comes."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError as error:
        NOTES["wait"] = f"cancelled: {error}"
        raise


async def _deaf(_: Scope, __: Receive, ___: Send) -> None:
    """Wait, and do not let anybody end it."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            NOTES["deaf"] = "heard"


async def _spin(_: Scope, __: Receive, ___: Send) -> None:
    """Python code without end, in the loop."""
    await asyncio.sleep(0)
    try:
        while True:
            pass
    finally:
        NOTES["spin"] = "left"


async def _hold(_: Scope, __: Receive, ___: Send) -> None:
    """A system call without end, with the GIL."""
    lock_up(ctypes.PyDLL(None))


async def _stream(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    await asyncio.Event().wait()


async def _child(scope: Scope, receive: Receive, send: Send) -> None:
    """Set the deadline in a task of one's own."""

    async def inner() -> None:
        hostler.set_deadline(float(scope["query_string"]))

    await asyncio.create_task(inner())
    await _wait(scope, receive, send)


async def _thread(scope: Scope, receive: Receive, send: Send) -> None:
    """Set the deadline in a thread."""
    await asyncio.to_thread(hostler.set_deadline, float(scope["query_string"]))
    await _wait(scope, receive, send)


async def _key(scope: Scope, receive: Receive, send: Send) -> None:
    assert "hostler.deadline" in scope["extensions"]
    await send({"type": "hostler.deadline", "seconds": float(scope["query_string"])})
    await _wait(scope, receive, send)


async def _after(_: Scope, __: Receive, send: Send) -> None:
    """Go on behind the response."""
    await _say(send, "answered")
    try:
        await asyncio.sleep(1.0)
        NOTES["after"] = "done"
    except asyncio.CancelledError:
        NOTES["after"] = "cancelled"
        raise


async def _socket(scope: Scope, receive: Receive, send: Send) -> None:
    """A WebSocket that lasts, with a deadline if the client sends one."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            NOTES["socket"] = str(message["code"])
            return
        if message["text"] == "forever":
            await asyncio.Event().wait()
        hostler.set_deadline(float(message["text"]))


async def _calm(_: Scope, __: Receive, send: Send) -> None:
    """Run some code that nothing may interrupt."""
    try:
        total = sum(number for number in range(20_000))
    except BaseException as error:
        NOTES["struck"] = repr(error)
        raise
    await _say(send, str(total))


async def _brink(scope: Scope, _: Receive, send: Send) -> None:
    """End so long after the deadline: "DEADLINE,LONGER", in seconds."""
    deadline, longer = map(float, scope["query_string"].split(b","))
    until = time.monotonic() + deadline + longer
    hostler.set_deadline(deadline)
    await asyncio.sleep(0)
    while time.monotonic() < until:  # noqa: ASYNC110 - the loop is to be busy
        await asyncio.sleep(0)
    await _say(send, "in time")


PLACES: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = {
    "quick": _quick,
    "note": _note,
    "wait": _wait,
    "deaf": _deaf,
    "spin": _spin,
    "hold": _hold,
    "stream": _stream,
    "child": _child,
    "thread": _thread,
    "key": _key,
    "after": _after,
    "socket": _socket,
    "calm": _calm,
    "brink": _brink,
}
