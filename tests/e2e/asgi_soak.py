"""Random clients of ASGI applications and WebSockets, from a seed, that check every byte they get from
`tests.e2e.apps.asgi_soak`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import socket
import struct
import threading
import zlib
from collections.abc import Callable

from tests.e2e.apps.soak import pattern
from tests.e2e.soak import PATIENCE, SIZES, Soak, Wire

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
# Endpoints whose answer to a GET is the pattern, whole and with the connection kept.
QUICK = (
    *("plain", "slow", "stream", "sized", "written", "file", "zero", "keep", "haunt"),
    *("tasks", "crowd", "background", "bounded", "marked"),
)


def mask(data: bytes, key: bytes) -> bytes:
    """Mask a payload (RFC 6455 5.3)."""
    stream = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))


def build_frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, rsv: int = 0, key: bytes = b"\x8a\x01\xf0\x3c"
) -> bytes:
    """One frame of a client."""
    size = len(payload)
    first = (0x80 if final else 0) | rsv << 4 | opcode
    if size < 126:
        head = struct.pack(">BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    return head + key + mask(payload, key)


def build_handshake(path: str, seed: int, size: int, fields: str = "") -> bytes:
    """The head of a request for a WebSocket, with a key of zeros."""
    fields += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    return Soak.get(path, seed, size, fields=f"{fields}Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n")


class SocketWire:
    """A WebSocket over a wire, read strictly."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._inflate: zlib._Decompress | None = None

    def open(self, path: str, seed: int, size: int = 0, *, fields: str = "", early: bytes = b"") -> None:
        """Shake hands; `early` goes out behind it without waiting."""
        self.wire.stream.sendall(build_handshake(path, seed, size, fields) + early)
        status, answer = self.wire.head()
        assert status == 101, (status, answer)
        expected = base64.b64encode(hashlib.sha1(base64.b64encode(bytes(16)) + GUID).digest()).decode()
        assert answer["sec-websocket-accept"] == expected, answer
        if "sec-websocket-extensions" in answer:
            self._inflate = zlib.decompressobj(wbits=-15)

    def send(self, *frames: bytes) -> None:
        """Send frames in one write."""
        self.wire.stream.sendall(b"".join(frames))

    def frame(self) -> tuple[int, bytes]:
        """The next frame."""
        first, second = self.wire.exactly(2)
        assert (first & 0xB0, second & 0x80) == (0x80, 0), (first, second)
        size = second
        if size >= 126:
            size = int.from_bytes(self.wire.exactly(2 if size == 126 else 8))
        payload = self.wire.exactly(size)
        if first & 0x40:
            assert self._inflate is not None
            payload = self._inflate.decompress(payload + b"\x00\x00\xff\xff")
        return first & 0x0F, payload

    def message(self) -> tuple[int, bytes]:
        """The next message."""
        opcode, payload = self.frame()
        assert opcode in {TEXT, BINARY}, (opcode, payload)
        return opcode, payload

    def text(self) -> str:
        """The next message, which is text."""
        opcode, payload = self.message()
        assert opcode == TEXT, opcode
        return payload.decode()

    def expect_close(self, code: int) -> None:
        """The next frame closes with that code; ours and the end follow, if ours did not go before."""
        opcode, payload = self.frame()
        assert opcode == CLOSE, (opcode, payload[:100])
        assert int.from_bytes(payload[:2]) == code, payload

    def finish(self, code: int = 1000) -> None:
        """Close, and see the end."""
        self.send(build_frame(CLOSE, struct.pack(">H", code)))
        self.expect_close(code)
        self.wire.expect_end()


class AsgiSoak(Soak):
    """Clients of all kinds, side by side, until time is up; see `Soak`."""

    def __init__(self, connect: Callable[[], socket.socket], seed: int, clients: int) -> None:
        super().__init__(connect, seed, clients)
        self._clients = (
            *(each for each in self._clients if each != self._failures),
            self._failing,
            self._events,
            self._half_closed_events,
            self._abandoned,
            self._trickled_upload,
            self._ws_echo,
            self._ws_echo,
            self._ws_burst,
            self._ws_giants,
            self._ws_flood,
            self._ws_never_read,
            self._ws_vanish,
            self._ws_half_close,
            self._ws_closed,
            self._ws_both,
            self._ws_nonsense,
            self._ws_denied,
            self._ws_eager,
            self._ws_ended,
            self._ws_pings,
            self._ws_lazy,
        )

    @staticmethod
    def _ask(dice: random.Random) -> tuple[str, int, int]:
        return dice.choice(QUICK), dice.randrange(1 << 30), dice.choice(SIZES)

    def _pause(self, dice: random.Random) -> None:
        self._stop.wait(dice.choice((0, 0, 0.001, 0.01)))

    def _failing(self, dice: random.Random) -> int:
        with self._wire() as wire:
            for _ in range(5):
                wire.stream.sendall(self.get(dice.choice(("fail", "nothing")), dice.randrange(99), 10))
                status, _, _ = wire.answer()
                assert status == 500, status
        return 5

    def _events(self, dice: random.Random) -> int:
        count = dice.randrange(1, 50)
        with self._wire() as wire:
            wire.stream.sendall(self.get("events", 0, 0))
            assert wire.head()[0] == 200
            for number in range(count):
                size = int(wire.until(b"\r\n"), 16)
                assert wire.exactly(size + 2) == b"data: %d\n\n\r\n" % number
        return count

    def _half_closed_events(self, dice: random.Random) -> int:
        """The application hears of a client that sends nothing more, and ends its answer as it should."""
        with self._wire() as wire:
            wire.stream.sendall(self.get("events", 0, 0))
            assert wire.head()[0] == 200
            wire.stream.shutdown(socket.SHUT_WR)
            while wire.more():
                pass
        return 1

    def _abandoned(self, dice: random.Random) -> int:
        """Requests whose client is gone before, or while, they are served."""
        asked = [self._ask(dice) for _ in range(dice.randrange(1, 5))]
        with self._wire() as wire:
            wire.stream.sendall(b"".join(self.get(*ask) for ask in asked))
            if dice.random() < 0.5:
                wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._pause(dice)
        return 0

    def _trickled_upload(self, dice: random.Random) -> int:
        data = pattern(dice.randrange(1 << 20), dice.choice((500, 70_000)))
        seed = dice.randrange(1 << 20)
        with self._wire() as wire:
            wire.stream.sendall(self.get("upload", seed, 10, "POST", "Transfer-Encoding: chunked\r\n"))
            coded = self._chunked(data, dice.choice((50, 3_000)))
            step = len(coded) // 20 + 1
            for at in range(0, len(coded), step):
                wire.stream.sendall(coded[at : at + step])
                self._pause(dice)
            status, _, body = wire.answer()
            told = f"{len(data)} {hashlib.sha256(data).hexdigest()}\n".encode()
            assert (status, body) == (200, told + pattern(seed, 10)), (status, body[:100])
            wire.stream.sendall(self.get("plain", seed, 70_000))
            self.check(wire, seed, 70_000)
        return 2

    def _socket(self, wire: Wire, dice: random.Random, path: str, size: int = 0, early: bytes = b"") -> SocketWire:
        opened = SocketWire(wire)
        opened.open(path, dice.randrange(1 << 20), size, fields=dice.choice(("", OFFER)), early=early)
        return opened

    def _ws_echo(self, dice: random.Random) -> int:
        count = dice.randrange(1, 20)
        with self._wire() as wire:
            client = self._socket(wire, dice, "echo")
            for _ in range(count):
                opcode = dice.choice((TEXT, BINARY))
                data = pattern(dice.randrange(1 << 20), dice.choice((0, 1, 125, 126, 5_000, 65_536, 300_000)))
                cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 0, 1, 4))))
                client.send(*self._fragments(opcode, data, cuts, with_pings=dice.random() < 0.3))
                pongs = 0
                while (got := client.frame())[0] == PONG:
                    pongs += 1
                assert got == (opcode, data), (got[0], len(got[1]), len(data), pongs)
            client.finish()
        return count

    @staticmethod
    def _fragments(opcode: int, data: bytes, cuts: list[int], *, with_pings: bool) -> list[bytes]:
        frames = []
        ends = [*cuts, len(data)]
        begins = [0, *cuts]
        for index, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            if with_pings:
                frames.append(build_frame(PING, b"between"))
            final = index == len(ends) - 1
            frames.append(build_frame(opcode if index == 0 else 0, data[begin:end], final=final))
        return frames

    def _ws_burst(self, dice: random.Random) -> int:
        """More messages at once than an inbox holds."""
        count = dice.randrange(50, 800)
        with self._wire() as wire:
            client = self._socket(wire, dice, "echo")
            client.send(*(build_frame(TEXT, b"%d" % number) for number in range(count)))
            for number in range(count):
                assert client.text() == str(number)
            client.finish()
        return count

    def _ws_giants(self, dice: random.Random) -> int:
        data = pattern(dice.randrange(1 << 20), 3_000_000)
        with self._wire() as wire:
            client = self._socket(wire, dice, "sink")
            frame = build_frame(BINARY, data)
            step = dice.choice((100_000, 3_000_100))
            for at in range(0, len(frame), step):
                client.send(frame[at : at + step])
                self._pause(dice)
            assert client.text() == f"{len(data)} {hashlib.sha256(data).hexdigest()}"
            client.send(struct.pack(">BBQ", 0x82, 0xFF, 1 << 40) + bytes(4))
            client.expect_close(1009)
        return 2

    def _ws_flood(self, dice: random.Random) -> int:
        count = dice.randrange(1, 60)
        seed = dice.randrange(1 << 20)
        with self._wire() as wire:
            wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            client = SocketWire(wire)
            client.open("flood", seed, count, fields=dice.choice(("", OFFER)))
            self._stop.wait(dice.random() / 4)
            for number in range(count):
                assert client.message() == (BINARY, pattern(seed + number, 50_000)), number
            client.expect_close(3000)
            client.send(build_frame(CLOSE, struct.pack(">H", 3000)))
            wire.expect_end()
        return count

    def _ws_never_read(self, dice: random.Random) -> int:
        with self._wire() as wire:
            wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            client = self._socket(wire, dice, "flood", 200)
            self._stop.wait(dice.random() / 4)
            if dice.random() < 0.5:
                client.send(build_frame(CLOSE, struct.pack(">H", 1000)))
                self._pause(dice)
        return 1

    def _ws_vanish(self, dice: random.Random) -> int:
        with self._wire() as wire:
            path = dice.choice(("echo", "sink", "both", "lazy", "wait", "close"))
            frame = build_frame(BINARY, pattern(1, dice.choice((10, 500_000))))
            early = frame[: dice.randrange(len(frame) + 1)]
            if path == "wait":
                # No more than the server's receive buffer takes: what it does not read keeps the end from arriving.
                wire.stream.sendall(build_handshake(path, 0, 0) + early[:10_000])
            else:
                self._socket(wire, dice, path, early=early)
            if dice.random() < 0.5:
                wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._pause(dice)
        return 0

    def _ws_half_close(self, dice: random.Random) -> int:
        with self._wire() as wire:
            client = self._socket(wire, dice, dice.choice(("echo", "both", "lazy")))
            client.send(build_frame(TEXT, b"last"))
            wire.stream.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while wire.more():
                    pass
        return 1

    def _ws_closed(self, dice: random.Random) -> int:
        """The server closes; at the same time, perhaps, the client."""
        with self._wire() as wire:
            client = self._socket(wire, dice, "close")
            frames = [build_frame(TEXT, b"please")] + [build_frame(TEXT, b"more")] * dice.randrange(100)
            if dice.random() < 0.5:
                client.send(*frames)
                client.expect_close(3001)
                client.send(build_frame(CLOSE, struct.pack(">H", 3001)))
            else:
                client.send(*frames, build_frame(CLOSE, struct.pack(">H", 1001)))
                opcode, payload = client.frame()
                assert opcode == CLOSE, (opcode, payload)
                assert int.from_bytes(payload[:2]) in {1001, 3001}, payload
            wire.expect_end()
        return 1

    def _ws_both(self, dice: random.Random) -> int:
        count = dice.randrange(1, 50)
        with self._wire() as wire:
            client = self._socket(wire, dice, "both")
            for number in range(count):
                if dice.random() < 0.3:
                    client.send(build_frame(TEXT, b"aside"))
                assert client.text() == str(number)
            client.send(build_frame(CLOSE, struct.pack(">H", 1000)))
            while (got := client.frame())[0] == TEXT:
                pass
            assert got == (CLOSE, struct.pack(">H", 1000)), got
            wire.expect_end()
        return count

    def _ws_nonsense(self, dice: random.Random) -> int:
        wrong, code = dice.choice(
            (
                (b"\x81\x01a", 1002),
                (build_frame(0x3), 1002),
                (build_frame(0, b"a"), 1002),
                (build_frame(PING, bytes(126)), 1002),
                (build_frame(TEXT, b"\xff"), 1007),
                (build_frame(TEXT, b"a", rsv=2), 1002),
                (build_frame(CLOSE, b"\x03"), 1002),
            )
        )
        with self._wire() as wire:
            client = self._socket(wire, dice, "echo")
            client.send(build_frame(TEXT, b"good"), wrong, build_frame(TEXT, b"never"))
            opcode, payload = client.frame()
            if opcode == TEXT:  # not, if the application was late
                assert payload == b"good"
                opcode, payload = client.frame()
            assert (opcode, int.from_bytes(payload[:2])) == (CLOSE, code), (payload, wrong)
        return 1

    def _ws_denied(self, dice: random.Random) -> int:
        with self._wire() as wire:
            path, expected = dice.choice((("deny", 403), ("refuse", 401)))
            wire.stream.sendall(build_handshake(path, 0, 0))
            status, _, body = wire.answer()
            assert status == expected, (status, body)
            assert path == "deny" or body == b"no!"
        return 1

    def _ws_eager(self, dice: random.Random) -> int:
        count = dice.randrange(1, 100)
        early = b"".join(build_frame(TEXT, b"%d" % number) for number in range(count))
        with self._wire() as wire:
            client = self._socket(wire, dice, "echo", early=early)
            for number in range(count):
                assert client.text() == str(number)
            client.finish(3999)
        return count

    def _ws_ended(self, dice: random.Random) -> int:
        """The application returns, or fails."""
        with self._wire() as wire:
            path, code = dice.choice((("idle", 1000), ("fail", 1011)))
            client = self._socket(wire, dice, path, early=build_frame(TEXT, b"go"))
            client.expect_close(code)
            client.send(build_frame(CLOSE, struct.pack(">H", code)))
            wire.expect_end()
        return 1

    def _ws_pings(self, dice: random.Random) -> int:
        """A flood of pings, with somebody who reads on or nobody."""
        count = dice.choice((1, 50, 3_000))
        with self._wire() as wire:
            client = self._socket(wire, dice, "echo")
            client.send(*(build_frame(PING, b"%d" % number) for number in range(count)))
            for number in range(count):
                assert client.frame() == (PONG, b"%d" % number)
            client.finish()
        return count

    def _ws_lazy(self, dice: random.Random) -> int:
        """More messages than the application takes for a while, and pings behind them."""
        count = dice.randrange(40, 150)
        with self._wire() as wire:
            client = self._socket(wire, dice, "lazy", count)
            sender = threading.Thread(
                target=self._send_anyway,
                args=(wire.stream, build_frame(BINARY, bytes(30_000)) * count + build_frame(PING, b"!")),
                daemon=True,
            )
            sender.start()
            answers = [client.frame()]
            assert answers[0][0] != CLOSE, answers
            answers.append(client.frame())
            sender.join(PATIENCE)
            assert sorted(answers) == [(TEXT, str(count).encode()), (PONG, b"!")], answers
            client.finish()
        return count
