"""A small stable in Litestar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated

from litestar import Litestar, WebSocket, get, post, websocket, websocket_listener
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.logging import LoggingConfig
from litestar.params import Body
from litestar.response import Response, ServerSentEvent, Stream

_written = asyncio.Event()


@dataclass
class Horse:
    name: str
    stall: int


@get("/horses/{number:int}")
async def read_horse(number: int, fed: bool = False) -> dict[str, object]:
    return {"number": number, "fed": fed}


@post("/horses")
async def add_horse(data: Horse) -> Horse:
    return data


@get("/thread", sync_to_thread=True)
def tell_thread() -> dict[str, str]:
    return {"answer": "from a thread"}


@get("/stream")
async def stream(lines: int) -> Stream:
    async def pieces() -> AsyncGenerator[str, None]:
        for number in range(lines):
            yield f"line {number}\n"
            await asyncio.sleep(0)

    return Stream(pieces(), media_type="text/plain")


@get("/events")
async def events(count: int) -> ServerSentEvent:
    async def pieces() -> AsyncGenerator[str, None]:
        for number in range(count):
            yield f"event {number}"

    return ServerSentEvent(pieces())


async def write_letter() -> None:
    await asyncio.sleep(0.01)
    _written.set()


@post("/letter")
async def letter() -> Response[dict[str, bool]]:
    return Response({"written": _written.is_set()}, background=BackgroundTask(write_letter))


@get("/letter")
async def wait_letter() -> dict[str, bool]:
    async with asyncio.timeout(10):
        await _written.wait()
    return {"written": True}


@post("/upload")
async def upload(
    data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, object]:
    return {"name": data.filename, "size": len(await data.read())}


@get("/crash")
async def crash() -> None:
    raise RuntimeError("the stable door was left open")


@websocket_listener("/echo")
async def echo(data: str) -> str:
    return data[::-1]


@websocket("/talk")
async def talk(socket: WebSocket) -> None:
    await socket.accept(subprotocols="json")
    message = await socket.receive_json()
    await socket.send_json({"heard": message})
    await socket.close(4001, "enough")


app = Litestar(
    [read_horse, add_horse, tell_thread, stream, events, letter, wait_letter, upload, crash, echo, talk],
    # By default it says nothing about exceptions outside of its debug mode.
    logging_config=LoggingConfig(log_exceptions="always"),
)
