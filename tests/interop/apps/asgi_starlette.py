"""A small stable in Starlette: events, middleware, files, WebSockets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

_gone = asyncio.Event()


class Stamp(BaseHTTPMiddleware):
    """Middleware of the kind that runs the application in a task of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = f"{request.method} {request.url.path}"
        return response


async def events(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(int(request.query_params["count"])):
            yield f"id: {number}\ndata: event {number}\n\n"
            await asyncio.sleep(0.001)

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def endless(request: Request) -> StreamingResponse:
    """Events without end; what becomes of the generator is told by /gone."""

    async def pieces() -> AsyncIterator[str]:
        try:
            while True:
                yield ": still here\n\n"
                await asyncio.sleep(0.001)
        finally:
            _gone.set()

    return StreamingResponse(pieces(), media_type="text/event-stream")


async def gone(request: Request) -> PlainTextResponse:
    async with asyncio.timeout(10):
        await _gone.wait()
    return PlainTextResponse("gone")


async def file(request: Request) -> FileResponse:
    return FileResponse(request.query_params["path"], filename="hay.bin")


async def digest(request: Request) -> JSONResponse:
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return JSONResponse({"size": size, "client": request.client is not None})


async def form(request: Request) -> JSONResponse:
    async with request.form() as fields:
        return JSONResponse({name: str(value) for name, value in fields.items()})


async def tell(request: Request) -> JSONResponse:
    return JSONResponse(
        {
            "url": str(request.url),
            "path_for": str(request.url_for("tell", name="again")),
            "name": request.path_params["name"],
            "extensions": sorted(request.scope["extensions"]),
        }
    )


class Echo(WebSocketEndpoint):
    encoding = "text"

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        await websocket.send_text(data[::-1])


async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(JSONResponse({"reason": "no horse"}, status_code=401))


app = Starlette(
    routes=[
        Route("/events", events),
        Route("/endless", endless),
        Route("/gone", gone),
        Route("/file", file),
        Route("/digest", digest, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/tell/{name}", tell, name="tell"),
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/deny", deny),
        Mount("/static", StaticFiles(directory=os.environ.get("STATIC", Path(__file__).parent))),
    ],
    middleware=[Middleware(GZipMiddleware, minimum_size=500), Middleware(Stamp)],
)

# Without middleware, which would read the file itself.
plain = Starlette(routes=[Route("/file", file)])
