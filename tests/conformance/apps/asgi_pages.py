"""One small ASGI application for each thing that the specification says, found by its path.

What happens unseen is left as a note: `/note?NAME` waits until the note is there and answers with its text, so that a
test can wait for what the client of another connection cannot see. Answers that carry Python values are literals.
"""

from __future__ import annotations

import ast
import asyncio
import io
import itertools
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Page = Callable[[Scope, Receive, Send], Awaitable[None]]

TEXT = [(b"content-type", b"text/plain")]
NOTE_PATIENCE = 10.0
PIECE = b"x" * 65_536

_PAGES: dict[str, Page] = {}
_notes: dict[str, str] = {}
_noted: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
_gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
_shared: list[str] = []


def page(path: str) -> Callable[[Page], Page]:
    """Put an application under a path."""

    def register(application: Page) -> Page:
        _PAGES[path] = application
        return application

    return register


def note(name: str, text: str = "") -> None:
    """Leave a note, and wake who waits for it."""
    _notes[name] = _notes.get(name, "") + text
    _noted[name].set()


def gate(name: str) -> asyncio.Event:
    """A gate that calls wait at until the test opens it."""
    return _gates[name]


def argument(scope: Scope, name: str, default: str = "") -> str:
    """One value of the query."""
    query: str = scope["query_string"].decode()
    return parse_qs(query, keep_blank_values=True).get(name, [default])[0]


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    """Send a whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": TEXT})
    await send({"type": "http.response.body", "body": body})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Call the page of this path."""
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
        return
    assert scope["type"] == "http", scope["type"]
    await _PAGES.get(scope["path"], view)(scope, receive, send)


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    """Put things into the state at the start."""
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"].update(word="hay", shared=_shared)
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    await send({"type": "lifespan.shutdown.complete"})


# Notes and gates


@page("/note")
async def wait_note(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for a note."""
    name = unquote(scope["query_string"].decode())
    try:
        await asyncio.wait_for(_noted[name].wait(), NOTE_PATIENCE)
    except TimeoutError:
        await answer(send, b"", 504)
    else:
        await answer(send, _notes[name].encode())


@page("/open")
async def open_gate(scope: Scope, receive: Receive, send: Send) -> None:
    """Let those through who wait at a gate."""
    gate(scope["query_string"].decode()).set()
    await answer(send, b"open")


@page("/wait")
async def wait_gate(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait at a gate, then answer; what becomes of the call is noted."""
    name = scope["query_string"].decode()
    note(f"{name}-arrived")
    try:
        await gate(name).wait()
        await answer(send, b"waited")
        note(f"{name}-ended", "sent")
    except BaseException as error:
        note(f"{name}-ended", type(error).__name__)
        raise


# What a request says


@page("/view")
async def view(scope: Scope, receive: Receive, send: Send) -> None:
    """The scope as a literal, and what its values are."""
    seen = {name: value for name, value in scope.items() if name != "state"}
    seen["headers"] = [tuple(pair) for pair in scope["headers"]]
    told = {"scope": seen, "types": {name: type(value).__name__ for name, value in scope.items()}}
    await answer(send, repr(told).encode())


@page("/state")
async def change_state(scope: Scope, receive: Receive, send: Send) -> None:
    """Change the state, and the list in it, and tell what was there before."""
    state = scope["state"]
    before = repr((sorted(state), state["word"], len(state["shared"])))
    state["word"] = "straw"
    state["mine"] = 1
    state["shared"].append("seen")
    await answer(send, before.encode())


@page("/change-scope")
async def change_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """Do to the scope what middleware does."""
    scope["path"] = "/changed"
    scope["headers"].append((b"x-added", b"1"))
    scope["extensions"]["added"] = {}
    scope["asgi"]["spec_version"] = "changed"
    await answer(send, b"changed")


@page("/pid")
async def process(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, str(os.getpid()).encode())


# receive


@page("/events")
async def list_events(scope: Scope, receive: Receive, send: Send) -> None:
    """All events of the body."""
    events = []
    more = True
    while more:
        events.append(await receive())
        more = events[-1].get("more_body", False)
    await answer(send, repr(events).encode())


@page("/each")
async def echo_each(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each part of the body back as soon as it is there."""
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    more = True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        await send({"type": "http.response.body", "body": event["body"], "more_body": more})


@page("/count")
async def count_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Count the body's bytes, and the events and the largest of them."""
    size = count = largest = 0
    more = True
    while more:
        event = await receive()
        more = event.get("more_body", False)
        size += len(event["body"])
        count += 1
        largest = max(largest, len(event["body"]))
    await answer(send, repr((size, count, largest)).encode())


@page("/ignore")
async def ignore_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without having asked for the body."""
    await answer(send, b"ignored")


@page("/first")
async def read_first(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer after the first part of the body."""
    event = await receive()
    await answer(send, repr(event).encode())


@page("/after")
async def receive_after(scope: Scope, receive: Receive, send: Send) -> None:
    """Ask for events after the whole answer was sent."""
    await receive()
    await answer(send, b"whole")
    note(argument(scope, "note"), repr([await receive(), await receive()]))


async def send_to_nobody(send: Send) -> str:
    """Send until it fails, which a client that has only stopped sending may put off a little."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + NOTE_PATIENCE / 2
    try:
        while loop.time() < deadline:
            await send({"type": "http.response.body", "body": b"to nobody", "more_body": True})
            await asyncio.sleep(0.001)
    except OSError as error:
        return f"OSError: {error}"
    return "sent"


@page("/watch")
async def watch(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for the end of the client, then try to send."""
    name = argument(scope, "note")
    note(f"{name}-arrived")
    events = [await receive()]
    while events[-1]["type"] != "http.disconnect":
        events.append(await receive())
    events.append(await receive())
    try:
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    except OSError as error:
        outcome = f"OSError: {error}"
    else:
        outcome = await send_to_nobody(send)
    note(name, repr(([event["type"] for event in events], outcome)))


@page("/watch-streaming")
async def watch_streaming(scope: Scope, receive: Receive, send: Send) -> None:
    """As /watch, in the middle of an answer."""
    name = argument(scope, "note")
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    note(name, await send_to_nobody(send))


@page("/pour")
async def pour(scope: Scope, receive: Receive, send: Send) -> None:
    """Send without end until sending fails."""
    name = argument(scope, "note")
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    try:
        while True:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    except BaseException as error:
        note(name, "OSError" if isinstance(error, OSError) else type(error).__name__)
        raise


@page("/two-receivers")
async def two_receivers(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for the end of the client in a task of its own while the answer is made, as Starlette does."""
    name = argument(scope, "note")

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        note(name, "told")

    async with asyncio.TaskGroup() as group:
        listener = group.create_task(listen())
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"piece ", "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})
        listener.cancel()
        note(f"{name}-cancelled")


@page("/cancelled-receive")
async def cancelled_receive(scope: Scope, receive: Receive, send: Send) -> None:
    """Give up waiting for a part of the body, then ask again: nothing of it may be lost."""
    name = argument(scope, "note")
    body = b""
    gave_up = 0
    more = True
    while more:
        try:
            async with asyncio.timeout(0.005):
                event = await receive()
        except TimeoutError:
            gave_up += 1
            note(name)
            continue
        body += event["body"]
        more = event["more_body"]
    await answer(send, repr((gave_up > 0, body)).encode())


@page("/orphan")
async def orphan(scope: Scope, receive: Receive, send: Send) -> None:
    """Leave a task behind that waits for an event, and return."""
    name = argument(scope, "note")
    await receive()

    async def listen() -> None:
        note(name, repr(await receive()))

    _tasks.add(asyncio.create_task(listen()))
    await asyncio.sleep(0)
    await answer(send, b"whole")


_tasks: set[asyncio.Task[None]] = set()


@page("/as-tasks")
async def use_tasks(scope: Scope, receive: Receive, send: Send) -> None:
    """Await receive() and send() in the ways that there are for coroutines."""
    ways: list[Callable[[Awaitable[Message]], Awaitable[Message]]] = [
        lambda event: asyncio.create_task(_as_coroutine(event)),
        lambda event: asyncio.wait_for(event, NOTE_PATIENCE),
        asyncio.ensure_future,
        asyncio.shield,
    ]
    body = b""
    for way in itertools.cycle(ways):
        event = await way(receive())
        body += event["body"]
        if not event["more_body"]:
            break
        note(f"{argument(scope, 'note')}-{len(body)}")
    await asyncio.create_task(_as_coroutine(send({"type": "http.response.start", "status": 200, "headers": TEXT})))
    await asyncio.wait_for(send({"type": "http.response.body", "body": body, "more_body": True}), NOTE_PATIENCE)
    await asyncio.gather(
        send({"type": "http.response.body", "body": b" and", "more_body": True}),
        send({"type": "http.response.body", "body": b" more", "more_body": True}),
    )
    await asyncio.shield(send({"type": "http.response.body", "body": b" end"}))


def _as_coroutine(awaitable: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """What servers return is a coroutine, and create_task takes nothing else."""
    assert asyncio.iscoroutine(awaitable), type(awaitable)
    return awaitable


# send


@page("/send")
async def send_script(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the messages of a script; an error is noted, and raised on unless the script says otherwise.

    The script is a literal in the query: `note`, `messages`, and `rescue`, messages to send after an error.
    """
    script = ast.literal_eval(unquote(scope["query_string"].decode()))
    try:
        for message in script["messages"]:
            await send(message)
    except BaseException as error:
        note(script["note"], f"{type(error).__name__}: {error}")
        if not script["rescue"]:
            raise
        for message in script["rescue"]:
            await send(message)
    else:
        note(script["note"], "sent")


@page("/pieces")
async def send_pieces(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a piece, wait at a gate, and send the rest."""
    name = argument(scope, "gate")
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    await gate(name).wait()
    await send({"type": "http.response.body", "body": b"second", "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    await send({"type": "http.response.body", "body": b"third"})


@page("/large")
async def send_large(scope: Scope, receive: Receive, send: Send) -> None:
    """As many pieces of 64 KiB as the query says."""
    count = int(argument(scope, "count"))
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    for number in range(count):
        await send({"type": "http.response.body", "body": PIECE, "more_body": number + 1 < count})


@page("/held")
async def send_held(scope: Scope, receive: Receive, send: Send) -> None:
    """Send to a client that does not read until sending waits; note how much was taken by then."""
    name = argument(scope, "note")
    taken = 0
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    held: asyncio.Task[None] | None = None
    while held is None:
        sending = asyncio.ensure_future(send({"type": "http.response.body", "body": PIECE, "more_body": True}))
        done, _ = await asyncio.wait([sending], timeout=0.3)
        if done:
            taken += len(PIECE)
        else:
            held = sending
    note(name, str(taken))
    await held
    await send({"type": "http.response.body", "body": b"end"})


@page("/give-up")
async def give_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Give up sending to a client that does not read, then go on: each piece is there whole or not at all."""
    name = argument(scope, "note")
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    sent = given_up = 0
    while given_up < 5:
        try:
            async with asyncio.timeout(0.05):
                await send({"type": "http.response.body", "body": b"<" + PIECE + b">", "more_body": True})
                sent += 1
        except TimeoutError:
            given_up += 1
    note(name, str(sent))
    await send({"type": "http.response.body", "body": b"end"})


@page("/send-late")
async def send_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, wait at a gate, and send on: when the next request of the connection is being answered."""
    name = argument(scope, "gate")
    await answer(send, b"first")
    await gate(name).wait()
    outcomes = []
    for message in (
        {"type": "http.response.body", "body": b"INTRUDER", "more_body": True},
        {"type": "http.response.start", "status": 418, "headers": []},
        {"type": "http.response.body", "body": b"INTRUDER"},
    ):
        try:
            await send(message)
        except (OSError, RuntimeError, ValueError) as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("sent")
    outcomes.append((await receive())["type"])
    note(f"{name}-ended", repr(outcomes))


@page("/view-memory")
async def send_memory(scope: Scope, receive: Receive, send: Send) -> None:
    """Send bytes that change after they were sent."""
    body = bytearray(b"as it was")
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    await send({"type": "http.response.body", "body": bytes(body), "more_body": True})
    body[:] = b"changed!!"
    await send({"type": "http.response.body", "body": b""})


@page("/like-bytes")
async def send_like_bytes(scope: Scope, receive: Receive, send: Send) -> None:
    """Send what is no bytes, but has the same buffer."""
    kind = {"bytearray": bytearray, "memoryview": memoryview}[argument(scope, "kind")]
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})
    await send({"type": "http.response.body", "body": kind(b"like bytes")})


@page("/file")
async def send_file(scope: Scope, receive: Receive, send: Send) -> None:
    """Send parts of a file by its descriptor.

    The query has the file's path, and the parts as a literal: bytes, or the keys of a message; `seek` is done first.
    """
    parts = ast.literal_eval(argument(scope, "parts"))
    headers = [(b"content-length", argument(scope, "length").encode())] if argument(scope, "length") else []
    name = argument(scope, "note")
    status = int(argument(scope, "status", "200"))
    await send({"type": "http.response.start", "status": status, "headers": TEXT + headers})
    with Path(argument(scope, "path")).open("rb") as file:  # noqa: ASYNC230 (a small local file)
        try:
            for number, part in enumerate(parts, 1):
                more = number < len(parts)
                if isinstance(part, bytes):
                    await send({"type": "http.response.body", "body": part, "more_body": more})
                else:
                    file.seek(part.pop("seek", file.tell()))
                    await send({"type": "http.response.zerocopysend", "file": file, "more_body": more, **part})
        except BaseException as error:
            note(name, f"{type(error).__name__}: {error}")
            raise
    note(name, "sent")


@page("/file-odd")
async def send_odd_file(scope: Scope, receive: Receive, send: Send) -> None:
    """Send what is no open file of bytes."""
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    with open(__file__) as text, open(reader, "rb") as pipe, open(__file__, "rb") as closed:  # noqa: ASYNC230, PTH123
        closed.close()
        file = {"memory": io.BytesIO(b"x"), "text": text, "pipe": pipe, "closed": closed}[argument(scope, "kind")]
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        try:
            await send({"type": "http.response.zerocopysend", "file": file})
        except Exception as error:
            note(argument(scope, "note"), f"{type(error).__name__}: {error}")
            raise
    note(argument(scope, "note"), "sent")


@page("/hint-and-wait")
async def hint_and_wait(scope: Scope, receive: Receive, send: Send) -> None:
    """Send an early hint, and the answer when the gate opens."""
    await send({"type": "http.response.early_hint", "links": [b"</a>; rel=preload"]})
    await gate(scope["query_string"].decode()).wait()
    await answer(send, b"waited")


# Endings


@page("/silent")
async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Return without an answer."""


@page("/only-start")
async def only_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": TEXT})


@page("/unfinished")
async def unfinished(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", argument(scope, "length").encode())] if argument(scope, "length") else []
    await send({"type": "http.response.start", "status": 200, "headers": TEXT + headers})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})


@page("/fail")
async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("before the answer")


@page("/fail-later")
async def fail_later(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0)
    raise LookupError("after a wait")


@page("/fail-after-start")
async def fail_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"a=1")]})
    raise LookupError("after the start")


@page("/fail-midstream")
async def fail_midstream(scope: Scope, receive: Receive, send: Send) -> None:
    await unfinished(scope, receive, send)
    raise LookupError("in the middle of the body")


@page("/fail-after-answer")
async def fail_after_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"whole")
    raise LookupError("after the answer")


@page("/exit")
async def leave(scope: Scope, receive: Receive, send: Send) -> None:
    raise SystemExit(3)


@page("/cancel-self")
async def cancel_self(scope: Scope, receive: Receive, send: Send) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@page("/background")
async def background(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, then wait at a gate: what frameworks call a background task."""
    name = scope["query_string"].decode()
    await answer(send, b"whole")
    await gate(name).wait()
    note(f"{name}-ended", "went on")


# Applications in other forms


class Double:
    """An application of ASGI 2: called with the scope, and the result with the rest."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        await without_lifespan(self.scope, receive, send)


class Instance:
    """An object whose class has an asynchronous `__call__`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)


instance = Instance()


def plain(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """A plain function that returns a coroutine."""
    return app(scope, receive, send)


async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that knows of no lifespan."""
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']} here")
    await _PAGES.get(scope["path"], view)(scope, receive, send)
