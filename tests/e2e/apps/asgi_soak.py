"""The application of the ASGI soak test: every way to answer, and what it finds wrong with how it is called.

What it notices itself (a request that sees another one's context, task or messages) goes into `problems`, which
`/state` shows; a handler that never ends stays in `running`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from tests.e2e.apps.soak import pattern

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

# Longer than any client takes; a handler that waits so long was forgotten.
PATIENCE = 60.0
MARK = "soak: "

owner: contextvars.ContextVar[object] = contextvars.ContextVar("owner")
problems: list[str] = []
running: dict[int, str] = {}
# How many messages each WebSocket of `/tally` has brought.
tallies: list[int] = []
# What former exchanges left: it must reach nobody.
kept: list[tuple[Receive, Send]] = []


class StrangeError(BaseException):
    """An exception that is none of `Exception`'s."""


class Call:
    """One call of the application: its messages, each with a look at who we are."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode())
        self.seed, self.size = (int(query.get(name, ["0"])[0]) for name in ("seed", "size"))
        self.path = str(scope["path"])
        self.take, self.give = receive, send
        self.task = asyncio.current_task()
        self._expect(owner.get(None) is None, "the context is another request's")
        self._expect(self.task is not None and not self.task.get_name().startswith(MARK), "the task was used")
        self._expect(self.task is None or self.task.cancelling() == 0, "the task was cancelled before it began")
        owner.set(self)

    def _expect(self, condition: bool, problem: str) -> None:
        if not condition:
            problems.append(f"{self.path} {self.seed}: {problem}")

    def look(self) -> None:
        """See that we are who we were."""
        self._expect(owner.get(None) is self, "the context has changed")
        self._expect(asyncio.current_task() is self.task, "the task has changed")

    async def receive(self) -> Event:
        """The next message."""
        message = await self.take()
        self.look()
        return message

    async def send(self, kind: str, **facts: object) -> None:
        """Send a message of that type."""
        await self.give({"type": kind, **facts})
        self.look()

    async def start(self, *headers: tuple[bytes, bytes], status: int = 200) -> None:
        """Begin the response."""
        await self.send("http.response.start", status=status, headers=list(headers))

    async def body(self, data: bytes, more: bool = False) -> None:
        """Send a piece of the response, which is the last by default."""
        await self.send("http.response.body", body=data, more_body=more)

    async def pieces(self, data: bytes) -> None:
        """Send a body in pieces."""
        for at in range(0, len(data), 30_011):
            await self.body(b"", more=True)
            await self.body(data[at : at + 30_011], more=True)
        await self.body(b"")

    async def disconnected(self) -> None:
        """Wait until there is no client, or no use for one."""
        while (await self.take())["type"] not in {"http.disconnect", "websocket.disconnect"}:
            pass


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch on the first segment of the path; `seed` and `size` say what to answer."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    endpoints = ENDPOINTS if scope["type"] == "http" else SOCKETS
    call = Call(scope, receive, send)
    running[id(call)] = call.path
    try:
        await endpoints[call.path.strip("/")](call)
        call.look()
    finally:
        del running[id(call)]


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    left = sorted(running.values())
    sys.stderr.write(f"{MARK}{len(left)} handlers are left {left[:5]}, {len(problems)} problems {problems[:5]}\n")
    sys.stderr.flush()
    await send({"type": "lifespan.shutdown.complete"})


# HTTP


async def _plain(call: Call) -> None:
    await call.start()
    await call.body(pattern(call.seed, call.size))


async def _slow(call: Call) -> None:
    await asyncio.sleep(call.seed % 40 / 1000)
    call.look()
    await _plain(call)


async def _stream(call: Call) -> None:
    await call.start()
    await call.pieces(pattern(call.seed, call.size))


async def _sized(call: Call) -> None:
    await call.start((b"content-length", b"%d" % call.size))
    await call.pieces(pattern(call.seed, call.size))


async def _written(call: Call) -> None:
    """Two pieces, with the loop's turn between them."""
    data = pattern(call.seed, call.size)
    await call.start()
    await call.body(data[: call.size // 2], more=True)
    await asyncio.sleep(0)
    await call.body(data[call.size // 2 :])


async def _file(call: Call) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(pattern(call.seed, call.size))
        file.flush()
        await call.start()
        await call.send("http.response.pathsend", path=file.name)


async def _zero_copy(call: Call) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(pattern(call.seed, call.size))
        file.flush()
        await call.start()
        for at in range(0, call.size, 100_003):
            count = min(100_003, call.size - at)
            await call.send("http.response.zerocopysend", file=file, offset=at, count=count, more_body=True)
        await call.body(b"")


async def _upload(call: Call) -> None:
    digest, total = hashlib.sha256(), 0
    while (message := await call.receive())["type"] == "http.request":
        digest.update(message["body"])
        total += len(message["body"])
        if call.seed % 3 == 0:
            await asyncio.sleep(0)
        if not message["more_body"]:
            break
    else:
        return
    await call.start()
    await call.body(f"{total} {digest.hexdigest()}\n".encode(), more=True)
    await call.body(pattern(call.seed, call.size))


async def _echo(call: Call) -> None:
    """Sends what comes, while it comes."""
    await call.start()
    while (message := await call.receive())["type"] == "http.request":
        await call.body(message["body"], more=message["more_body"])
        if not message["more_body"]:
            return


async def _tasks(call: Call) -> None:
    """Reads and writes in two tasks, as frameworks do, and cancels the reader."""

    async def watch() -> None:
        await call.disconnected()

    watcher = asyncio.create_task(watch())
    await _stream(call)
    if call.seed % 2:
        watcher.cancel()
    # Not cancelled, it is told once the response is complete.
    await asyncio.wait({watcher}, timeout=PATIENCE)
    call.look()
    if not watcher.done():
        problems.append("nobody told the watcher")


async def _crowd(call: Call) -> None:
    """Two tasks send; the second one's piece is the last."""
    data = pattern(call.seed, call.size)
    await call.start((b"content-length", b"%d" % call.size))

    async def first() -> None:
        await call.give({"type": "http.response.body", "body": data[: call.size // 2], "more_body": True})

    async def second() -> None:
        await call.give({"type": "http.response.body", "body": data[call.size // 2 :]})

    await asyncio.gather(first(), second())
    call.look()


async def _background(call: Call) -> None:
    """Works on after its answer."""
    await _plain(call)
    await asyncio.sleep(call.seed % 50 / 1000)
    call.look()


async def _events(call: Call) -> None:
    """Server-sent events until the client goes."""
    await call.start((b"content-type", b"text/event-stream"))
    gone = asyncio.create_task(call.disconnected())
    number = 0
    try:
        while not gone.done():
            await call.body(b"data: %d\n\n" % number, more=True)
            number += 1
            await asyncio.wait({gone}, timeout=0.002)
        await call.body(b"")
    finally:
        gone.cancel()


async def _bounded(call: Call) -> None:
    """Is cancelled by a timeout of its own, in its first step or in a later one, and answers nonetheless."""
    try:
        async with asyncio.timeout(call.seed % 3 / 1000):
            await asyncio.sleep(PATIENCE)
    except TimeoutError:
        await _plain(call)


async def _marked(call: Call) -> None:
    """Leaves marks on its task, which no other request may find."""
    if call.task is not None:
        call.task.set_name(f"{MARK}{call.seed}")
        call.task.add_done_callback(lambda task: None)
        if call.seed % 2:
            call.task.cancel()
            call.task.uncancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
    await _plain(call)


async def _ignored(call: Call) -> None:
    await _plain(call)


async def _over(call: Call) -> None:
    await call.start((b"content-length", b"%d" % call.size))
    await call.pieces(pattern(call.seed, call.size + 100))


async def _short(call: Call) -> None:
    await call.start((b"content-length", b"%d" % (call.size + 1)))
    await call.pieces(pattern(call.seed, call.size))


async def _broken(call: Call) -> None:
    await call.start()
    await call.body(pattern(call.seed, call.size), more=True)
    raise ValueError("in the middle")


async def _fail(call: Call) -> None:
    kinds: list[BaseException] = [ValueError("x"), asyncio.CancelledError(), StrangeError(), GeneratorExit()]
    if call.seed % 2:
        await asyncio.sleep(0)
    if call.seed % 3:
        await call.start()
    raise kinds[call.seed % len(kinds)]


async def _nothing(call: Call) -> None:
    if call.seed % 2:
        await call.start()


async def _keep(call: Call) -> None:
    """Keeps what belongs to this exchange, for `_haunt`."""
    await _stream(call)
    kept.append((call.take, call.give))


async def _haunt(call: Call) -> None:
    """Uses exchanges that are over, which must reach nobody."""
    data = pattern(call.seed, call.size)
    await call.start()
    await call.body(data[: call.size // 2], more=True)
    for receive, send in kept[-5:]:
        for kind in ("http.response.start", "http.response.body"):
            try:
                await send({"type": kind, "status": 200, "body": b"a ghost"})
                problems.append(f"a ghost could send {kind}")
            except (RuntimeError, OSError):
                pass
        heard = await receive()
        if heard["type"] != "http.disconnect":
            problems.append(f"a ghost has heard {heard}")
    del kept[:-5]
    await call.body(data[call.size // 2 :])


async def _state(call: Call) -> None:
    """What there is of this process's, as JSON."""
    others = sorted(path for path in running.values() if path != call.path)
    facts = {
        "pid": os.getpid(),
        "running": others,
        "tasks": len(asyncio.all_tasks()),
        "problems": problems[:5],
        "tallies": tallies,
    }
    await call.start()
    await call.body(json.dumps(facts).encode())


# WebSockets


async def _accept(call: Call) -> bool:
    message = await call.receive()
    await call.send("websocket.accept")
    return bool(message["type"] == "websocket.connect")


def _is_end(message: Event) -> bool:
    return bool(message["type"] == "websocket.disconnect")


async def _ws_echo(call: Call) -> None:
    await _accept(call)
    while not _is_end(message := await call.receive()):
        if call.seed % 5 == 0:
            await asyncio.sleep(0)
        if message.get("text") is not None:
            await call.send("websocket.send", text=message["text"])
        else:
            await call.send("websocket.send", bytes=message["bytes"])


async def _ws_sink(call: Call) -> None:
    """Answers each message with its digest."""
    await _accept(call)
    while not _is_end(message := await call.receive()):
        data = message["bytes"] if message.get("bytes") is not None else message["text"].encode()
        await call.send("websocket.send", text=f"{len(data)} {hashlib.sha256(data).hexdigest()}")


async def _ws_flood(call: Call) -> None:
    """Sends `size` messages, then closes; a client that goes meanwhile is no error."""
    await _accept(call)
    for number in range(call.size):
        await call.send("websocket.send", bytes=pattern(call.seed + number, 50_000))
    await call.send("websocket.close", code=3000, reason="enough")
    await call.disconnected()


async def _ws_close(call: Call) -> None:
    """Closes at the first message."""
    await _accept(call)
    if not _is_end(await call.receive()):
        await call.send("websocket.close", code=3001, reason="as you wish")
        await call.disconnected()


async def _ws_both(call: Call) -> None:
    """Receives in one task and sends in another."""
    await _accept(call)
    receiver = asyncio.create_task(call.disconnected())
    number = 0
    try:
        while not receiver.done():
            await call.send("websocket.send", text=str(number))
            number += 1
            await asyncio.wait({receiver}, timeout=0.001)
    except OSError:
        await receiver  # it is told, too
    finally:
        receiver.cancel()


async def _ws_idle(call: Call) -> None:
    """Returns at once."""
    await _accept(call)


async def _ws_lazy(call: Call) -> None:
    """Takes its time for each message."""
    await _accept(call)
    count = 0
    while not _is_end(await call.receive()):
        count += 1
        await asyncio.sleep(0.001)
        if count == call.size:
            await call.send("websocket.send", text=str(count))


async def _ws_tally(call: Call) -> None:
    """Counts its messages."""
    await _accept(call)
    count = 0
    while not _is_end(await call.receive()):
        count += 1
    tallies.append(count)


async def _ws_fail(call: Call) -> None:
    await _accept(call)
    await call.receive()
    raise ValueError("in a WebSocket")


async def _ws_deny(call: Call) -> None:
    await call.receive()
    await call.send("websocket.close")


async def _ws_refuse(call: Call) -> None:
    await call.receive()
    await call.send("websocket.http.response.start", status=401, headers=[(b"content-length", b"3")])
    await call.send("websocket.http.response.body", body=b"n", more_body=True)
    await call.send("websocket.http.response.body", body=b"o!")


async def _ws_wait(call: Call) -> None:
    """Never answers the handshake of a client that goes."""
    await call.receive()
    await call.disconnected()


ENDPOINTS: dict[str, Callable[[Call], Awaitable[None]]] = {
    "plain": _plain,
    "slow": _slow,
    "stream": _stream,
    "sized": _sized,
    "written": _written,
    "file": _file,
    "zero": _zero_copy,
    "upload": _upload,
    "echo": _echo,
    "tasks": _tasks,
    "crowd": _crowd,
    "background": _background,
    "events": _events,
    "bounded": _bounded,
    "marked": _marked,
    "ignored": _ignored,
    "over": _over,
    "short": _short,
    "broken": _broken,
    "fail": _fail,
    "nothing": _nothing,
    "keep": _keep,
    "haunt": _haunt,
    "state": _state,
}

SOCKETS: dict[str, Callable[[Call], Awaitable[None]]] = {
    "echo": _ws_echo,
    "sink": _ws_sink,
    "flood": _ws_flood,
    "close": _ws_close,
    "both": _ws_both,
    "idle": _ws_idle,
    "lazy": _ws_lazy,
    "tally": _ws_tally,
    "fail": _ws_fail,
    "deny": _ws_deny,
    "refuse": _ws_refuse,
    "wait": _ws_wait,
}
