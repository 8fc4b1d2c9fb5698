"""The development server's parts for ASGI applications: the failure page and the request log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from hostler.contracts import AsgiApplication, Message, Receive, Send
from hostler.errors import ApplicationError
from hostler.server.dev import load_for_development
from hostler.server.dev_failure import AsgiFailurePage
from hostler.server.dev_log import AsgiRequestLog, LineWriter
from hostler.server.dev_page import TOKEN_HEADER

Scope = dict[str, Any]
HTTP: Scope = {"type": "http", "method": "GET", "path": "/shop/ä\x1b", "query_string": b"q=1"}
WEBSOCKET: Scope = {"type": "websocket", "path": "/chat", "query_string": b""}
HEAD = {"type": "http.response.start", "status": 201, "headers": []}
BODY = {"type": "http.response.body", "body": b"x"}


def call(application: AsgiApplication, scope: Scope, incoming: Iterable[Message] = ()) -> list[Message]:
    """Call an application with messages; returns those that it sent."""
    sent: list[Message] = []
    waiting = iter(incoming)

    async def receive() -> Message:
        message = next(waiting, None)
        if message is None:
            raise asyncio.CancelledError
        return message

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(wrap(application, scope, receive, send))
    return sent


async def wrap(application: AsgiApplication, scope: Scope, receive: Receive, send: Send) -> None:
    await application(scope, receive, send)


class Steps:
    """A clock that moves a quarter of a second each time it is read."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 0.25
        return self.time


def play(*steps: Message | type[BaseException] | None) -> AsgiApplication:
    """An application that sends messages, receives one for each None, and raises what can be raised."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for step in steps:
            if step is None:
                await receive()
            elif isinstance(step, dict):
                await send(step)
            else:
                raise step

    return app


def log(application: AsgiApplication, scope: Scope, *incoming: Message, is_coloured: bool = False) -> list[str]:
    lines: list[str] = []
    logged = AsgiRequestLog(application, LineWriter(Steps(), lines.append, is_coloured))
    with contextlib.suppress(ValueError, asyncio.CancelledError):
        call(logged, scope, incoming)
    return lines


@pytest.mark.parametrize(
    "application,incoming,status",
    [
        (play(HEAD, BODY), (), "201"),
        (play(HEAD, {**BODY, "more_body": True}, BODY), (), "201"),
        (play(HEAD, {"type": "http.response.pathsend", "path": "/x"}), (), "201"),
        (play({"type": "http.response.debug", "info": {}}, HEAD, BODY), (), "201"),
        (play(HEAD, BODY, ValueError), (), "201"),
        (play(HEAD, {**BODY, "more_body": True}, ValueError), (), "201"),
        (play(HEAD, ValueError), (), "500"),
        (play(ValueError), (), "500"),
        (play(), (), "500"),
        (play(None), ({"type": "http.disconnect"},), "499"),
        (play(asyncio.CancelledError), (), "499"),
        (play(None, ValueError), ({"type": "http.disconnect"},), "500"),
    ],
)
def test_request_is_one_line(application: AsgiApplication, incoming: tuple[Message, ...], status: str) -> None:
    assert log(application, HTTP, *incoming) == [f"GET    {status}   250.0 ms  /shop/ä\\x1b?q=1\n"]


def test_line_is_coloured_by_status() -> None:
    (line,) = log(play(HEAD, BODY), HTTP, is_coloured=True)
    assert "\x1b[32m201\x1b[0m" in line


ACCEPT = {"type": "websocket.accept"}
CONNECTED = {"type": "websocket.connect"}


@pytest.mark.parametrize(
    "application,incoming,lines",
    [
        (
            play(None, ACCEPT, None),
            (CONNECTED, {"type": "websocket.disconnect", "code": 1001}),
            ["WS     connect   250.0 ms  /chat\n", "WS     close 1001   500.0 ms  /chat\n"],
        ),
        (
            play(None, ACCEPT, {"type": "websocket.close"}),
            (CONNECTED,),
            ["WS     connect   250.0 ms  /chat\n", "WS     close 1000   500.0 ms  /chat\n"],
        ),
        (
            play(None, ACCEPT, {"type": "websocket.close", "code": 4000}, None),
            (CONNECTED, {"type": "websocket.disconnect", "code": 4000}),
            ["WS     connect   250.0 ms  /chat\n", "WS     close 4000   500.0 ms  /chat\n"],
        ),
        (
            play(ACCEPT, ValueError),
            (),
            ["WS     connect   250.0 ms  /chat\n", "WS     close 1011   500.0 ms  /chat\n"],
        ),
        (play({"type": "websocket.close"}), (), ["GET    403   250.0 ms  /chat\n"]),
        (
            play({"type": "websocket.http.response.start", "status": 401}),
            (),
            ["GET    401   250.0 ms  /chat\n"],
        ),
        (play(ValueError), (), ["GET    500   250.0 ms  /chat\n"]),
        (play(), (), ["GET    403   250.0 ms  /chat\n"]),
    ],
)
def test_websocket_is_a_line_when_it_opens_and_one_when_it_closes(
    application: AsgiApplication, incoming: tuple[Message, ...], lines: list[str]
) -> None:
    assert log(application, WEBSOCKET, *incoming) == lines


def test_lifespan_passes_untouched() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, receive, send))

    scope: Scope = {"type": "lifespan"}
    arguments: tuple[Any, ...] = (scope, object(), object())
    asyncio.run(wrap(AsgiRequestLog(app, LineWriter(Steps(), seen.append)), *arguments))
    assert seen == list(arguments)


def test_failure_has_a_page_that_reloads_itself() -> None:
    page = AsgiFailurePage(ApplicationError('"shop" did not start: <hay>'))
    head, body = call(page, HTTP)
    headers = dict(head["headers"])
    assert head["status"] == 500
    assert int(headers[b"content-length"]) == len(body["body"])
    assert headers[TOKEN_HEADER.lower().encode()] in body["body"]
    assert b"did not start: &lt;hay&gt;" in body["body"]
    assert call(page, {**HTTP, "method": "HEAD"})[1]["body"] == b""


def test_failure_closes_websockets_and_has_no_lifespan() -> None:
    page = AsgiFailurePage(ApplicationError("no"))
    assert [message["type"] for message in call(page, WEBSOCKET, [CONNECTED])] == [
        "websocket.accept",
        "websocket.close",
    ]
    assert call(page, {"type": "lifespan"}) == []


def test_asgi_application_is_loaded_with_a_line_per_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "devasgi1.py").write_text("async def app(scope, receive, send): pass\n", encoding="utf-8")
    loaded = load_for_development("devasgi1:app")
    assert (loaded.interface, type(loaded.application)) == ("asgi", AsgiRequestLog)
