"""A line per request on standard output, for people who develop."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from hostler.contracts import AsgiApplication, Message, Receive, Send, WsgiApplication

# By the first digit of the status; SGR codes as in the server log.
_COLOURS = {"2": "32", "3": "36", "4": "33", "5": "31"}
# nginx's word for a client that went away before it was answered.
_CLIENT_LEFT = "499"
# RFC 6455 7.1.5: what is said when no code was given.
_NO_CODE = 1005


class Clock(Protocol):
    """What the request log needs of a clock."""

    def now(self) -> float:
        """Give seconds from an arbitrary point."""


@dataclass(frozen=True, slots=True)
class LineWriter:
    """Writes lines such as `GET   200     12.0 ms  /path?query`, coloured by the status.

    Attributes:
        clock: tells how long things take.
        write: takes a line.
        is_coloured: whether to colour.
    """

    clock: Clock
    write: Callable[[str], object]
    is_coloured: bool = False

    def response(self, method: str, status: str, began: float, path: str) -> None:
        """Write the line of a response."""
        code = status[:3]
        if self.is_coloured:
            code = f"\x1b[{_COLOURS.get(code[:1], '0')}m{code}\x1b[0m"
        self._line(method, code, began, path)

    def websocket(self, event: str, began: float, path: str) -> None:
        """Write a line on a WebSocket: "connect", or "close 1000"."""
        self._line("WS", event, began, path)

    def _line(self, method: str, what: str, began: float, path: str) -> None:
        # What moves the cursor is shown as an escape.
        text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in path)
        self.write(f"{method:<6} {what} {(self.clock.now() - began) * 1000:>7.1f} ms  {text}\n")


def write_line(line: str) -> None:
    """Write a line to standard output at once and whole; a terminal that is gone must not fail a request."""
    try:
        os.write(1, line.encode("utf-8", "replace"))
    except OSError:
        return


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Wraps a WSGI application; writes a line for each response once the application has returned, or failed to.

    Only `start_response` is replaced: the result passes through untouched, so that a `wsgi.file_wrapper` stays one. An
    application that starts its response only while its result is iterated has its line written then.
    """

    application: WsgiApplication
    lines: LineWriter

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; see PEP 3333."""
        began = self.lines.clock.now()
        last_status = ""
        has_returned = False

        def write(status: str) -> None:
            self.lines.response(environ.get("REQUEST_METHOD", "?"), status, began, _read_environ_path(environ))

        def start_noted(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401
            nonlocal last_status
            started = start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)
            last_status = status
            if has_returned:
                write(status)
            return started

        try:
            result = self.application(environ, start_noted)
        except BaseException:
            # What was started is not sent: the engine answers in the application's place.
            write("500")
            raise
        has_returned = True
        if last_status:
            write(last_status)
        return result


def _read_environ_path(environ: dict[str, Any]) -> str:
    query = environ.get("QUERY_STRING", "")
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}{f'?{query}' if query else ''}"
    # WSGI's texts are bytes as latin-1.
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class AsgiRequestLog:
    """Wraps an ASGI application; writes a line for each response once it is complete, or will never be.

    Of a WebSocket, one line tells that it is open and one that it is closed, with its code.
    """

    application: AsgiApplication
    lines: LineWriter

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one scope; see the ASGI specification."""
        if scope["type"] == "http":
            await self._serve(_ResponseNote(self.lines, scope), scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve(_WebsocketNote(self.lines, scope), scope, receive, send)
        else:
            await self.application(scope, receive, send)

    async def _serve(self, note: _Note, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        async def receive_noted() -> Message:
            message = await receive()
            note.received(message)
            return message

        async def send_noted(message: Message) -> None:
            await send(message)
            note.sent(message)

        try:
            await self.application(scope, receive_noted, send_noted)
        except BaseException as error:
            note.ended(error)
            raise
        note.ended(None)


class _Note(Protocol):
    """What is noted of one scope."""

    def received(self, message: Message) -> None:
        """The application was given a message."""

    def sent(self, message: Message) -> None:
        """The application's message was taken."""

    def ended(self, error: BaseException | None) -> None:
        """The application has returned, or has raised `error`, which is no Exception if it was cancelled."""


class _ScopeNote:
    """The part that is the same for requests and WebSockets: when it began, where, and that lines end once."""

    def __init__(self, lines: LineWriter, scope: dict[str, Any]) -> None:
        query = scope.get("query_string", b"").decode("latin-1")
        self.path = f"{scope.get('path', '')}{f'?{query}' if query else ''}"
        self.method = str(scope.get("method", "GET"))
        self.lines = lines
        self.began = lines.clock.now()
        self.is_written = False

    def respond(self, status: str) -> None:
        """Write the line of the response, once."""
        if not self.is_written:
            self.is_written = True
            self.lines.response(self.method, status, self.began, self.path)


class _ResponseNote(_ScopeNote):
    """Notes one HTTP request."""

    def __init__(self, lines: LineWriter, scope: dict[str, Any]) -> None:
        super().__init__(lines, scope)
        self._status = ""
        self._has_body = False
        self._is_left = False

    def received(self, message: Message) -> None:
        """See `_Note`."""
        self._is_left = self._is_left or message["type"] == "http.disconnect"

    def sent(self, message: Message) -> None:
        """See `_Note`."""
        if message["type"] == "http.response.start":
            self._status = str(message["status"])
        elif message["type"] == "http.response.body":
            self._has_body = True
            if not message.get("more_body"):
                self.respond(self._status)
        elif message["type"] == "http.response.pathsend":
            self.respond(self._status)

    def ended(self, error: BaseException | None) -> None:
        """See `_Note`: what was started but has no body yet is not sent, and the engine answers with 500."""
        is_cancelled = error is not None and not isinstance(error, Exception)
        if self._has_body:
            self.respond(self._status)
        elif is_cancelled or (self._is_left and error is None):
            self.respond(_CLIENT_LEFT)
        else:
            self.respond("500")


class _WebsocketNote(_ScopeNote):
    """Notes one WebSocket, or the response that refuses it."""

    def __init__(self, lines: LineWriter, scope: dict[str, Any]) -> None:
        super().__init__(lines, scope)
        self._is_open = False

    def received(self, message: Message) -> None:
        """See `_Note`."""
        if message["type"] == "websocket.disconnect":
            self._close(message.get("code") or _NO_CODE)

    def sent(self, message: Message) -> None:
        """See `_Note`."""
        if message["type"] == "websocket.accept":
            self._is_open = True
            self.lines.websocket("connect", self.began, self.path)
        elif message["type"] == "websocket.close" and self._is_open:
            self._close(message.get("code") or 1000)
        elif message["type"] == "websocket.close":
            self.respond("403")  # ASGI: a close before accept refuses the handshake
        elif message["type"] == "websocket.http.response.start":
            self.respond(str(message["status"]))

    def ended(self, error: BaseException | None) -> None:
        """See `_Note`: the engine closes what the application left open, with 1011 after a failure."""
        if self._is_open:
            self._close(1000 if error is None else 1011)
        else:
            self.respond("403" if error is None else "500")

    def _close(self, code: int) -> None:
        if not self.is_written:
            self.is_written = True
            self.lines.websocket(f"close {code}", self.began, self.path)
