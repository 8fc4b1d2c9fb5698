"""The ASGI application: the page, the WebSocket, the stream of events."""

from __future__ import annotations

import asyncio
import json
import os
import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from chat.room import Member, Room, read_clock

HERE = Path(__file__).resolve().parent

LONGEST_NAME = 24
LONGEST_TEXT = 500
TICK = 1.0

# RFC 6455 7.4.1 and IANA's registry: "Unsupported Data", "Try Again Later".
UNSUPPORTED = 1003
TRY_AGAIN_LATER = 1013

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class State(TypedDict):
    """What lifespan gives to requests."""

    room: Room


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Open the room before the first request."""
    yield {"room": Room()}


async def show_page(request: Request) -> Response:
    """Hand over the page."""
    return FileResponse(HERE / "page.html", headers=SECURITY_HEADERS)


# The WebSocket.


async def chat(websocket: WebSocket) -> None:
    """Take part in the chat, until either side ends it."""
    refusal = find_refusal(websocket)
    if refusal is not None:
        await websocket.send_denial_response(refusal)
        return
    room = read_room(websocket)
    await websocket.accept()
    member = room.join(read_name(websocket))
    sender = asyncio.create_task(pass_on(member, websocket))
    try:
        await listen(member, room, websocket)
    except WebSocketDisconnect:
        pass  # gone before it was told why it is to go
    finally:
        room.leave(member)
        sender.cancel()


def find_refusal(websocket: WebSocket) -> Response | None:
    """Say why a handshake is not accepted; None when it is."""
    # Browsers let any site connect, with the user's cookies, and tell only by this header which one it is.
    origin = websocket.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != websocket.headers.get("host"):
        return PlainTextResponse("This chat is for its own page.\n", 403)
    if not read_name(websocket):
        return PlainTextResponse("A name is needed: /ws?name=Ada\n", 422)
    return None


def read_name(websocket: WebSocket) -> str:
    """Read the name from the query; control characters and white space at its ends are left out."""
    name = "".join(char for char in websocket.query_params.get("name", "") if char.isprintable())
    return name.strip()[:LONGEST_NAME].strip()


async def listen(member: Member, room: Room, websocket: WebSocket) -> None:
    """Pass what a member says on to the room."""
    while (message := await websocket.receive())["type"] == "websocket.receive":
        text = read_text(message.get("text") or message.get("bytes") or "")
        if text is None:
            await websocket.close(UNSUPPORTED, 'Send JSON such as {"text": "Hello"}.')
            return
        if text:
            room.say(member, text)


def read_text(message: str | bytes) -> str | None:
    """Read what a message says, cut at the limit; None when it is not of the expected form."""
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        return None
    text = content.get("text") if isinstance(content, dict) else None
    if not isinstance(text, str):
        return None
    # JSON can spell half of a surrogate pair, which no WebSocket can carry to the others.
    return text.encode("utf-8", "replace").decode().strip()[:LONGEST_TEXT]


async def pass_on(member: Member, websocket: WebSocket) -> None:
    """Send a member what is for it, until it is cancelled or the client is gone."""
    try:
        while (event := await member.queue.get()) is not None:
            await websocket.send_json(event)
        await websocket.close(TRY_AGAIN_LATER, "You have fallen behind.")
    except WebSocketDisconnect:
        return  # `listen` sees it as well


# The stream of events.


async def stream_events(request: Request) -> Response:
    """Tell who is there, and what time it is, for as long as the client listens."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter has nginx pass events on at once
    return StreamingResponse(list_events(read_room(request)), media_type="text/event-stream", headers=headers)


async def list_events(room: Room) -> AsyncIterator[str]:
    """Yield events, each as it happens."""
    yield write_event("served", describe_server())
    while True:
        changed = room.changed
        yield write_event("online", {"names": room.names})
        while not await is_set_within(changed, TICK):
            yield write_event("clock", {"now": read_clock().isoformat(timespec="seconds")})


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, and tell whether it came in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def write_event(kind: str, data: Mapping[str, Any]) -> str:
    """Write an event (HTML Living Standard, "Server-sent events")."""
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


def describe_server() -> dict[str, str]:
    """Tell what serves the stream."""
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    return {"worker": f"process {os.getpid()}", "loop": loop, "python": platform.python_version()}


def read_room(connection: HTTPConnection) -> Room:
    """Get the room that lifespan has opened."""
    room: Room = connection.state.room
    return room


app = Starlette(
    routes=[
        Route("/", show_page),
        WebSocketRoute("/ws", chat),
        Route("/events", stream_events),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ],
    lifespan=lifespan,
)
