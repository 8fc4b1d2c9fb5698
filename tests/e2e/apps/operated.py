"""Applications that do what an operator wants to see: wait, hang in Python, hang outside of it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hostler.contracts import Receive, Send


def wait_for_gate(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)


def be_stuck() -> None:
    """In C and with the GIL held, as a stuck extension is."""
    empty, _ = os.pipe()
    ctypes.PyDLL(None).read(empty, ctypes.create_string_buffer(1), 1)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/wait":
        wait_for_gate(query)
    if path == "/stuck":
        be_stuck()
    if path == "/sleep":
        time.sleep(20)
    if path == "/crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/fail":
        raise RuntimeError("the kitchen \x1b[31mburns\x1b[0m")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]


async def cook(dish: asyncio.Event) -> None:
    await dish.wait()


async def asgi(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise ValueError("only HTTP is served here")
    if scope["path"] == "/cook":
        # Never done: the client takes its answer to be lost.
        await asyncio.create_task(cook(asyncio.Event()), name="the cook")
    if scope["path"] == "/stuck":
        be_stuck()
    if scope["path"] == "/sleep":
        time.sleep(20)  # noqa: ASYNC251 - what is looked for
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello\n"})
