"""A client that speaks raw HTTP/1 and reads answers strictly: what is not well-formed or not whole is an error."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from tests.e2e.harness import RunningServer

# Seconds; a wait ends with its event, so that only a failing test uses it up.
PATIENCE = 15.0

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class MalformedAnswerError(AssertionError):
    """The server sent what RFC 9112 does not allow."""


class BrokenAnswerError(AssertionError):
    """The connection ended before the answer was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: the status code.
        reason: the reason phrase.
        fields: names in lower case and values, as received, in order.
        body: the content, transfer coding removed.
        framing: "length", "chunked", "close" or "none": how the end of the body was told.
        interim: the status codes of the informational answers before it.
        pieces: the chunks, if it was chunked.
    """

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    framing: str
    interim: tuple[int, ...]
    pieces: tuple[bytes, ...] = ()

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for known, value in self.fields if known == name.lower()]

    def value(self, name: str) -> str | None:
        """The only value of a field; None without one."""
        found = self.values(name)
        assert len(found) < 2, f"{name} is there {len(found)} times"
        return found[0] if found else None

    @property
    def closes(self) -> bool:
        """Whether it says that it is the last on its connection."""
        return self.value("connection") == "close"

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()


@dataclass(slots=True)
class Wire:
    """One connection."""

    stream: socket.socket
    _buffer: bytes = field(default=b"", repr=False)

    @classmethod
    def to(cls, server: RunningServer) -> Self:
        """Connect; each byte sent leaves at once."""
        stream = server.connect(PATIENCE)
        if stream.family != socket.AF_UNIX:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Our own port, by which the application knows this connection."""
        number: int = self.stream.getsockname()[1]
        return number

    def close(self) -> None:
        """Close our side."""
        self.stream.close()

    def reset(self) -> None:
        """Vanish: close the connection with a reset instead of an end."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.stream.close()

    def send(self, data: bytes) -> Self:
        """Send all of `data`."""
        self.stream.sendall(data)
        return self

    def send_bytewise(self, data: bytes) -> Self:
        """Send `data`, one byte at a time."""
        send = self.stream.send
        for index in range(len(data)):
            send(data[index : index + 1])
        return self

    def finish(self) -> Self:
        """Say that nothing more will be sent."""
        self.stream.shutdown(socket.SHUT_WR)
        return self

    def ask(self, method: str, target: str, fields: Iterable[str] = (), body: bytes = b"") -> Answer:
        """Make one request and read its answer; `fields` are whole lines."""
        self.send(build_request(method, target, fields, body))
        return self.read_answer(method)

    def read_answer(self, method: str = "GET") -> Answer:
        """Read the next answer, to a request with `method`.

        Raises:
            MalformedAnswerError: it is not well-formed.
            BrokenAnswerError: the connection ended within it, or before it.
        """
        interim = []
        while True:
            status, reason, fields = self._read_head()
            if status >= 200 or status == 101:
                break
            interim.append(status)
        framing = _framing(status, method, fields)
        pieces: tuple[bytes, ...] = ()
        if framing == "chunked":
            pieces = tuple(self._read_chunks())
            body = b"".join(pieces)
        elif framing == "length":
            body = self._take(int(dict(fields)["content-length"]))
        elif framing == "close":
            body = self.read_rest()
        else:
            body = b""
        return Answer(status, reason, fields, body, framing, tuple(interim), pieces)

    def read_head(self) -> tuple[int, tuple[tuple[str, str], ...]]:
        """Read the status and fields of the next answer, of any kind, and leave its body where it is."""
        status, _, fields = self._read_head()
        return status, fields

    def read_rest_of_chunks(self) -> bytes:
        """Read the chunks that are left of a body, to its end."""
        return b"".join(self._read_chunks())

    def read_exactly(self, count: int) -> bytes:
        """Read so many bytes."""
        return self._take(count)

    def read_rest(self) -> bytes:
        """Read all that comes until the server closes the connection; a reset is an error."""
        while self._fill():
            pass
        rest, self._buffer = self._buffer, b""
        return rest

    def assert_ended(self, *, reset_allowed: bool = False) -> None:
        """Wait for the end of the connection, with nothing more on it; a reset is an end where it is allowed."""
        try:
            rest = self.read_rest()
        except ConnectionResetError:
            if not reset_allowed:
                raise
            rest = self._buffer
        assert rest == b"", f"something follows the last answer: {rest[:200]!r}"

    def _read_head(self) -> tuple[int, str, tuple[tuple[str, str], ...]]:
        first = self._line()
        status = _STATUS_LINE.fullmatch(first)
        if status is None:
            raise MalformedAnswerError(f"not a status line: {first!r}")
        fields = []
        while line := self._line():
            found = _FIELD_LINE.fullmatch(line)
            if found is None:
                raise MalformedAnswerError(f"not a field line: {line!r}")
            fields.append((found[1].decode().lower(), found[2].decode("latin-1")))
        return int(status[2]), status[3].decode("latin-1"), tuple(fields)

    def _read_chunks(self) -> Iterable[bytes]:
        while True:
            line = self._line()
            if _CHUNK_LINE.fullmatch(line) is None:
                raise MalformedAnswerError(f"not a chunk size: {line!r}")
            size = int(line, 16)
            if size == 0:
                if (end := self._line()) != b"":
                    raise MalformedAnswerError(f"trailers nobody asked for: {end!r}")
                return
            yield self._take(size)
            if self._take(2) != b"\r\n":
                raise MalformedAnswerError("a chunk is not followed by CRLF")

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if not self._fill():
                raise BrokenAnswerError(f"the connection ended; unread: {self._buffer[:200]!r}")
        line, _, self._buffer = self._buffer.partition(b"\n")
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise MalformedAnswerError(f"a line does not end in CRLF: {line!r}")
        return line[:-1]

    def _take(self, count: int) -> bytes:
        parts = [self._buffer[:count]]
        self._buffer = self._buffer[count:]
        missing = count - len(parts[0])
        while missing:
            data = self.stream.recv(min(missing, 1 << 20))
            if not data:
                raise BrokenAnswerError(f"the connection ended {missing} bytes before the end of {count}")
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def _fill(self) -> bool:
        data = self.stream.recv(65536)
        self._buffer += data
        return bool(data)


def build_request(method: str, target: str, fields: Iterable[str] = (), body: bytes = b"") -> bytes:
    """Build a request with a Host, and a Content-Length if there is a body; `fields` are whole lines."""
    lines = [f"{method} {target} HTTP/1.1", "Host: test.example", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def build_chunked(data: bytes, size: int = 7) -> bytes:
    """Build the chunked form of `data`, in chunks of `size` bytes."""
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def _framing(status: int, method: str, fields: tuple[tuple[str, str], ...]) -> str:
    """RFC 9112 6.3, from the client's side."""
    names = [name for name, _ in fields]
    if names.count("content-length") + names.count("transfer-encoding") > 1:
        raise MalformedAnswerError(f"more than one framing: {fields}")
    if method == "HEAD" or status in {204, 304}:
        return "none"
    if "transfer-encoding" in names:
        if dict(fields)["transfer-encoding"] != "chunked":
            raise MalformedAnswerError(f"a transfer coding nobody asked for: {fields}")
        return "chunked"
    return "length" if "content-length" in names else "close"
