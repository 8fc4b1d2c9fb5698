"""One small WebSocket application for each thing that a test needs, found by its path.

The notes and gates are those of `asgi_pages`, whose pages are served over HTTP beside these.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from urllib.parse import unquote

from tests.conformance.apps import asgi_pages
from tests.conformance.apps.asgi_pages import Message, Page, Receive, Scope, Send, argument, note

_PAGES: dict[str, Page] = {}
PIECE = b"x" * 65_536


def page(path: str) -> Callable[[Page], Page]:
    """Put an application under a path."""

    def register(application: Page) -> Page:
        _PAGES[path] = application
        return application

    return register


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Call the page of this path."""
    if scope["type"] == "websocket":
        await _PAGES[scope["path"]](scope, receive, send)
    else:
        await asgi_pages.app(scope, receive, send)


async def accept(receive: Receive, send: Send, **more: object) -> None:
    """Accept the connection that asks for it."""
    event = await receive()
    assert event == {"type": "websocket.connect"}, event
    await send({"type": "websocket.accept", **more})


async def say(send: Send, value: object) -> None:
    """Send a value as text."""
    await send({"type": "websocket.send", "text": value if isinstance(value, str) else repr(value)})


@page("/echo")
async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each message back as it came; the end is noted, if the query has a name for it."""
    await accept(receive, send)
    name = argument(scope, "note")
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            break
        if event.get("text") is not None:
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})
    if name:
        note(name, repr(event))


@page("/events")
async def tell_events(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell each event as it came."""
    await accept(receive, send)
    event = await receive()
    while event["type"] != "websocket.disconnect":
        await say(send, {**event, "size": len(event.get("text") or event.get("bytes") or "")})
        event = await receive()


@page("/sizes")
async def tell_sizes(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell each message's kind and size."""
    await accept(receive, send)
    event = await receive()
    while event["type"] != "websocket.disconnect":
        is_text = event.get("text") is not None
        await say(send, ("text", len(event["text"])) if is_text else ("bytes", len(event["bytes"])))
        event = await receive()


@page("/scope")
async def tell_scope(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell the scope."""
    await accept(receive, send)
    seen = {name: value for name, value in scope.items() if name != "state"}
    seen["headers"] = [tuple(pair) for pair in scope["headers"]]
    await say(send, {"scope": seen, "state": sorted(scope["state"])})
    await receive()


@page("/accept")
async def accept_so(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept with the subprotocol and headers of the query."""
    subprotocol = argument(scope, "subprotocol") or None
    await accept(receive, send, subprotocol=subprotocol, headers=ast.literal_eval(argument(scope, "headers", "[]")))
    await receive()


@page("/script")
async def send_script(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the messages of a script, as `asgi_pages` does; then wait for the end and note it, too."""
    script = ast.literal_eval(unquote(scope["query_string"].decode()))
    await receive()
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
    event: Message = {"type": ""}
    while event["type"] != "websocket.disconnect":
        event = await receive()
    note(f"{script['note']}-end", repr(event))


@page("/before-accept")
async def receive_before_accept(scope: Scope, receive: Receive, send: Send) -> None:
    """Note what comes after the request to connect, unanswered."""
    name = argument(scope, "note")
    assert (await receive())["type"] == "websocket.connect"
    note(f"{name}-arrived")
    note(name, repr(await receive()))


@page("/twice")
async def receive_twice(scope: Scope, receive: Receive, send: Send) -> None:
    """Note the end, and the event after it, and what becomes of a message to nobody."""
    name = argument(scope, "note")
    await accept(receive, send)
    event = await receive()
    while event["type"] != "websocket.disconnect":
        event = await receive()
    try:
        await say(send, "too late")
    except OSError:
        outcome = "OSError"
    except RuntimeError:
        outcome = "RuntimeError"
    else:
        outcome = "sent"
    note(name, repr((event, await receive(), outcome)))


@page("/return")
async def leave(scope: Scope, receive: Receive, send: Send) -> None:
    """Return without having closed."""
    await accept(receive, send)
    await say(send, "last words")


@page("/return-before-accept")
async def leave_early(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


@page("/fail")
async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail when the first message comes."""
    await accept(receive, send)
    await receive()
    raise LookupError("in a conversation")


@page("/fail-before-accept")
async def fail_early(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise LookupError("before a conversation")


@page("/hold")
async def hold(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and take no message before the gate opens; then count those that wait."""
    name = argument(scope, "gate")
    await accept(receive, send)
    note(f"{name}-arrived")
    await asgi_pages.gate(name).wait()
    size = count = 0
    event = await receive()
    while (event.get("text") or "") != "end":
        assert event["type"] == "websocket.receive", event
        size += len(event["bytes"])
        count += 1
        event = await receive()
    await say(send, (count, size))
    await receive()


@page("/pour")
async def pour(scope: Scope, receive: Receive, send: Send) -> None:
    """Send without end; note how much was taken before sending had to wait, and how it ended."""
    name = argument(scope, "note")
    await accept(receive, send)
    taken = 0
    while True:
        sending = asyncio.ensure_future(send({"type": "websocket.send", "bytes": PIECE}))
        done, _ = await asyncio.wait([sending], timeout=0.3)
        if not done:
            break
        sending.result()
        taken += len(PIECE)
    note(name, str(taken))
    try:
        await sending
        while True:
            await send({"type": "websocket.send", "bytes": PIECE})
    except BaseException as error:
        note(f"{name}-end", "OSError" if isinstance(error, OSError) else type(error).__name__)
        raise


@page("/burst")
async def send_burst(scope: Scope, receive: Receive, send: Send) -> None:
    """As many messages of 64 KiB as the query says, then the end."""
    await accept(receive, send)
    for _ in range(int(argument(scope, "count"))):
        await send({"type": "websocket.send", "bytes": PIECE})
    await send({"type": "websocket.close"})


@page("/many")
async def send_many(scope: Scope, receive: Receive, send: Send) -> None:
    """Send numbers, and listen at the same time, as chats do."""
    await accept(receive, send)
    count = int(argument(scope, "count"))
    heard = 0

    async def listen() -> None:
        nonlocal heard
        while (await receive())["type"] == "websocket.receive":
            heard += 1
            if heard == count:
                return

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        for number in range(count):
            await say(send, str(number))
    await say(send, f"heard {heard}")
    await send({"type": "websocket.close", "code": 1000})


@page("/two-receivers")
async def receive_in_two(scope: Scope, receive: Receive, send: Send) -> None:
    """Take messages in two tasks; each message goes to one of them."""
    await accept(receive, send)
    heard: list[str] = []

    async def listen() -> None:
        while (event := await receive())["type"] == "websocket.receive" and event["text"] != "end":
            heard.append(event["text"])

    await asyncio.gather(listen(), listen())
    await say(send, sorted(heard, key=int))
    await receive()


@page("/many-senders")
async def send_from_many(scope: Scope, receive: Receive, send: Send) -> None:
    """Send from many tasks at once, to a client that takes its time."""
    await accept(receive, send)
    count = int(argument(scope, "count"))
    await asyncio.gather(*(say(send, f"{number} " * 20_000) for number in range(count)))
    await say(send, "end")
    await receive()


@page("/give-up")
async def give_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Give up sending to a client that does not read, then go on: each message is there whole or not at all."""
    await accept(receive, send)
    sent = given_up = 0
    while given_up < 5:
        try:
            async with asyncio.timeout(0.05):
                await send({"type": "websocket.send", "bytes": PIECE})
                sent += 1
        except TimeoutError:
            given_up += 1
    note(argument(scope, "note"), str(sent))
    await say(send, "end")
    await receive()


@page("/accept-late")
async def accept_late(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept when the gate opens."""
    name = argument(scope, "gate")
    await receive()
    note(f"{name}-arrived")
    await asgi_pages.gate(name).wait()
    await send({"type": "websocket.accept"})
    await say(send, "late")
    await receive()


@page("/cancel-receive")
async def cancel_receive(scope: Scope, receive: Receive, send: Send) -> None:
    """Give up waiting for a message again and again: none may be lost."""
    await accept(receive, send)
    heard = []
    while "end" not in heard:
        try:
            async with asyncio.timeout(0.001):
                heard.append((await receive())["text"])
        except TimeoutError:
            await asyncio.sleep(0)
    await say(send, heard)
    await receive()
