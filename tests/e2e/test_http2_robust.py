"""Clients of HTTP/2 that attack, while others are served; and the worker's end under load."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.http2_wire import GoneError, Http2Wire, StreamResetError
from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, StartServer, start_server, wait_until
from tests.e2e.vitals import MIB, resident_bytes

APP = "tests.e2e.apps.robust:app"
CALM = 11
MANY = 4_000


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with start_server(APP, "--workers", "1", "--http-head-timeout", "1s") as running:
        yield running


def frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Attacker:
    """A client that says what it likes."""

    def __init__(self, server: RunningServer) -> None:
        self.wire = Http2Wire.to(server)
        # The server's settings have come, and ours are there.
        self.wire.ask("GET", "/")
        self._number = 1

    def head(self, *fields: tuple[str, str], method: str = "POST", flags: int = 4) -> tuple[int, bytes]:
        """The head of a request, and the number of its stream."""
        self._number += 2
        base = [(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        return self._number, frame(1, self._number, self.wire.h2.encoder.encode([*base, *fields]), flags)


def resets(attacker: Attacker) -> bytes:
    number, head = attacker.head()
    return head + frame(3, number, struct.pack(">I", 8))


def made_resets(attacker: Attacker) -> bytes:
    number, head = attacker.head()
    return head + frame(8, number, b"\0\0\0\0")


def malformed(attacker: Attacker) -> bytes:
    return attacker.head(("te", "gzip"))[1]


def empty_data(attacker: Attacker) -> bytes:
    number, head = attacker.head()
    return head + frame(0, number, b"") * 100


def continuations(attacker: Attacker) -> bytes:
    number, head = attacker.head(flags=0)
    return head + frame(9, number, b"\x00\x01a\x01b") * 100


def huge_head(attacker: Attacker) -> bytes:
    number, head = attacker.head(flags=0)
    return head + frame(9, number, b"x" * 16_000) * 20


ATTACKS: dict[str, Callable[[Attacker], bytes]] = {
    "rapid resets": resets,
    "resets by the server": made_resets,
    "malformed requests": malformed,
    "pings": lambda _: frame(6, 0, b"12345678") * 20,
    "settings": lambda _: frame(4, 0, b"") * 20,
    "priorities": lambda _: frame(2, 1, b"\0\0\0\3\1") * 20,
    "window updates": lambda _: frame(8, 0, b"\0\0\0\1") * 20,
    "unknown frames": lambda _: frame(99, 0, b"x") * 20,
    "empty data": empty_data,
    "continuations": continuations,
    "huge head": huge_head,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_ends_its_connection_and_nobody_else_s(server: RunningServer, name: str) -> None:
    build = ATTACKS[name]
    with Http2Wire.to(server) as bystander:
        attacker = Attacker(server)
        with attacker.wire, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for round_ in range(MANY):
                attacker.wire.socket.sendall(build(attacker))
                if round_ % 100 == 0:
                    assert bystander.ask("GET", "/").body == b"hello\n"
                attacker.wire.take_what_is_there()
                if attacker.wire.goaway:
                    break
            assert attacker.wire.goaway, "the attack was let go on"
            assert attacker.wire.goaway[-1][0] == CALM
        assert bystander.ask("GET", "/").body == b"hello\n"


def test_slow_head_and_preface_are_cut_off(server: RunningServer) -> None:
    with Http2Wire.to(server) as wire:
        wire.ask("GET", "/")
        wire.socket.sendall(frame(1, 99, b"x" * 100)[:50])
        assert wire.read_end() is not None


def test_bomb_of_references_costs_no_memory(server: RunningServer) -> None:
    """Twelve thousand references to a field of 3 KB, in each of many requests: 36 MB each, if they were kept."""
    pid = server.children()[0]
    before = resident_bytes(pid)
    with Http2Wire.to(server) as wire:
        for _ in range(20):
            number = wire.h2.get_next_available_stream_id()
            base = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
            # The last field that went into the table is the first in it.
            wire.h2.send_headers(number, [*base, ("x-large", "x" * 3_000)], end_stream=True)
            block = wire.h2.data_to_send()[9:] + b"\xbe" * 12_000
            wire.socket.sendall(frame(1, number, block, flags=5))
            assert wire.read(number).status == 431
        assert wire.ask("GET", "/").body == b"hello\n"
    assert resident_bytes(pid) - before < 8 * MIB


def test_many_windows_of_nothing_pin_no_more_than_the_answers(hostler_server: StartServer) -> None:
    """Answers that nobody takes are let go of after the write timeout, and the connection goes on."""
    server = hostler_server(APP, "--workers", "1", "--http-write-timeout", "1s")
    with Http2Wire.to(server, window=0, keeps_reading=False) as wire:
        wire.wait(lambda: wire.h2.local_settings.initial_window_size == 0)
        numbers = [wire.begin("GET", "/") for _ in range(50)]
        for number in numbers:
            with pytest.raises(StreamResetError):
                wire.read(number)


# The end of a worker


class Honest(threading.Thread):
    """A client that keeps eight streams busy, honours GOAWAY, and notes what fails that it could not try again."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__()
        self._server = server
        self._stopping = threading.Event()
        self.served = 0
        self.connections = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve_one_connection()
            except (ConnectionRefusedError, GoneError, OSError) as error:
                self.failures.append(repr(error))

    def _serve_one_connection(self) -> None:
        with Http2Wire.to(self._server) as wire:
            self.connections += 1
            busy: set[int] = set()
            while not (self._stopping.is_set() or wire.goaway) or busy:
                while len(busy) < 8 and not (wire.goaway or self._stopping.is_set()):
                    busy.add(wire.begin("GET", "/work"))
                wire.wait(lambda busy=busy, wire=wire: any(_is_done(wire, number) for number in busy))  # type: ignore[misc]
                for number in [number for number in busy if _is_done(wire, number)]:
                    busy.remove(number)
                    stream = wire.streams[number]
                    if stream.status == 200 and stream.is_ended:
                        self.served += 1
                    elif not (wire.goaway and number > wire.goaway[-1][1]):
                        self.failures.append(f"stream {number}: {stream}")

    def finish(self) -> None:
        self._stopping.set()
        self.join()


def _is_done(wire: Http2Wire, number: int) -> bool:
    stream = wire.streams[number]
    return stream.is_ended or stream.reset is not None


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_no_request_fails_through_reloads(hostler_server: StartServer, interface: str) -> None:
    app = APP if interface == "wsgi" else "tests.e2e.apps.asgi_robust:app"
    server = hostler_server(app, "--workers", "2", *(["--interface", "asgi"] if interface == "asgi" else []))
    clients = [Honest(server) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        for _ in range(4):
            served = sum(client.served for client in clients)
            wait_until(lambda served=served: sum(client.served for client in clients) > served + 50, "more answers")  # type: ignore[misc]
            before = set(server.children())
            os.kill(server.pid, signal.SIGHUP)
            wait_until(lambda before=before: bool(now := set(server.children())) and not before & now, "new workers")  # type: ignore[misc]
    finally:
        for client in clients:
            client.finish()
    assert [client.failures for client in clients] == [[], [], []]
    assert all(client.connections > 1 for client in clients)


def test_stop_lets_streams_in_progress_end(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server("tests.interop.apps.teller:wsgi_app", "--threads", "4", env=gate.env)
    with Http2Wire.to(server) as wire:
        number = wire.begin("GET", "/drip")
        gate.wait("drip", 1)
        server.signal(signal.SIGTERM)
        wire.wait(lambda: bool(wire.goaway))
        assert wire.goaway[0] == (0, 2**31 - 1)
        gate.release("drip")
        assert wire.read(number).is_ended
        assert wire.read_end() == 0
    assert server.wait() == 0
