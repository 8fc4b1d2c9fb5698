"""HTTP/2 with applications behind it: what they are told, what becomes of their answers, WebSockets on streams."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import wsproto.frame_protocol as frames

from tests.conformance.asgi_ask import PAGES, new_name, read_literal, read_note, script_target
from tests.conformance.http2_wire import Http2Wire, StreamResetError
from tests.e2e.asgi import asgi_options
from tests.e2e.board import scoreboard_of
from tests.e2e.harness import RunningServer, StartServer, start_server, wait_until

WSGI = "tests.conformance.apps.pages:app"
TEXT = [(b"content-type", b"text/plain")]
KIB = 1024
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture(scope="module")
def asgi() -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options("asyncio")) as server:
        yield server


@pytest.fixture(scope="module")
def websockets() -> Iterator[RunningServer]:
    with start_server("tests.conformance.apps.websocket_pages:app", *asgi_options("uvloop")) as server:
        yield server


# What applications are told


def test_wsgi_application_is_told_as_in_http_1(pages: RunningServer) -> None:
    with Http2Wire.to(pages) as wire:
        fields = [("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "2")]
        told = json.loads(wire.ask("GET", "/view?q=1", fields).body)
    told = told.get("environ", told)
    assert told["SERVER_PROTOCOL"] == "HTTP/2.0"
    assert (told["HTTP_HOST"], told["HTTP_COOKIE"], told["HTTP_X_A"]) == ("example.org", "a=1; b=2", "1,2")
    assert (told["RAW_URI"], told["QUERY_STRING"]) == ("/view?q=1", "q=1")


def test_asgi_scope_is_as_specified(asgi: RunningServer) -> None:
    """ASGI "HTTP Connection Scope": the version is "2", `:authority` is the first header "host", no pseudo-headers."""
    with Http2Wire.to(asgi) as wire:
        told = read_literal(wire.ask("GET", "/view?q=1", [("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2")]).body)
    scope = told["scope"]
    assert (scope["http_version"], scope["type"], scope["path"], scope["query_string"]) == (
        "2",
        "http",
        "/view",
        b"q=1",
    )
    assert scope["headers"] == [(b"host", b"example.org"), (b"x-a", b"1"), (b"cookie", b"a=1; b=2")]


def test_body_without_a_length_has_one_for_wsgi(pages: RunningServer) -> None:
    with Http2Wire.to(pages) as wire:
        body = b"x" * 100_000
        stream = wire.ask("POST", "/body", body=[body, body])
        assert (stream.status, stream.body) == (200, body * 2)


def test_bodies_beyond_memory_are_spooled_and_those_beyond_the_limit_refused(small: RunningServer) -> None:
    with Http2Wire.to(small) as wire:
        body = bytes(range(256)) * 2_000
        assert wire.ask("POST", "/body", body=body).body == body
        number = wire.begin("POST", "/body", end=False)
        wire.give(number, b"x" * (1024 * KIB + 1), end=False)
        assert wire.read(number).status == 413
        # The connection goes on.
        assert wire.ask("GET", "/list").status == 200


def test_declared_length_beyond_the_limit_is_refused_at_once(small: RunningServer) -> None:
    with Http2Wire.to(small) as wire:
        number = wire.begin("POST", "/body", [("content-length", "1048577")], end=False)
        assert wire.read(number).status == 413


def test_expected_continue_comes_before_the_body(pages: RunningServer) -> None:
    with Http2Wire.to(pages) as wire:
        number = wire.begin("POST", "/body", [("expect", "100-continue")], end=False)
        wire.wait(lambda: bool(wire.streams[number].interim))
        wire.give(number, b"body")
        stream = wire.read(number)
        assert ([status for status, _ in stream.interim], stream.body) == ([100], b"body")


def test_requests_at_once_do_not_wait_for_each_other(asgi: RunningServer) -> None:
    gates = [new_name() for _ in range(20)]
    with Http2Wire.to(asgi) as wire:
        held = [wire.begin("GET", f"/wait?{gate}") for gate in gates]
        for gate in gates:
            assert read_note(asgi, f"{gate}-arrived") == ""
        assert wire.ask("GET", "/view").status == 200
        for gate, number in zip(reversed(gates), reversed(held), strict=True):
            assert wire.ask("GET", f"/open?{gate}").body == b"open"
            assert wire.read(number).body == b"waited"


# Answers


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_content_end_with_their_head(asgi: RunningServer, status: int) -> None:
    with Http2Wire.to(asgi) as wire:
        start = {"type": "http.response.start", "status": status, "headers": TEXT}
        stream = wire.ask("GET", script_target([start, {"type": "http.response.body", "body": b"none"}]))
        assert (stream.status, stream.body, stream.values("content-length")) == (status, b"", [])


def test_head_has_the_length_and_no_content(pages: RunningServer) -> None:
    with Http2Wire.to(pages) as wire:
        whole, head = wire.ask("GET", "/list"), wire.ask("HEAD", "/list")
    assert (head.status, head.body, head.values("content-length")) == (200, b"", [str(len(whole.body))])
    names = {name for name, _ in whole.fields}
    assert not names & {"connection", "transfer-encoding", "keep-alive"}
    assert {"date", "server", "content-type"} <= names


def test_trailers_and_early_hints_arrive(asgi: RunningServer) -> None:
    messages = [
        {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]},
        {"type": "http.response.start", "status": 200, "headers": TEXT, "trailers": True},
        {"type": "http.response.body", "body": b"sum"},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"7")], "more_trailers": True},
        {"type": "http.response.trailers", "headers": [(b"x-more", b"8")]},
    ]
    with Http2Wire.to(asgi) as wire:
        stream = wire.ask("GET", script_target(messages))
    assert stream.interim == [(103, [("link", "</style.css>; rel=preload")])]
    assert (stream.body, stream.trailers) == (b"sum", [("x-sum", "7"), ("x-more", "8")])


def test_answer_shorter_than_announced_is_reset(asgi: RunningServer) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [*TEXT, (b"content-length", b"8")]}
    with Http2Wire.to(asgi) as wire:
        with pytest.raises(StreamResetError) as reset:
            wire.ask("GET", script_target([start, {"type": "http.response.body", "body": b"end"}]))
        assert reset.value.code == 2
        assert wire.ask("GET", "/view").status == 200


def test_failure_of_the_application_costs_its_stream_only(pages: RunningServer) -> None:
    with Http2Wire.to(pages) as wire:
        assert wire.ask("GET", "/fail").status == 500
        with pytest.raises(StreamResetError) as reset:
            wire.ask("GET", "/fail-midstream")
        assert reset.value.code == 2
        assert wire.ask("GET", "/list").status == 200


def test_file_arrives_whole(hostler_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "photograph"
    path.write_bytes(bytes(range(256)) * 20_000)
    server = hostler_server(PAGES, *asgi_options("asyncio"))
    messages = [
        {"type": "http.response.start", "status": 200, "headers": TEXT},
        {"type": "http.response.pathsend", "path": str(path)},
    ]
    with Http2Wire.to(server) as wire:
        stream = wire.ask("GET", script_target(messages))
    assert hashlib.sha256(stream.body).digest() == hashlib.sha256(path.read_bytes()).digest()


def test_client_that_does_not_read_holds_its_application_back_and_nobody_else(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, *asgi_options("uvloop"), "--limits-response-buffer", "65536")
    name = new_name()
    with Http2Wire.to(server, window=65_535, keeps_reading=False) as wire:
        number = wire.begin("GET", f"/held?note={name}")
        taken = int(read_note(server, name))
        # What the windows take, what may wait, and a piece of 64 KiB on either side.
        assert taken <= 65_535 + 65_536 + 2 * 65_536
        other = wire.begin("GET", "/view")
        wire.wait(lambda: wire.streams[other].status == 200)
        assert len(wire.streams[number].body) == 65_535


def test_application_hears_that_its_stream_was_given_up(asgi: RunningServer) -> None:
    name = new_name()
    with Http2Wire.to(asgi, window=65_535, keeps_reading=False) as wire:
        number = wire.begin("GET", f"/pour?note={name}")
        wire.wait(lambda: len(wire.streams[number].body) == 65_535)
        wire.h2.reset_stream(number, 8)
        wire.flush()
        assert read_note(asgi, name) == "OSError"
        # The connection's window is what the client has not given back.
        assert wire.ask("HEAD", "/view").status == 200


def test_streams_beyond_the_limit_are_refused(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, *asgi_options("asyncio"), "--http2-max-streams", "2")
    gates = [new_name(), new_name()]
    with Http2Wire.to(server) as wire:
        held = [wire.begin("GET", f"/wait?{gate}") for gate in gates]
        number = wire.begin("GET", "/view")
        with pytest.raises(StreamResetError) as reset:
            wire.read(number)
        assert reset.value.code == 7
        assert server.get(f"/open?{gates[0]}").status == 200
        assert wire.read(held[0]).body == b"waited"
        assert wire.ask("GET", "/view").status == 200


def test_access_log_names_the_version(hostler_server: StartServer, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = hostler_server(WSGI, "--access-log", str(log))
    with Http2Wire.to(server) as wire:
        size = len(wire.ask("GET", "/list").body)
    server.stop()
    assert re.search(rf'"GET /list HTTP/2\.0" 200 {size} ', log.read_text())


def test_it_can_be_switched_off(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, "--no-http2-enabled")
    with server.connect() as stream:
        stream.sendall(PREFACE)
        assert stream.recv(65_536).startswith(b"HTTP/1.1 505 ")
    assert server.get("/list").status == 200


# WebSockets on streams (RFC 8441)

CONNECT = [(":protocol", "websocket")]
VERSION = [("sec-websocket-version", "13")]


class OnStream:
    """The client's side of a WebSocket on a stream."""

    def __init__(self, wire: Http2Wire, path: str, *more: tuple[str, str]) -> None:
        self.wire = wire
        self.number = wire.begin("CONNECT", path, [*VERSION, *more], end=False, pseudo=CONNECT)
        self.stream = wire.streams[self.number]
        wire.wait(lambda: self.stream.status != 0)
        self.protocol = frames.FrameProtocol(client=True, extensions=[])
        self._fed = 0

    def send(self, data: bytes | bytearray) -> None:
        self.wire.give(self.number, bytes(data), end=False)

    def receive(self) -> tuple[frames.Opcode, str]:
        """The next message, or close frame."""
        text = ""
        while True:
            self.protocol.receive_bytes(self.stream.body[self._fed :])
            self._fed = len(self.stream.body)
            for frame in self.protocol.received_frames():
                text += str(frame.payload)
                if frame.message_finished:
                    return frame.opcode, text
            self.wire.wait(lambda: len(self.stream.body) > self._fed)


def test_websocket_runs_on_a_stream_beside_requests(websockets: RunningServer) -> None:
    with Http2Wire.to(websockets) as wire:
        wire.wait(lambda: wire.h2.remote_settings.enable_connect_protocol == 1)
        first, second = OnStream(wire, "/echo"), OnStream(wire, "/echo")
        assert (first.stream.status, first.stream.values("sec-websocket-accept")) == (200, [])
        for text in ("hay", "x" * 200_000):
            for socket in (second, first):
                socket.send(socket.protocol.send_data(text, fin=True))
            for socket in (first, second):
                assert socket.receive()[1] == text
        assert wire.ask("GET", "/view").status == 200
        first.send(first.protocol.close(1000))
        assert first.receive()[0] == frames.Opcode.CLOSE
        wire.wait(lambda: first.stream.is_ended)
        second.send(second.protocol.send_data("still", fin=True))
        assert second.receive()[1] == "still"


def test_life_of_a_websocket_on_a_stream_is_no_time_of_a_request(hostler_server: StartServer, tmp_path: Path) -> None:
    """It counts as a switch of protocols does, though its status is 200 (RFC 8441 5)."""
    options = asgi_options("asyncio", "--workers", "1", "--access-log", str(tmp_path / "access.log"))
    server = hostler_server("tests.conformance.apps.websocket_pages:app", *options)
    with scoreboard_of(server) as board:
        with Http2Wire.to(server) as wire:
            socket = OnStream(wire, "/echo")
            socket.send(socket.protocol.close(1000))
            wire.wait(lambda: socket.stream.is_ended)
        wait_until(lambda: board.read().counts.finished == 1, "the end of the WebSocket")
        counts = board.read().counts
        assert (counts.responses_1xx, counts.responses_2xx, counts.request_time.count) == (1, 0, 0)
        assert board.read_slowest(100).requests == ()


def test_websocket_scope_and_subprotocol(websockets: RunningServer) -> None:
    with Http2Wire.to(websockets) as wire:
        socket = OnStream(wire, "/scope", ("sec-websocket-protocol", "hay, straw"))
        _, told = socket.receive()
    assert "'http_version': '2'" in told
    assert "'type': 'websocket'" in told


def test_end_of_the_stream_is_the_end_of_its_websocket(websockets: RunningServer) -> None:
    name = new_name()
    with Http2Wire.to(websockets) as wire:
        socket = OnStream(wire, f"/echo?note={name}")
        wire.h2.reset_stream(socket.number, 8)
        wire.flush()
        assert "1006" in read_note(websockets, name)


def test_websocket_is_refused_where_there_is_none(websockets: RunningServer, pages: RunningServer) -> None:
    with Http2Wire.to(pages) as wire:
        number = wire.begin("CONNECT", "/list", VERSION, end=False, pseudo=CONNECT)
        assert wire.read(number).status == 501
    with Http2Wire.to(websockets) as wire:
        number = wire.begin("CONNECT", "/echo", [], end=False, pseudo=CONNECT)
        assert wire.read(number).status == 400
