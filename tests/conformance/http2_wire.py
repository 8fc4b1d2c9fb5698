"""A client that speaks HTTP/2 with prior knowledge, on the `h2` package, and reads answers strictly.

`h2` judges each frame of the server's: what RFC 9113 does not allow is a `ProtocolError` here. GOAWAY frames are kept
from it, as it takes nothing more after one, where RFC 9113 6.8 has the streams in progress go on.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.settings

from tests.conformance.wire import PATIENCE
from tests.e2e.harness import RunningServer

Fields = Sequence[tuple[str, str]]

# Room for whatever a test asks for; those that want little say so.
WINDOW = 8 * 1024 * 1024

_HEADER = 9
_GOAWAY = 7


class StreamResetError(AssertionError):
    """The server gave a stream up. `code` says why (RFC 9113 7)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the stream was reset with code {code}")
        self.code = code


class GoneError(AssertionError):
    """The connection ended. `code` is that of its GOAWAY frame; None without one."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"the connection ended with code {code}")
        self.code = code


@dataclass(slots=True)
class Stream:
    """What has come of one stream.

    Attributes:
        status: the status code; 0 until it has come.
        fields: names and values of the head, in order.
        interim: heads that came before it.
        body: the content so far.
        trailers: fields behind the content.
        is_ended: all has come.
        reset: why the server gave it up, if it did.
    """

    status: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)
    interim: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    is_ended: bool = False
    reset: int | None = None

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for known, value in self.fields if known == name]


class Http2Wire:
    """One connection.

    Attributes:
        h2: the state of the protocol.
        streams: what has come, by the number of the stream.
        goaway: the codes of the GOAWAY frames that came, and the last stream that each names.
    """

    def __init__(self, stream: socket.socket, *, window: int = WINDOW, keeps_reading: bool = True) -> None:
        self.socket = stream
        self.socket.settimeout(PATIENCE)
        config = h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
        self.h2 = h2.connection.H2Connection(config=config)
        self.streams: dict[int, Stream] = defaultdict(Stream)
        self.goaway: list[tuple[int, int]] = []
        self._pending = b""
        self._keeps_reading = keeps_reading
        self.h2.initiate_connection()
        self.h2.update_settings(
            {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window, h2.settings.SettingCodes.ENABLE_PUSH: 0}
        )
        self.h2.increment_flow_control_window(WINDOW)
        self.flush()

    @classmethod
    def to(cls, server: RunningServer, *, window: int = WINDOW, keeps_reading: bool = True) -> Self:
        """Connect to a server's first address."""
        stream = socket.create_connection((server.host, server.port), PATIENCE)
        return cls(stream, window=window, keeps_reading=keeps_reading)

    @classmethod
    def to_port(cls, port: int, source: tuple[str, int], tls: ssl.SSLContext | None = None) -> Self:
        """Connect to a port of this machine from an address of it."""
        stream = socket.create_connection(("127.0.0.1", port), PATIENCE, source)
        return cls(tls.wrap_socket(stream, server_hostname="localhost") if tls else stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        """Send what the protocol's state has to send."""
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    # Asking

    def begin(
        self,
        method: str,
        path: str,
        fields: Fields = (),
        *,
        end: bool = True,
        pseudo: Fields = (),
        authority: str = "example.org",
    ) -> int:
        """Send a head. Returns the number of its stream."""
        number: int = self.h2.get_next_available_stream_id()
        base = [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority), *pseudo]
        head = [(name.encode(), value.encode("latin-1")) for name, value in (*base, *fields)]
        self.h2.send_headers(number, head, end_stream=end)
        self.flush()
        return number

    def give(self, number: int, body: bytes, *, end: bool = True) -> None:
        """Send content, as fast as the server takes it."""
        rest = memoryview(body)
        while True:
            room = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            piece, rest = rest[:room], rest[room:]
            if piece or not rest:
                self.h2.send_data(number, bytes(piece), end_stream=end and not rest)
                self.flush()
            if not rest:
                return
            if not room:
                self.take()
                if self.streams[number].is_ended or self.streams[number].reset is not None:
                    return

    def ask(
        self, method: str, path: str, fields: Fields = (), body: bytes | Iterable[bytes] = b"", pseudo: Fields = ()
    ) -> Stream:
        """Send a request and read its answer."""
        number = self.begin(method, path, fields, end=body == b"", pseudo=pseudo)
        if isinstance(body, bytes):
            if body:
                self.give(number, body)
        else:
            for piece in body:
                self.give(number, piece, end=False)
            self.give(number, b"")
        return self.read(number)

    # Reading

    def take(self) -> None:
        """Wait for something from the server, and act on it."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise GoneError(self.goaway[-1][0] if self.goaway else None)
        for event in self.h2.receive_data(self._without_goaway(data)):
            self._note(event)
        self.flush()

    def wait(self, holds: Callable[[], bool]) -> None:
        """Read until something holds."""
        while not holds():
            self.take()

    def read(self, number: int) -> Stream:
        """Read an answer to its end."""
        stream = self.streams[number]
        self.wait(lambda: stream.is_ended or stream.reset is not None)
        if not stream.is_ended and stream.reset is not None:
            raise StreamResetError(stream.reset)
        return stream

    def read_end(self) -> int | None:
        """Read until the server closes; return the code of its last GOAWAY frame."""
        try:
            while True:
                self.take()
        except GoneError as gone:
            return gone.code

    def _without_goaway(self, data: bytes) -> bytes:
        self._pending += data
        kept = b""
        while len(self._pending) >= _HEADER:
            size = _HEADER + int.from_bytes(self._pending[:3], "big")
            if len(self._pending) < size:
                break
            frame, self._pending = self._pending[:size], self._pending[size:]
            if frame[3] == _GOAWAY:
                last, code = struct.unpack(">II", frame[_HEADER : _HEADER + 8])
                self.goaway.append((code, last))
            else:
                kept += frame
        return kept

    def take_what_is_there(self) -> None:
        """Note the GOAWAY frames in what has come, without a wait; nothing else is looked at."""
        self.socket.setblocking(False)
        try:
            self._without_goaway(self.socket.recv(1 << 20))
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(PATIENCE)

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.InformationalResponseReceived():
                fields = _text(event.headers)
                self.streams[event.stream_id].interim.append((int(fields[0][1]), fields[1:]))
            case h2.events.ResponseReceived():
                fields = _text(event.headers)
                stream = self.streams[event.stream_id]
                stream.status, stream.fields = int(fields[0][1]), fields[1:]
            case h2.events.TrailersReceived():
                self.streams[event.stream_id].trailers = _text(event.headers)
            case h2.events.DataReceived():
                self.streams[event.stream_id].body += event.data
                if self._keeps_reading and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.streams[event.stream_id].is_ended = True
            case h2.events.StreamReset():
                self.streams[event.stream_id].reset = int(event.error_code)
            case _:
                pass


def _text(headers: Iterable[tuple[str | bytes, str | bytes]] | None) -> list[tuple[str, str]]:
    def text(value: str | bytes) -> str:
        return value if isinstance(value, str) else value.decode("latin-1")

    return [(text(name), text(value)) for name, value in headers or ()]


class Http2Answer:
    """An answer with the attributes of `http.client.HTTPResponse` that tests use."""

    def __init__(self, wire: Http2Wire, number: int) -> None:
        self._wire = wire
        self._stream = wire.streams[number]
        self._read = 0
        wire.wait(lambda: self._stream.status != 0 or self._stream.reset is not None)
        self.status = self._stream.status
        try:
            self.reason = HTTPStatus(self.status).phrase
        except ValueError:
            self.reason = ""
        self.headers = HTTPMessage()
        for name, value in self._stream.fields:
            self.headers[name] = value

    def read(self, size: int | None = None) -> bytes:
        """Read the rest, or so many bytes of it."""
        stream = self._stream
        enough = None if size is None else self._read + size
        self._wire.wait(
            lambda: stream.is_ended or stream.reset is not None or (enough is not None and len(stream.body) >= enough)
        )
        if stream.reset is not None and not stream.is_ended:
            raise StreamResetError(stream.reset)
        data = stream.body[self._read : enough]
        self._read += len(data)
        return data
