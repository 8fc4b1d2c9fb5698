"""An ASGI application that does with its task what libraries and frameworks do, and tells what it saw.

A POST runs a program of `asgi_programs`; the other routes are the things that need more than one request to be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread

from tests.property.asgi_programs import Session, run_briefly, run_program

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Route = Callable[..., Awaitable[Any]]

PATIENCE = 10.0

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

_notes: dict[str, list[Any]] = defaultdict(list)
_noted: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
_gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
_inside: dict[str, int] = defaultdict(int)
_sessions: dict[str, Session] = defaultdict(Session)
_kept: dict[str, list[asyncio.Task[Any]]] = defaultdict(list)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the JSON of what the route gives."""
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']} here")
    if scope["method"] == "POST" and scope["path"] == "/":
        told = await run_program(json.loads(await _read(receive)))
    elif scope["method"] == "POST":
        told = await run_briefly(json.loads(await _read(receive)), _sessions[scope["path"]])
    else:
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        told = await ROUTES[scope["path"]](send, **query)
    if told is not None:
        await _answer(send, told)


async def _read(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        event = await receive()
        body += event["body"]
        more = event["more_body"]
    return body


async def _answer(send: Send, told: object) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _note(name: str, *what: object) -> None:
    _notes[name].append(list(what))
    _noted[name].set()


# Between requests


async def read_note(send: Send, name: str) -> list[Any]:
    """Wait for notes of that name."""
    await asyncio.wait_for(_noted[name].wait(), PATIENCE)
    return _notes[name]


async def open_gate(send: Send, name: str) -> str:
    _gates[name].set()
    return "open"


async def wait_gate(send: Send, name: str) -> str:
    """Wait at a gate; what becomes of the wait is told."""
    _note(f"{name}-arrived")
    try:
        await _gates[name].wait()
    except asyncio.CancelledError as error:
        _note(f"{name}-cancelled", *error.args)
        raise
    return "went through"


async def meet(send: Send, name: str, count: str) -> list[int]:
    """Wait until so many requests are here at once; tell the task's identity, number of tasks seen, and variable."""
    variable.set(f"{name}-{_inside[name]}")
    expected = variable.get()
    task = _task()
    _inside[name] += 1
    if _inside[name] == int(count):
        _gates[name].set()
    await _gates[name].wait()
    assert variable.get() == expected
    assert _task() is task
    assert task in asyncio.all_tasks()
    return [id(task), hash(task)]


# One task's traces in the next


async def mess_up(send: Send, name: str) -> str:
    """Leave a task in as bad a state as can be: named, cancelled, with a variable set."""
    task = _task()
    task.set_name(name)
    variable.set(name)
    task.cancel("never delivered")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    task.cancel("swallowed without a word")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    return name


async def cancel_and_return(send: Send, name: str) -> None:
    """Cancel oneself as the last thing one does, too late for it to be delivered."""
    await _answer(send, name)
    task = _task()
    task.add_done_callback(lambda ended: _note(name, ended.done(), ended.cancelled()))
    task.cancel("too late")


async def tell(send: Send) -> dict[str, Any]:
    """What a fresh task looks like."""
    task = _task()
    await asyncio.sleep(0)
    return {
        "name": task.get_name(),
        "cancelling": task.cancelling(),
        "variable": variable.get(),
        "is_same": task is _task(),
        "is_done": task.done(),
    }


async def keep(send: Send, name: str) -> str:
    """Keep a reference to this task beyond its end."""
    _kept[name].append(_task())
    await asyncio.sleep(0)
    return name


async def use_kept(send: Send, name: str) -> list[Any]:
    """Do to the tasks that have ended what could disturb those that run."""
    told = []
    for task in _kept[name]:
        called = asyncio.Event()
        task.add_done_callback(lambda _, called=called: called.set())  # type: ignore[misc]
        told.append(
            [task.done(), task.cancel("long after its end"), task.cancelled(), task.exception(), task.cancelling()]
        )
        task.uncancel()
        task.set_name("dead")
        await asyncio.wait_for(called.wait(), PATIENCE)
        await task
    return told


async def keep_and_wait(send: Send, name: str) -> str:
    """Keep a reference, and wait at a gate."""
    _kept[name].append(_task())
    return await wait_gate(send, name)


async def cancel_kept(send: Send, name: str) -> list[bool]:
    """Cancel tasks that run."""
    return [task.cancel("by another request") for task in _kept[name]]


async def await_kept(send: Send, name: str) -> list[Any]:
    """Wait for the end of other requests' tasks, as one waits for any task."""
    _note(f"{name}-awaited")
    await asyncio.wait(_kept[name], timeout=PATIENCE)
    return [[task.done(), task.cancelled()] for task in _kept[name]]


async def late_cancel(send: Send, name: str) -> str:
    """Have this task cancelled by a timer that outlives it."""
    loop = asyncio.get_running_loop()
    task = _task()

    def cancel() -> None:
        task.cancel("late")
        _note(name)

    loop.call_later(0.02, cancel)
    return name


# The end


async def watched(send: Send, name: str, end: str) -> str:
    """End in some way, with a callback on the task that takes note of it."""
    task = _task()
    variable.set(name)

    def ended(which: asyncio.Task[Any]) -> None:
        outcome = "cancelled" if which.cancelled() else repr(which.exception())
        _note(name, which is task, which.done(), outcome, variable.get(), which in asyncio.all_tasks())

    task.add_done_callback(lambda _: _note(f"{name}-removed"))
    removed = partial(_note, f"{name}-never")
    task.add_done_callback(removed)
    assert task.remove_done_callback(removed) == 1
    task.add_done_callback(ended)
    if end == "fail":
        raise LookupError("as asked for")
    if end == "cancel":
        task.cancel("as asked for")
        await asyncio.sleep(0)
    if end == "fail after a wait":
        await asyncio.sleep(0)
        raise LookupError("as asked for")
    return name


async def leave_generator(send: Send, name: str) -> str:
    """Leave an asynchronous generator in its middle: the loop's hooks see to its end."""

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            _note(name, "closed")

    async for number in numbers():
        if number == 1:
            break
    return name


# Context


async def pass_context(send: Send, name: str) -> dict[str, Any]:
    """Who sees a variable, and whose changes are seen."""
    loop = asyncio.get_running_loop()
    variable.set(name)
    seen: dict[str, Any] = {}

    async def child() -> None:
        seen["child"] = variable.get()
        variable.set("by the child")

    def called() -> None:
        seen["callback"] = variable.get()
        variable.set("by the callback")

    await asyncio.create_task(child())
    seen["after the child"] = variable.get()
    loop.call_soon(called)
    await asyncio.sleep(0)
    seen["after the callback"] = variable.get()
    seen["to_thread"] = await asyncio.to_thread(variable.get)
    seen["anyio thread"] = await anyio.to_thread.run_sync(variable.get)
    seen["executor"] = await loop.run_in_executor(None, variable.get)
    await asyncio.create_task(child(), context=contextvars.Context())
    seen["child of an empty context"] = seen.pop("child")
    return seen


async def use_threads(send: Send, count: str) -> dict[str, Any]:
    """Run calls in threads, and come back to this task from them."""
    loop = asyncio.get_running_loop()
    task = _task()
    barrier = threading.Barrier(int(count))

    def work(number: int) -> int:
        barrier.wait(PATIENCE)
        back = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, number), loop)
        return back.result(PATIENCE)

    numbers = await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(int(count))))
    return {"numbers": numbers, "is_same": _task() is task, "name": threading.current_thread().name}


async def time_out(send: Send) -> dict[str, Any]:
    """Wait for what never happens, with a limit that is soon over."""
    told: dict[str, Any] = {}
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        told["timeout"] = _task().cancelling()
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    except TimeoutError:
        told["wait_for"] = _task().cancelling()
    with anyio.move_on_after(0.01) as scope:
        await anyio.Event().wait()
    told["move_on_after"] = scope.cancelled_caught
    return told


ROUTES: dict[str, Route] = {
    "/note": read_note,
    "/open": open_gate,
    "/wait": wait_gate,
    "/meet": meet,
    "/mess-up": mess_up,
    "/cancel-and-return": cancel_and_return,
    "/tell": tell,
    "/keep": keep,
    "/use-kept": use_kept,
    "/keep-and-wait": keep_and_wait,
    "/cancel-kept": cancel_kept,
    "/await-kept": await_kept,
    "/late-cancel": late_cancel,
    "/watched": watched,
    "/leave-generator": leave_generator,
    "/pass-context": pass_context,
    "/use-threads": use_threads,
    "/time-out": time_out,
}
