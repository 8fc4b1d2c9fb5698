"""One application in two interfaces, `wsgi_app` and `asgi_app`: it tells what reached it, in the same words in both."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.apps.robust import hold

Headers = list[tuple[str, str]]
Message = dict[str, Any]

ETAG = '"v1"'
BLOCK = 65_536
# To nginx: pass on each piece as it comes.
UNBUFFERED = ("X-Accel-Buffering", "no")


@dataclass(slots=True)
class Told:
    """A request as the application was told of it.

    Attributes:
        method: as the client sent it.
        root: what the application is mounted below.
        path: decoded, without the root.
        query: as the client sent it.
        scheme: http or https.
        client: the client's address.
        fields: values of header fields by name in lower case; those of repeated fields joined by commas.
        variables: all other texts in the environ; nothing in ASGI.
    """

    method: str
    root: str
    path: str
    query: str
    scheme: str
    client: str
    fields: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Digest:
    """The body, in short."""

    size: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; a piece of None breaks the answer off, and a file is for the server to read."""

    status: str = "200 OK"
    headers: Headers = field(default_factory=list)
    pieces: Iterable[bytes | None] = ()
    file: Path | None = None


def content(size: int) -> Iterator[bytes]:
    """So many bytes, in blocks of which no two neighbours are alike."""
    for index, start in enumerate(range(0, size, BLOCK)):
        yield bytes([index % 251]) * min(BLOCK, size - start)


def answer(told: Told, body: Digest) -> Answer:
    """Say what is answered to a request: what is known of it, where the path asks for nothing else."""
    route = ROUTES.get(told.path)
    return route(told, body) if route else _as_json(asdict(told))


def _as_json(value: dict[str, Any]) -> Answer:
    text = json.dumps(value).encode()
    return Answer(headers=[("Content-Type", "application/json"), ("Content-Length", str(len(text)))], pieces=[text])


def _cached(told: Told) -> Answer:
    if told.fields.get("if-none-match") == ETAG:
        return Answer("304 Not Modified", [("ETag", ETAG)])
    return Answer(headers=[("ETag", ETAG), ("Content-Length", "6")], pieces=[b"fresh\n"])


def _dripping(end: bytes | None) -> Iterator[bytes | None]:
    yield b"first\n"
    hold("drip")
    yield end


def _large(told: Told) -> Answer:
    size = int(told.query)
    return Answer(headers=[("Content-Length", str(size)), UNBUFFERED], pieces=content(size))


def _redirect(told: Told) -> Answer:
    return Answer("302 Found", [("Location", f"{told.scheme}://{told.fields['host']}{told.root}/there")])


def _fail() -> Answer:
    raise RuntimeError("the stable door was left open")


ROUTES: dict[str, Callable[[Told, Digest], Answer]] = {
    "/digest": lambda told, body: _as_json({**asdict(body), "length": told.fields.get("content-length", "")}),
    "/large": lambda told, _: _large(told),
    "/stream": lambda told, _: Answer(pieces=content(int(told.query))),
    "/file": lambda told, _: Answer(file=Path(told.query)),
    "/nothing": lambda *_: Answer("204 No Content"),
    "/cached": lambda told, _: _cached(told),
    "/missing": lambda *_: Answer("404 Not Found", [("Content-Length", "8")], [b"no hay\r\n"]),
    "/teapot": lambda *_: Answer("418 Stable Teapot", [("Content-Type", "text/tea")], [b"short and stout"]),
    "/redirect": lambda told, _: _redirect(told),
    "/cookies": lambda *_: Answer(headers=[("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; HttpOnly")]),
    "/status-field": lambda *_: Answer(headers=[("Status", "503 Made Up"), ("X-Hay", "sweet")], pieces=[b"well"]),
    "/drip": lambda *_: Answer(headers=[UNBUFFERED], pieces=_dripping(b"last\n")),
    "/fail-early": lambda *_: _fail(),
    "/fail-late": lambda *_: Answer(headers=[UNBUFFERED], pieces=_dripping(None)),
    "/fail-short": lambda *_: Answer(headers=[("Content-Length", "1000"), UNBUFFERED], pieces=_dripping(None)),
}


# WSGI


def wsgi_app(environ: dict[str, Any], start_response: Callable[[str, Headers], object]) -> Iterable[bytes]:
    """Answer as `answer` says."""
    said = answer(_told_of_environ(environ), _digest_of_input(environ["wsgi.input"]))
    start_response(said.status, said.headers)
    if said.file is not None:
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](said.file.open("rb"))
        return wrapped
    return _pieces(said)


def _pieces(said: Answer) -> Iterator[bytes]:
    for piece in said.pieces:
        if piece is None:
            raise RuntimeError("the stable is on fire")
        yield piece


def _told_of_environ(environ: dict[str, Any]) -> Told:
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    fields = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): texts.pop(name)
        for name in list(texts)
        if name.startswith("HTTP_") or name in ("CONTENT_LENGTH", "CONTENT_TYPE")
    }
    return Told(
        method=texts["REQUEST_METHOD"],
        root=_as_utf8(texts["SCRIPT_NAME"]),
        path=_as_utf8(texts["PATH_INFO"]),
        query=texts["QUERY_STRING"],
        scheme=texts["wsgi.url_scheme"],
        client=texts["REMOTE_ADDR"],
        fields=fields,
        variables=texts,
    )


def _as_utf8(text: str) -> str:
    return text.encode("latin-1").decode()


def _digest_of_input(stream: Any) -> Digest:  # noqa: ANN401 (wsgi.input)
    sha256, size = hashlib.sha256(), 0
    while block := stream.read(BLOCK):
        sha256.update(block)
        size += len(block)
    return Digest(size, sha256.hexdigest())


# ASGI


async def asgi_app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer as `answer` says, and each message of a WebSocket with itself."""
    if scope["type"] == "websocket":
        await _echo(scope, receive, send)
        return
    if scope["type"] != "http":
        raise RuntimeError("only HTTP and WebSocket")
    said = answer(_told_of_scope(scope), await _digest_of_messages(receive))
    headers = [(name.lower().encode(), value.encode()) for name, value in said.headers]
    await send({"type": "http.response.start", "status": int(said.status[:3]), "headers": headers})
    if said.file is not None:
        await send({"type": "http.response.pathsend", "path": str(said.file)})
        return
    async for piece in _in_thread(said.pieces):
        if piece is None:
            raise RuntimeError("the stable is on fire")
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


def _told_of_scope(scope: Message) -> Told:
    fields: dict[str, str] = {}
    for name, value in ((name.decode(), value.decode("latin-1")) for name, value in scope["headers"]):
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    client = scope["client"] or ("",)
    return Told(
        method=scope.get("method", "GET"),
        root=scope["root_path"],
        path=scope["path"].removeprefix(scope["root_path"]),
        query=scope["query_string"].decode(),
        scheme=scope["scheme"],
        client=client[0],
        fields=fields,
    )


async def _digest_of_messages(receive: Callable[[], Awaitable[Message]]) -> Digest:
    sha256, size, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        block = message.get("body", b"")
        sha256.update(block)
        size += len(block)
        more = message.get("more_body", False)
    return Digest(size, sha256.hexdigest())


async def _in_thread(pieces: Iterable[bytes | None]) -> AsyncIterator[bytes | None]:
    """Iterate over pieces that may block."""
    iterator, end = iter(pieces), object()
    while (piece := await asyncio.to_thread(next, iterator, end)) is not end:
        yield piece  # type: ignore[misc]


async def _echo(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Tell of the handshake in the first message, then return what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps(asdict(_told_of_scope(scope)))})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
