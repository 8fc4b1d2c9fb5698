"""Random clients, from a seed, that check every byte they get from `tests.e2e.apps.soak`."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

from tests.e2e.apps.soak import pattern

# Longer than any single answer takes on a busy machine, shorter than the server's own deadlines.
PATIENCE = 25.0
# Endpoints whose answer to a GET is the pattern, whole and with the connection kept.
QUICK = ("plain", "slow", "stream", "sized", "written", "file", "keep", "haunt")
SIZES = (0, 1, 17, 1_000, 16_384, 16_385, 70_000, 600_000)


class Wire:
    """One connection, read strictly."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self.stream = connect()
        self.stream.settimeout(PATIENCE)
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def more(self) -> bool:
        """Receive something; return false at the end of the connection."""
        piece = self.stream.recv(65_536)
        self._held += piece
        return bool(piece)

    def until(self, mark: bytes) -> bytes:
        """What comes before the mark, which is taken as well."""
        while mark not in self._held:
            assert self.more(), f"the end where {mark!r} is due, after {self._held[-100:]!r}"
        found, _, self._held = self._held.partition(mark)
        return found

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        pieces = [self._held]
        missing = size - len(self._held)
        while missing > 0:
            piece = self.stream.recv(min(missing, 1 << 20))
            assert piece, f"the end where {missing} bytes are due"
            pieces.append(piece)
            missing -= len(piece)
        whole = b"".join(pieces)
        self._held = whole[size:]
        return whole[:size]

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and fields of the next final response; interim ones are passed over."""
        while True:
            line, *fields = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            version, _, rest = line.partition(" ")
            assert version == "HTTP/1.1", line
            if rest[:3] != "100":
                parts = (field.partition(":") for field in fields)
                return int(rest[:3]), {name.lower(): value.strip() for name, _, value in parts}

    def body(self, fields: dict[str, str]) -> bytes:
        """The body that belongs to a head."""
        if "content-length" in fields:
            return self.exactly(int(fields["content-length"]))
        assert fields.get("transfer-encoding") == "chunked", fields
        whole = []
        while size := int(self.until(b"\r\n"), 16):
            whole.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"
        assert self.exactly(2) == b"\r\n"
        return b"".join(whole)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next response, whole."""
        status, fields = self.head()
        return status, fields, self.body(fields)

    def expect_end(self) -> None:
        """Nothing more comes, and the connection ends."""
        assert not self._held, self._held[:100]
        try:
            rest = self.stream.recv(100)
        except ConnectionResetError:
            rest = b""
        assert rest == b"", rest


class Soak:
    """Clients of all kinds, side by side, until time is up.

    Attributes:
        checked: how many answers were right.
        failures: what was wrong, a line each, with the seed and the kind of the client.
    """

    def __init__(self, connect: Callable[[], socket.socket], seed: int, clients: int) -> None:
        self._connect = connect
        self._stop = threading.Event()
        self.checked = 0
        self.kinds: dict[str, int] = {}
        self.failures: list[str] = []
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(seed * 1000 + n,), name=f"soak-{n}", daemon=True)
            for n in range(clients)
        ]
        self._clients: tuple[Callable[[random.Random], int], ...] = (
            self._keep_alive,
            self._pipeline,
            self._tiny_pipeline,
            self._upload,
            self._echo,
            self._ignored_body,
            self._heads,
            self._failures,
            self._cut_answers,
            self._dribble,
            self._half_close,
            self._vanish,
            self._slow_reader,
            self._nonsense,
            self._expect,
        )

    def start(self) -> None:
        """Let the clients go."""
        for thread in self._threads:
            thread.start()

    def run(self, seconds: float) -> None:
        """Start, let time go by, end."""
        self.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.failures:
            self._stop.wait(0.1)
        self.finish()

    def wait_checked(self, count: int) -> None:
        """Wait until so many answers were right."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.checked >= count, PATIENCE), self.checked

    def finish(self) -> None:
        """End after what is under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)
            if thread.is_alive():
                self.failures.append(f"{thread.name} hangs")

    def _run(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self._stop.is_set():
            client = dice.choice(self._clients)
            try:
                checked = client(dice)
            except (OSError, AssertionError, ValueError, IndexError) as error:
                if not self._stop.is_set():
                    self.failures.append(f"seed {seed}, {client.__name__}: {type(error).__name__}: {error}"[:500])
                return
            with self._changed:
                self.checked += checked
                self._changed.notify_all()
                self.kinds[client.__name__] = self.kinds.get(client.__name__, 0) + checked

    def _wire(self) -> Wire:
        return Wire(self._connect)

    @staticmethod
    def get(path: str, seed: int, size: int, method: str = "GET", fields: str = "") -> bytes:
        """The head of a request to the application."""
        return f"{method} /{path}?seed={seed}&size={size} HTTP/1.1\r\nHost: soak\r\n{fields}\r\n".encode()

    @staticmethod
    def _ask(dice: random.Random) -> tuple[str, int, int]:
        return dice.choice(QUICK), dice.randrange(1 << 30), dice.choice(SIZES)

    @staticmethod
    def check(wire: Wire, seed: int, size: int) -> None:
        """Read the next answer, which must be the pattern."""
        status, fields, body = wire.answer()
        assert status == 200, (status, body[:200])
        assert body == pattern(seed, size), f"{len(body)} bytes for {size}: {body[:50]!r} {fields}"

    def _keep_alive(self, dice: random.Random) -> int:
        count = dice.randrange(1, 20)
        with self._wire() as wire:
            for _ in range(count):
                path, seed, size = self._ask(dice)
                wire.stream.sendall(self.get(path, seed, size))
                self.check(wire, seed, size)
        return count

    def _pipeline(self, dice: random.Random) -> int:
        asked = [self._ask(dice) for _ in range(dice.randrange(2, 12))]
        with self._wire() as wire:
            wire.stream.sendall(b"".join(self.get(*ask) for ask in asked))
            for _, seed, size in asked:
                self.check(wire, seed, size)
        return len(asked)

    def _tiny_pipeline(self, dice: random.Random) -> int:
        count = dice.randrange(100, 800)
        with self._wire() as wire:
            wire.stream.sendall(b"GET /plain?seed=7&size=9 HTTP/1.1\r\nHost: s\r\n\r\n" * count)
            for _ in range(count):
                self.check(wire, 7, 9)
        return count

    @staticmethod
    def _chunked(data: bytes, size: int) -> bytes:
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        extension = b";note=1" if size > 1_000 else b""
        return (
            b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
            + b"0\r\nTrailer: x\r\n\r\n"
        )

    def _upload(self, dice: random.Random) -> int:
        count = dice.randrange(1, 4)
        with self._wire() as wire:
            for _ in range(count):
                seed, size = dice.randrange(1 << 20), dice.choice(SIZES)
                data = pattern(seed, dice.choice((1, 1_000, 20_000, 300_000, 2_000_000)))
                if dice.random() < 0.5:
                    request = self.get("upload", seed, size, "POST", "Transfer-Encoding: chunked\r\n")
                    request += self._chunked(data, 9_999 if len(data) > 20_000 else dice.choice((1, 7, 5_000)))
                else:
                    request = self.get("upload", seed, size, "POST", f"Content-Length: {len(data)}\r\n") + data
                wire.stream.sendall(request)
                status, _, body = wire.answer()
                told, _, rest = body.partition(b"\n")
                assert status == 200, (status, body[:200])
                assert told.decode() == f"{len(data)} {hashlib.sha256(data).hexdigest()}", told
                assert rest == pattern(seed, size)
        return count

    def _echo(self, dice: random.Random) -> int:
        data = pattern(dice.randrange(1 << 20), dice.choice((1, 5_000, 400_000)))
        with self._wire() as wire:
            head = self.get("echo", 0, 0, "POST", f"Content-Length: {len(data)}\r\nConnection: close\r\n")
            wire.stream.sendall(head + data)
            status, _, body = wire.answer()
            assert (status, body) == (200, data), (status, body[:100])
            wire.expect_end()
        return 1

    def _ignored_body(self, dice: random.Random) -> int:
        seed, size = dice.randrange(1 << 20), dice.choice(SIZES)
        data = pattern(seed, dice.choice((10, 300_000, 1_000_000)))
        with self._wire() as wire:
            head = self.get("ignored", seed, size, "POST", f"Content-Length: {len(data)}\r\n")
            sender = threading.Thread(target=self._send_anyway, args=(wire.stream, head + data), daemon=True)
            sender.start()
            self.check(wire, seed, size)
            sender.join(PATIENCE)
        return 1

    @staticmethod
    def _send_anyway(stream: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the server may stop listening, which is its right
            stream.sendall(data)

    def _heads(self, dice: random.Random) -> int:
        with self._wire() as wire:
            for path in ("plain", "stream", "sized", "file", "written"):
                wire.stream.sendall(self.get(path, 1, 5_000, "HEAD"))
                status, fields = wire.head()
                assert status == 200
                assert fields.get("content-length", "5000") == "5000", fields
        return 5

    def _failures(self, dice: random.Random) -> int:
        with self._wire() as wire:
            for _ in range(5):
                wire.stream.sendall(self.get(dice.choice(("fail", "nothing")), dice.randrange(99), 10))
                status, _, _ = wire.answer()
                assert status == 500, status
        return 5

    def _cut_answers(self, dice: random.Random) -> int:
        kind, seed, size = dice.choice(("over", "short", "broken")), dice.randrange(99), dice.choice(SIZES[1:])
        with self._wire() as wire:
            wire.stream.sendall(self.get(kind, seed, size))
            _, fields = wire.head()
            if kind == "over":
                assert wire.body(fields) == pattern(seed, size)
                wire.expect_end()
                return 1
            try:
                body = wire.body(fields)
            except (AssertionError, OSError):
                return 1
            raise AssertionError(f"a broken answer looks whole: {kind} {len(body)} of {size}")

    def _dribble(self, dice: random.Random) -> int:
        path, seed, size = self._ask(dice)
        request = self.get(path, seed, size, fields="X-Slow: yes\r\n") + self.get("plain", seed, 40)
        with self._wire() as wire:
            while request:
                cut = dice.randrange(1, 30)
                wire.stream.sendall(request[:cut])
                request = request[cut:]
                self._stop.wait(dice.choice((0, 0, 0.002)))
            self.check(wire, seed, size)
            self.check(wire, seed, 40)
        return 2

    def _half_close(self, dice: random.Random) -> int:
        asked = [self._ask(dice) for _ in range(dice.randrange(1, 4))]
        with self._wire() as wire:
            wire.stream.sendall(b"".join(self.get(*ask) for ask in asked))
            wire.stream.shutdown(socket.SHUT_WR)
            for _, seed, size in asked:
                self.check(wire, seed, size)
            wire.expect_end()
        return len(asked)

    def _vanish(self, dice: random.Random) -> int:
        path, seed, size = self._ask(dice)
        request = self.get(path, seed, size)
        if dice.random() < 0.5:
            request = self.get("upload", seed, size, "POST", "Content-Length: 500000\r\n") + bytes(50_000)
        with self._wire() as wire:
            wire.stream.sendall(request[: dice.randrange(1, len(request) + 1)])
            if dice.random() < 0.5:
                wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._stop.wait(dice.choice((0, 0, 0.01)))
        return 0

    def _slow_reader(self, dice: random.Random) -> int:
        path, seed, size = dice.choice(QUICK), dice.randrange(1 << 20), 9_000_000
        with self._wire() as wire:
            wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            wire.stream.sendall(self.get(path, seed, size))
            self._stop.wait(dice.random() / 4)
            self.check(wire, seed, size)
        return 1

    def _nonsense(self, dice: random.Random) -> int:
        requests = (
            b"GET / HTTP/1.1\r\n\r\n",
            b"BAD\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        )
        with self._wire() as wire:
            wire.stream.sendall(self.get("plain", 1, 300) + dice.choice(requests) + self.get("plain", 1, 30))
            self.check(wire, 1, 300)
            status, fields, _ = wire.answer()
            assert (status, fields["connection"]) == (400, "close")
            wire.expect_end()
        return 2

    def _expect(self, dice: random.Random) -> int:
        data = pattern(3, dice.choice((10, 100_000)))
        with self._wire() as wire:
            fields = f"Content-Length: {len(data)}\r\nExpect: 100-continue\r\n"
            wire.stream.sendall(self.get("upload", 3, 30, "POST", fields))
            assert wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
            wire.stream.sendall(data)
            status, _, body = wire.answer()
            assert (status, body.partition(b" ")[0]) == (200, b"%d" % len(data))
        return 1
