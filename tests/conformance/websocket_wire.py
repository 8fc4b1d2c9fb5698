"""A WebSocket client that speaks raw frames and reads strictly: what RFC 6455 does not allow a server is an error."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tests.conformance.wire import Answer, MalformedAnswerError, Wire
from tests.e2e.harness import RunningServer

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame (RFC 6455 5.2).

    Attributes:
        opcode: what it is.
        payload: its payload, as on the wire.
        is_final: whether it ends its message.
        is_compressed: whether the bit RSV1 is set (RFC 7692 6).
    """

    opcode: int
    payload: bytes
    is_final: bool = True
    is_compressed: bool = False

    @property
    def code(self) -> int | None:
        """The code of a close frame; None without one."""
        return int.from_bytes(self.payload[:2]) if self.payload else None

    @property
    def reason(self) -> str:
        """The reason of a close frame."""
        return self.payload[2:].decode()


class WebSocketWire:
    """One WebSocket, opened by `open`.

    Attributes:
        wire: the connection below it.
        answer: the answer to the handshake, if `open` has read it.
    """

    answer: Answer

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._inflater = zlib.decompressobj(wbits=-15)

    @classmethod
    def open(cls, server: RunningServer, target: str, fields: Iterable[str] = ()) -> Self:
        """Connect and shake hands; `fields` are whole lines.

        Raises:
            AssertionError: the server does not agree.
        """
        wire = Wire.to(server)
        key = base64.b64encode(os.urandom(16))
        wire.send(build_handshake(target, fields, key))
        answer = Answer(*_read_switch(wire))
        assert answer.status == 101, (answer, wire.read_rest())
        expected = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        assert answer.value("sec-websocket-accept") == expected
        assert (answer.value("upgrade") or "").lower() == "websocket"
        assert (answer.value("connection") or "").lower() == "upgrade"
        assert answer.value("content-length") is None
        opened = cls(wire)
        opened.answer = answer
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def send(self, opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0) -> Self:
        """Send one frame, masked."""
        self.wire.send(build_frame(opcode, payload, final=final, rsv=rsv))
        return self

    def send_text(self, text: str) -> Self:
        """Send a message of text."""
        return self.send(TEXT, text.encode())

    def send_close(self, code: int | None = None, reason: str = "") -> Self:
        """Send a close frame."""
        return self.send(CLOSE, b"" if code is None else struct.pack(">H", code) + reason.encode())

    def read_frame(self) -> Frame:
        """Read the next frame.

        Raises:
            MalformedAnswerError: it is none that a server may send.
            BrokenAnswerError: the connection ended within it, or before it.
        """
        first, second = self.wire.read_exactly(2)
        opcode, size = first & 0x0F, second & 0x7F
        if second & 0x80:
            raise MalformedAnswerError("a server must not mask (RFC 6455 5.1)")
        if first & 0x30 or opcode not in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}:
            raise MalformedAnswerError(f"reserved bits or opcode (RFC 6455 5.2): {first:#x}")
        if opcode >= CLOSE and (size > 125 or not first & 0x80):
            raise MalformedAnswerError("a control frame that is long or fragmented (RFC 6455 5.5)")
        if size >= 126:
            width, least = (2, 126) if size == 126 else (8, 65_536)
            size = int.from_bytes(self.wire.read_exactly(width))
            if size < least:
                raise MalformedAnswerError("a length in more bytes than it needs (RFC 6455 5.2)")
        payload = self.wire.read_exactly(size)
        return Frame(opcode, payload, bool(first & 0x80), bool(first & 0x40))

    def read_message(self) -> tuple[int, bytes]:
        """Read a message of one or more frames; return its opcode and its content, decompressed."""
        frame = self.read_frame()
        assert frame.opcode in {TEXT, BINARY}, frame
        opcode, is_compressed, payload = frame.opcode, frame.is_compressed, frame.payload
        while not frame.is_final:
            frame = self.read_frame()
            assert frame.opcode == CONTINUATION, frame
            payload += frame.payload
        return opcode, self._inflate(payload) if is_compressed else payload

    def read_text(self) -> str:
        """Read a message of text."""
        opcode, payload = self.read_message()
        assert opcode == TEXT
        return payload.decode()

    def read_close(self) -> Frame:
        """Read the close frame that must come next, and the end of the connection after it."""
        frame = self.read_frame()
        assert frame.opcode == CLOSE, frame
        if frame.payload:
            assert len(frame.payload) >= 2, "a code has two bytes (RFC 6455 5.5.1)"
        return frame

    def finish_close(self, frame: Frame) -> None:
        """Answer a close frame, and see the server close the connection (RFC 6455 7.1.1)."""
        self.send(CLOSE, frame.payload[:2])
        self.wire.assert_ended(reset_allowed=True)

    def forget(self) -> None:
        """Read the next compressed message without what came before (RFC 7692 7.1.1.1)."""
        self._inflater = zlib.decompressobj(wbits=-15)

    def _inflate(self, payload: bytes) -> bytes:
        """RFC 7692 7.2.2."""
        return self._inflater.decompress(payload + b"\x00\x00\xff\xff")


def build_handshake(target: str, fields: Iterable[str] = (), key: bytes = b"dGhlIHNhbXBsZSBub25jZQ==") -> bytes:
    """Build the opening handshake (RFC 6455 4.1); `fields` are whole lines, and replace those of the same name."""
    lines = {
        "host": "Host: test.example",
        "upgrade": "Upgrade: websocket",
        "connection": "Connection: Upgrade",
        "sec-websocket-key": f"Sec-WebSocket-Key: {key.decode()}",
        "sec-websocket-version": "Sec-WebSocket-Version: 13",
    }
    extra = []
    for line in fields:
        name = line.partition(":")[0].lower()
        if name in lines:
            lines[name] = line
        else:
            extra.append(line)
    # A line without a value leaves the field out.
    kept = [line for line in [*lines.values(), *extra] if not line.endswith(": -")]
    return "\r\n".join([f"GET {target} HTTP/1.1", *kept, "", ""]).encode("latin-1")


def build_frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0, mask: bytes | None = b"\x01\x80\xff\x7e"
) -> bytes:
    """Build one frame; without a mask it is one that a client must not send."""
    first = (0x80 if final else 0) | rsv << 4 | opcode
    bit = 0x80 if mask is not None else 0
    if len(payload) < 126:
        head = struct.pack(">BB", first, bit | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack(">BBH", first, bit | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, bit | 127, len(payload))
    if mask is None:
        return head + payload
    return head + mask + apply_mask(payload, mask)


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask (RFC 6455 5.3)."""
    stream = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(stream)).to_bytes(len(payload))


def deflate(data: bytes, compressor: zlib._Compress | None = None) -> bytes:
    """Compress a message (RFC 7692 7.2.1)."""
    compressor = compressor or zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _read_switch(wire: Wire) -> tuple[int, str, tuple[tuple[str, str], ...], bytes, str, tuple[int, ...]]:
    status, fields = wire.read_head()
    return status, "", fields, b"", "none", ()
