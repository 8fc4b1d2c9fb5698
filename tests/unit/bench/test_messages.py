"""The WebSocket load: against servers that do as they should, and against such as do not."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from bench.errors import BenchError
from bench.load import LoadResult
from bench.messages import MessageLoad, build_message_command, build_program, open_messages, parse_message_result

ROOT = Path(__file__).resolve().parents[3]
CPU = min(os.sched_getaffinity(0))
LINE = (
    '{"messages":500,"duration_us":2000000,"bytes":32000,"p50_us":250.5,"p99_us":900.0,"errors":1,"wrong":2,'
    '"deflated":0}'
)
RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n"
)
TEXT = b"0123456789abcdef" * 4
ECHO = b"\x82\x40" + TEXT
# What a client of 64 B messages sends: 2 of header, 4 of mask, the text.
FRAME_SIZE = 70
Script = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def program() -> Path:
    return build_program(ROOT)


@contextmanager
def scripted(script: Script) -> Iterator[int]:
    """Serve one connection: read the request for the handshake, then do as the script says."""

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(4096)
            script(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


def read_exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        assert part, f"the client closed after {len(data)} of {size} bytes"
        data += part
    return data


def read_frame(connection: socket.socket) -> bytes:
    frame = read_exactly(connection, FRAME_SIZE)
    assert frame[:2] == b"\x82\xc0"
    return bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(frame[6:]))


def wait_for_end(connection: socket.socket) -> None:
    # A reset is an end as well: the client need not read what it has refused.
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(4096):
            pass


def run_once(program: Path, port: int, *more: str) -> subprocess.CompletedProcess[str]:
    """Exchange one message on one connection."""
    command = [str(program), "--port", str(port), "--count", "1", "--seconds", "5", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)


@pytest.fixture
def echo_server() -> Iterator[Server]:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_command_pins_and_bounds_the_load() -> None:
    command = build_message_command(Path("ws_load"), MessageLoad(64, 100, outstanding=4), port=8000, seconds=3, cpu=1)
    assert command[:4] == ["taskset", "-c", "1", "ws_load"]
    assert command[command.index("--seconds") + 1] == "3"
    assert command[command.index("--outstanding") + 1] == "4"
    assert "--deflate" not in command
    held = build_message_command(Path("ws_load"), MessageLoad(9, 1, deflate=True, hold=True), port=1, seconds=3, cpu=1)
    assert held[held.index("--count") + 1] == "1"
    assert "--deflate" in held


def test_result_is_read() -> None:
    expected = LoadResult(requests=500, seconds=2.0, size=32000, p50_us=250.5, p99_us=900.0, errors=1, wrong=2)
    assert parse_message_result(LINE) == expected


@pytest.mark.parametrize(
    "load",
    [
        MessageLoad(4, 64),
        MessageLoad(4, 0),
        MessageLoad(2, 125),
        MessageLoad(2, 126),
        MessageLoad(2, 16_384, outstanding=4),
        MessageLoad(1, 70_000),
        MessageLoad(20, 64, hold=True),
        MessageLoad(20, 300, deflate=True, hold=True),
        MessageLoad(4, 300, deflate=True, outstanding=3),
    ],
)
def test_messages_come_back_from_a_server_of_the_library(program: Path, echo_server: Server, load: MessageLoad) -> None:
    port = echo_server.socket.getsockname()[1]
    with open_messages(program, load, port, seconds=1, cpu=CPU) as messages:
        assert messages.deflated == (load.connections if load.deflate else 0)
        result = messages.exchange()
    assert result.errors == result.wrong == 0
    assert result.requests == load.connections if load.hold else result.requests > load.connections
    assert 0 <= result.p50_us <= result.p99_us


def test_fragments_pings_and_split_bytes_are_put_together(program: Path) -> None:
    def script(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(RESPONSE)
        assert read_frame(connection) == TEXT
        # A ping between two fragments is allowed (RFC 6455 5.4), and answered with what it carried.
        data = b"\x02\x0a" + TEXT[:10] + b"\x89\x02hi" + b"\x00\x00" + b"\x80\x7e\x00\x36" + TEXT[10:]
        for byte in data[:-1]:
            connection.sendall(bytes([byte]))
        pong = read_exactly(connection, 8)
        assert pong[:2] == b"\x8a\x82"
        assert bytes(byte ^ pong[2 + index] for index, byte in enumerate(pong[6:])) == b"hi"
        connection.sendall(data[-1:])
        assert connection.recv(1) == b""

    with scripted(script) as port:
        done = run_once(program, port)
    assert done.returncode == 0, done.stderr
    assert parse_message_result(done.stdout).requests == 1


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (b"\x81\x40" + TEXT, "opcode 1 where 2 was due"),
        (b"\x80\x40" + TEXT, "opcode 0 where 2 was due"),
        (b"\x82\xc0" + bytes(4) + TEXT, "masked"),
        (b"\xc2\x40" + TEXT, "reserved bits"),
        (b"\x82\x3f" + TEXT[:63], "63 bytes, not 64"),
        (b"\x82\x41" + TEXT + b"0", "more than 64 bytes"),
        (b"\x82\x40" + TEXT[::-1], "other bytes"),
        (b"\x09\x00", "control frame is fragmented"),
        (b"\x8b\x00", "unknown opcode 11"),
        (ECHO + ECHO, "answers none"),
    ],
)
def test_wrong_answer_is_counted_and_named(program: Path, answer: bytes, complaint: str) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(RESPONSE)
        read_frame(connection)
        connection.sendall(answer)
        wait_for_end(connection)

    with scripted(script) as port:
        done = run_once(program, port)
    assert complaint in done.stderr
    assert parse_message_result(done.stdout).wrong == 1


def test_close_by_the_server_is_an_error_with_its_status(program: Path) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(RESPONSE)
        read_frame(connection)
        connection.sendall(b"\x88\x02\x03\xf3")
        wait_for_end(connection)

    with scripted(script) as port:
        done = run_once(program, port)
    assert "closed a connection with status 1011" in done.stderr
    result = parse_message_result(done.stdout)
    assert (result.requests, result.errors, result.wrong) == (0, 1, 0)


@pytest.mark.parametrize(
    "response, complaint",
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answered with HTTP/1.1 403 Forbidden"),
        (RESPONSE.replace(b"s3p", b"S3P"), "wrong Sec-WebSocket-Accept"),
        (RESPONSE.replace(b"upgrade:", b"x:"), "no Upgrade"),
        (RESPONSE.replace(b"Connection:", b"x:"), "no Connection"),
        (RESPONSE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "was not offered"),
        (b"", "the server closed the connection"),
        (b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 2000, "longer than 8192 bytes"),
    ],
)
def test_handshake_that_fails_ends_the_program_with_the_reason(program: Path, response: bytes, complaint: str) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(response)
        connection.shutdown(socket.SHUT_WR)
        wait_for_end(connection)

    with scripted(script) as port:
        done = run_once(program, port)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stdout == ""


def test_port_that_nobody_listens_on_is_named(program: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        done = run_once(program, port)
        assert (done.returncode, done.stderr) == (1, f"ws_load: port {port}: Connection refused\n")
        with (
            pytest.raises(BenchError, match="Connection refused"),
            open_messages(program, MessageLoad(1, 1), port, seconds=1, cpu=CPU),
        ):
            pass


def test_connections_that_were_to_be_held_and_are_lost_are_no_result(program: Path) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(RESPONSE)
        read_frame(connection)

    with (
        scripted(script) as port,
        open_messages(program, MessageLoad(1, 64, hold=True), port, seconds=1, cpu=CPU) as messages,
        pytest.raises(BenchError, match=r"lost 1 connections: ws_load: the server closed"),
    ):
        messages.exchange()


@pytest.mark.parametrize("option", [["--size", "x"], ["--connections", "0"], ["--port", "99999"], ["more"]])
def test_option_that_makes_no_sense_is_refused(program: Path, option: list[str]) -> None:
    done = run_once(program, 1, *option)
    assert done.returncode == 1
    assert done.stderr.startswith("ws_load: ")
