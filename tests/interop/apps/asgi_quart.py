"""A small stable in Quart."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

from quart import Quart, Response, jsonify, make_response, request, session, websocket
from quart.typing import ResponseReturnValue

app = Quart(__name__)
app.secret_key = "for the tests"
_written = asyncio.Event()


@app.before_serving
async def open_door() -> None:
    app.config["DOOR"] = "open"


@app.after_serving
async def close_door() -> None:
    sys.stderr.write("the stable is closed\n")


@app.get("/horses/<int:number>")
async def read_horse(number: int) -> ResponseReturnValue:
    return jsonify(number=number, fed=request.args.get("fed") == "true", door=app.config["DOOR"])


@app.post("/horses")
async def add_horse() -> ResponseReturnValue:
    horse = await request.get_json()
    return horse, 201


@app.post("/upload")
async def upload() -> ResponseReturnValue:
    photo = (await request.files)["photos"]
    return {"name": photo.filename, "size": len(photo.read())}


@app.post("/digest")
async def digest() -> ResponseReturnValue:
    size = 0
    async for piece in request.body:
        size += len(piece)
    return {"size": size}


@app.get("/visits")
async def visits() -> ResponseReturnValue:
    session["visits"] = session.get("visits", 0) + 1
    return {"visits": session["visits"]}


@app.get("/stream")
async def stream() -> ResponseReturnValue:
    lines = int(request.args["lines"])

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(lines):
            yield f"line {number}\n".encode()
            await asyncio.sleep(0)

    answer = await make_response(pieces())
    assert isinstance(answer, Response)
    answer.timeout = None
    return answer


@app.get("/thread")
def tell_thread() -> ResponseReturnValue:
    """A view that is no coroutine: it runs in a thread."""
    return {"answer": "from a thread"}


async def write_letter() -> None:
    await asyncio.sleep(0.01)
    _written.set()


@app.post("/letter")
async def letter() -> ResponseReturnValue:
    app.add_background_task(write_letter)
    return {"written": _written.is_set()}


@app.get("/letter")
async def wait_letter() -> ResponseReturnValue:
    async with asyncio.timeout(10):
        await _written.wait()
    return {"written": True}


@app.get("/crash")
async def crash() -> ResponseReturnValue:
    raise RuntimeError("the stable door was left open")


@app.websocket("/echo")
async def echo() -> None:
    while True:
        data = await websocket.receive()
        await websocket.send(data[::-1])


@app.websocket("/talk")
async def talk() -> None:
    await websocket.accept(subprotocol="json")
    await websocket.send_json({"heard": await websocket.receive_json()})
    await websocket.close(4001, "enough")
