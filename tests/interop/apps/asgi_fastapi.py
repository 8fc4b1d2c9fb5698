"""A small stable in FastAPI: what its users lean on, from validation to WebSockets."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import (
    BackgroundTasks,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

_cleaned: list[str] = []
_written = asyncio.Event()
_rooms: dict[str, set[WebSocket]] = {}


class Horse(BaseModel):
    name: str = Field(min_length=2)
    stall: int = Field(ge=1, le=20)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"hay": "plenty"}
    sys.stderr.write("the stable is closed\n")


app = FastAPI(lifespan=lifespan)


@app.get("/horses/{number}")
async def read_horse(number: int, fed: bool = False) -> dict[str, object]:
    return {"number": number, "fed": fed}


@app.post("/horses", status_code=201)
async def add_horse(horse: Horse) -> Horse:
    return horse


@app.post("/upload")
async def upload(photos: list[UploadFile]) -> list[dict[str, object]]:
    told: list[dict[str, object]] = []
    for photo in photos:
        content = await photo.read()
        told.append({"name": photo.filename, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    return told


async def saddle(name: str) -> AsyncIterator[str]:
    try:
        yield name.upper()
    finally:
        await asyncio.sleep(0)
        _cleaned.append(name)


def bridle(name: str) -> Iterator[str]:
    """A dependency of the synchronous kind, which runs in a thread."""
    yield name.title()
    _cleaned.append(f"{name} in {'the main thread' if _is_main() else 'a thread'}")


@app.get("/ride")
async def ride(
    saddled: Annotated[str, Depends(saddle)], bridled: Annotated[str, Depends(bridle)], falls: bool = False
) -> list[str]:
    if falls:
        raise HTTPException(409, "fallen off")
    return [saddled, bridled]


@app.get("/cleaned")
async def cleaned() -> list[str]:
    return _cleaned


async def write_letter(word: str) -> None:
    await asyncio.sleep(0.01)
    _written.set()


@app.post("/letter", status_code=202)
async def letter(tasks: BackgroundTasks) -> dict[str, bool]:
    tasks.add_task(write_letter, "hay")
    return {"written": _written.is_set()}


@app.get("/letter")
async def wait_letter() -> dict[str, bool]:
    async with asyncio.timeout(10):
        await _written.wait()
    return {"written": True}


@app.get("/thread")
def tell_thread() -> dict[str, object]:
    """A route that is no coroutine: it runs in a thread."""
    return {"main": _is_main()}


_barrier = threading.Barrier(5)


@app.get("/meet")
def meet() -> str:
    """Wait in a thread until five are here."""
    _barrier.wait(10)
    return "met"


@app.get("/stream")
async def stream(lines: int) -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(lines):
            yield f"line {number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/stream-sync")
async def stream_sync(lines: int) -> StreamingResponse:
    """A plain generator, which Starlette iterates in threads."""
    return StreamingResponse((f"line {number}\n" for number in range(lines)), media_type="text/plain")


@app.get("/state")
async def state(request: Request) -> dict[str, str]:
    return {"hay": request.state.hay}


@app.get("/crash")
async def crash() -> None:
    raise RuntimeError("the stable door was left open")


@app.websocket("/rooms/{room}")
async def talk(websocket: WebSocket, room: str, name: str = "nobody") -> None:
    await websocket.accept()
    members = _rooms.setdefault(room, set())
    members.add(websocket)
    await websocket.send_json({"joined": name, "members": len(members)})
    try:
        while True:
            message = await websocket.receive_json()
            for member in list(members):
                await member.send_json({"from": name, **message})
    except WebSocketDisconnect as end:
        members.remove(websocket)
        for member in list(members):
            await member.send_json({"left": name, "code": end.code})


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
