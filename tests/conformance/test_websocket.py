"""WebSockets: the handshake and the messages (RFC 6455; ASGI "WebSocket" 2.5), with a common client and a raw one."""

from __future__ import annotations

import itertools
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.conformance.asgi_ask import ask, new_name, read_literal, read_note, script_target
from tests.conformance.websocket_wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    WebSocketWire,
    build_frame,
    build_handshake,
)
from tests.conformance.wire import PATIENCE, BrokenAnswerError, Wire, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, StartServer, start_server, wait_until
from tests.e2e.vitals import MIB, count_descriptors, resident_bytes

PAGES = "tests.conformance.apps.websocket_pages:app"
DISCONNECT = "websocket.disconnect"


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pages(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop)) as server:
        yield server


@pytest.fixture(scope="module")
def small(loop: str) -> Iterator[RunningServer]:
    """A server that takes messages of up to 1000 bytes, of which two may wait."""
    limits = ("--websocket-max-message", "1000", "--websocket-max-queue", "2")
    with start_server(PAGES, *asgi_options(loop, *limits)) as server:
        yield server


def ws_url(server: RunningServer, target: str) -> str:
    return f"ws://{server.host}:{server.port}{target}"


def dial(server: RunningServer, target: str, **options: Any) -> ClientConnection:  # noqa: ANN401 (those of websockets)
    """Connect with the client of the package websockets."""
    return connect(ws_url(server, target), **{"ping_interval": None, "max_size": None, "proxy": None} | options)


def ws_script(messages: list[object], note: str = "", rescue: tuple[object, ...] = ()) -> str:
    return script_target(messages, note, rescue).replace("/send?", "/script?")


def closed(client: ClientConnection) -> tuple[int, str]:
    """Wait for the end of a conversation; the code and reason of the server."""
    with pytest.raises(ConnectionClosed) as ended:
        client.recv(PATIENCE)
    assert ended.value.rcvd is not None, "the connection ended without a close frame"
    return ended.value.rcvd.code, ended.value.rcvd.reason


# The handshake


def test_scope_is_complete_and_exact(pages: RunningServer) -> None:
    fields = ["Sec-WebSocket-Protocol: chat, superchat", "X-A: 1", "Sec-WebSocket-Protocol: third"]
    with WebSocketWire.open(pages, "/scope?a=%20", fields) as client:
        told = read_literal(client.read_text())
        port = client.wire.port
    scope = told["scope"]
    headers = scope.pop("headers")
    assert (b"x-a", b"1") in headers
    assert (b"host", b"test.example") in headers
    assert (b"upgrade", b"websocket") in headers
    assert tuple(scope.pop("client")) == ("127.0.0.1", port)
    assert tuple(scope.pop("server")) == ("127.0.0.1", pages.port)
    assert told["state"] == ["shared", "word"]
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/scope",
        "raw_path": b"/scope",
        "query_string": b"a=%20",
        "root_path": "",
        "subprotocols": ["chat", "superchat", "third"],
        "extensions": {"websocket.http.response": {}, "hostler.deadline": {}},
    }


def test_unix_socket_has_a_path_and_no_client(hostler_server: StartServer, loop: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = hostler_server(PAGES, *asgi_options(loop), bind=f"unix:{path}")
    with WebSocketWire.open(server, "/scope") as client:
        scope = read_literal(client.read_text())["scope"]
    assert (tuple(scope["server"]), scope["client"]) == ((str(path), None), None)


def test_scheme_behind_a_tls_proxy_is_wss(pages: RunningServer) -> None:
    with WebSocketWire.open(pages, "/scope", ["X-Forwarded-Proto: https"]) as client:
        assert read_literal(client.read_text())["scope"]["scheme"] == "wss"


def test_subprotocol_that_the_application_chooses_is_told(pages: RunningServer) -> None:
    """RFC 6455 4.2.2."""
    offered = [Subprotocol("chat"), Subprotocol("superchat")]
    with dial(pages, "/accept?subprotocol=superchat", subprotocols=offered) as client:
        assert client.subprotocol == "superchat"
    with dial(pages, "/accept", subprotocols=offered) as client:
        assert client.subprotocol is None


def test_subprotocol_that_was_not_offered_is_never_told(pages: RunningServer) -> None:
    """RFC 6455 4.1: the client would have to fail the connection."""
    with Wire.to(pages) as wire:
        wire.send(build_handshake("/accept?subprotocol=foreign"))
        status, fields = wire.read_head()
    assert status in {101, 500}
    assert "sec-websocket-protocol" not in dict(fields)


def test_headers_of_the_application_are_in_the_handshake(pages: RunningServer) -> None:
    headers = [(b"set-cookie", b"a=1"), (b"x-room", b"stable"), (b"set-cookie", b"b=2")]
    with WebSocketWire.open(pages, "/accept?" + urlencode({"headers": repr(headers)})) as client:
        assert client.answer.values("set-cookie") == ["a=1", "b=2"]
        assert client.answer.value("x-room") == "stable"


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: WebSocket"],
        ["Connection: keep-alive, Upgrade"],
        ["Connection: upgrade"],
        ["Origin: http://elsewhere.example"],
        ["Sec-WebSocket-Extensions: x-unknown; a=1, another"],
    ],
    ids=lambda lines: lines[0],
)
def test_handshake_in_other_words_is_understood(pages: RunningServer, lines: list[str]) -> None:
    """RFC 6455 4.2.1; RFC 9110 5.6.1, 7.8."""
    with WebSocketWire.open(pages, "/echo", lines) as client:
        assert client.answer.value("sec-websocket-extensions") is None
        assert client.send_text("hay").read_text() == "hay"


@pytest.mark.parametrize(
    "lines, statuses",
    [
        (["Sec-WebSocket-Key: -"], {400}),
        (["Sec-WebSocket-Key: short"], {400}),
        (["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!"], {400}),
        (["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBub25jZQ=="], {400}),
        (["Sec-WebSocket-Version: -"], {400, 426}),
        (["Sec-WebSocket-Version: 8"], {400, 426}),
        (["Sec-WebSocket-Version: 13, 8"], {400, 426}),
        (["Sec-WebSocket-Version: x"], {400, 426}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_handshake_is_refused(pages: RunningServer, lines: list[str], statuses: set[int]) -> None:
    """RFC 6455 4.2.1, 4.2.2: a wrong version is answered with the right one (4.4)."""
    with Wire.to(pages) as wire:
        answer = wire.send(build_handshake("/echo", lines)).read_answer()
    assert answer.status in statuses
    if answer.status == 426:
        assert answer.value("sec-websocket-version") == "13"
        assert answer.value("upgrade") == "websocket"


@pytest.mark.parametrize(
    "request_bytes",
    [
        build_handshake("/ignore").replace(b"GET ", b"POST "),
        build_handshake("/ignore").replace(b"HTTP/1.1", b"HTTP/1.0"),
        build_handshake("/ignore", ["Connection: keep-alive"]),
        build_handshake("/ignore", ["Upgrade: h2c"]),
    ],
    ids=["post", "http-1.0", "no-connection", "another-protocol"],
)
def test_what_is_no_handshake_is_not_taken_for_one(pages: RunningServer, request_bytes: bytes) -> None:
    """RFC 6455 4.1; RFC 9110 7.8: an upgrade may be ignored, and is where the connection does not ask for it."""
    with Wire.to(pages) as wire:
        answer = wire.send(request_bytes).read_answer()
    assert answer.status in {200, 400, 405, 426}


def test_refusal_of_the_application_is_a_403(pages: RunningServer) -> None:
    """ASGI "Close": before it was accepted."""
    name = new_name()
    with pytest.raises(InvalidStatus) as refused, dial(pages, ws_script([{"type": "websocket.close"}], name)):
        pass
    assert refused.value.response.status_code == 403
    assert read_note(pages, name) == "sent"


def test_denial_of_the_application_is_an_answer_of_its_own(pages: RunningServer) -> None:
    """ASGI "WebSocket Denial Response"."""
    start = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Basic")]}
    body = {"type": "websocket.http.response.body", "body": b"who ", "more_body": True}
    end = {"type": "websocket.http.response.body", "body": b"are you?"}
    with Wire.to(pages) as wire:
        answer = wire.send(build_handshake(ws_script([start, body, end]))).read_answer()
        assert (answer.status, answer.value("www-authenticate"), answer.body) == (401, "Basic", b"who are you?")
        if not answer.closes:
            assert wire.ask("GET", "/ignore").body == b"ignored"


def test_first_frame_may_come_with_the_handshake(pages: RunningServer) -> None:
    """A client need not wait before it sends bytes on; they are the conversation's."""
    with Wire.to(pages) as wire:
        wire.send(build_handshake("/echo") + build_frame(TEXT, b"early"))
        assert wire.read_head()[0] == 101
        assert wire.read_exactly(7) == b"\x81\x05early"


def test_handshake_may_follow_a_request_on_the_same_connection(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", "/ignore") + build_handshake("/echo") + build_frame(TEXT, b"late"))
        assert wire.read_answer().body == b"ignored"
        assert wire.read_head()[0] == 101
        assert wire.read_exactly(6) == b"\x81\x04late"


# Messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1_000_000])
@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_message_of_any_size_goes_both_ways(pages: RunningServer, kind: str, size: int) -> None:
    """RFC 6455 5.2: the three forms of a length."""
    message: str | bytes = "h" * size if kind == "text" else bytes(range(250)) * (size // 250) + b"x" * (size % 250)
    with dial(pages, "/echo", compression=None) as client:
        for _ in range(2):
            client.send(message)
            assert client.recv(PATIENCE) == message


def test_text_has_any_letter(pages: RunningServer) -> None:
    text = "hay ä ☂ 🐎 \0 \x7f \ufeff"
    with dial(pages, "/echo") as client:
        client.send(text)
        assert client.recv(PATIENCE) == text


def test_event_of_a_message_has_either_text_or_bytes(pages: RunningServer) -> None:
    """ASGI "Receive": the other key is absent or None."""
    with dial(pages, "/events") as client:
        for sent, mine, other in (("hay", "text", "bytes"), (b"hay", "bytes", "text"), ("", "text", "bytes")):
            client.send(sent)
            event = read_literal(str(client.recv(PATIENCE)))
            assert (event["type"], event[mine], event.get(other)) == ("websocket.receive", sent, None)


def test_message_in_fragments_is_one_event(pages: RunningServer) -> None:
    """RFC 6455 5.4: with control frames in between, and letters that are divided."""
    text = "ä☂🐎" * 3
    parts = [text.encode()[at : at + 2] for at in range(0, len(text.encode()), 2)]
    with WebSocketWire.open(pages, "/echo") as client:
        client.send(TEXT, parts[0], final=False)
        for part in parts[1:]:
            client.send(PING, b"are you there?")
            pong = client.read_frame()
            assert (pong.opcode, pong.payload) == (PONG, b"are you there?")
            client.send(CONTINUATION, part, final=False)
        client.send(CONTINUATION, b"")
        assert client.read_text() == text


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"], ids=bytes.hex)
@pytest.mark.parametrize("size", [*range(18), 63, 64, 65, 1001])
def test_any_mask_is_taken_off(pages: RunningServer, mask: bytes, size: int) -> None:
    """RFC 6455 5.3: whatever the alignment."""
    payload = bytes(itertools.islice(itertools.cycle(range(256)), size))
    with WebSocketWire.open(pages, "/echo") as client:
        client.wire.send(build_frame(BINARY, payload, mask=mask))
        assert client.read_message() == (BINARY, payload)


def test_frames_are_understood_byte_by_byte_and_all_at_once(pages: RunningServer) -> None:
    frames = b"".join(build_frame(TEXT, b"%d" % number * (number * 30)) for number in range(1, 8))
    with WebSocketWire.open(pages, "/echo") as client:
        client.wire.send_bytewise(frames)
        client.wire.send(frames)
        for number in [*range(1, 8)] * 2:
            assert client.read_text() == str(number) * (number * 30)


def send_many(client: ClientConnection, count: int) -> None:
    for _ in range(count):
        client.send("hay")


def test_both_sides_may_talk_at_once(pages: RunningServer) -> None:
    count = 300
    with dial(pages, f"/many?count={count}") as client:
        sender = threading.Thread(target=send_many, args=(client, count))
        sender.start()
        assert [client.recv(PATIENCE) for _ in range(count)] == [str(number) for number in range(count)]
        assert client.recv(PATIENCE) == f"heard {count}"
        sender.join(PATIENCE)
        assert closed(client) == (1000, "")


def test_waiting_that_is_given_up_loses_no_message(pages: RunningServer) -> None:
    """A timeout around receive() cancels it; the message goes to the next call."""
    with dial(pages, "/cancel-receive") as client:
        sent = [str(number) for number in range(50)]
        for text in [*sent, "end"]:
            client.send(text)
        assert read_literal(str(client.recv(PATIENCE))) == [*sent, "end"]


def test_messages_may_be_taken_by_two_tasks(pages: RunningServer) -> None:
    with dial(pages, "/two-receivers") as client:
        for number in range(100):
            client.send(str(number))
        client.send("end")
        client.send("end")
        assert read_literal(str(client.recv(PATIENCE))) == [str(number) for number in range(100)]


def test_messages_of_many_tasks_are_not_mixed_up(pages: RunningServer) -> None:
    count = 60
    with WebSocketWire.open(pages, f"/many-senders?count={count}") as client:
        messages = [client.read_text() for _ in range(count)]
        assert sorted(messages) == sorted(f"{number} " * 20_000 for number in range(count))
        assert client.read_text() == "end"


def test_sending_that_is_given_up_leaves_the_messages_whole(pages: RunningServer) -> None:
    """A timeout around send() cancels it: a message is there whole or not at all."""
    name = new_name()
    with WebSocketWire.open(pages, f"/give-up?note={name}") as client:
        sent = int(read_note(pages, name))
        sizes = []
        while (message := client.read_message())[0] == BINARY:
            sizes.append(len(message[1]))
        assert message[1] == b"end"
    assert set(sizes) == {65_536}
    assert sent <= len(sizes) <= sent + 5


def test_messages_may_come_before_the_conversation_is_accepted(pages: RunningServer) -> None:
    gate = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_handshake(f"/accept-late?gate={gate}") + build_frame(PING, b"early") + build_frame(TEXT, b"x"))
        read_note(pages, f"{gate}-arrived")
        ask(pages, f"/open?{gate}")
        assert wire.read_head()[0] == 101
        client = WebSocketWire(wire)
        frames = [client.read_frame() for _ in range(2)]
        assert {frame.payload for frame in frames} == {b"early", b"late"}


def test_many_empty_fragments_cost_nothing(pages: RunningServer) -> None:
    (worker,) = pages.children()
    before = resident_bytes(worker)
    with WebSocketWire.open(pages, "/sizes") as client:
        client.send(BINARY, b"x", final=False)
        client.wire.send(build_frame(CONTINUATION, b"", final=False) * 200_000)
        client.send(CONTINUATION, b"y")
        assert client.read_text() == "('bytes', 2)"
        assert resident_bytes(worker) - before < 4 * MIB


# Ping and pong


@pytest.mark.parametrize("payload", [b"", b"hay", b"x" * 125])
def test_ping_is_answered_with_its_payload(pages: RunningServer, payload: bytes) -> None:
    """RFC 6455 5.5.3."""
    with WebSocketWire.open(pages, "/echo") as client:
        frame = client.send(PING, payload).read_frame()
        assert (frame.opcode, frame.payload, frame.is_final) == (PONG, payload, True)


def test_ping_is_answered_while_the_application_is_busy(pages: RunningServer) -> None:
    gate = new_name()
    with WebSocketWire.open(pages, f"/hold?gate={gate}") as client:
        read_note(pages, f"{gate}-arrived")
        client.send(BINARY, b"waits").send(PING, b"quick")
        assert client.read_frame().payload == b"quick"
        ask(pages, f"/open?{gate}")
        assert client.send_text("end").read_text() == "(1, 5)"


def test_pong_that_nobody_asked_for_is_ignored(pages: RunningServer) -> None:
    """RFC 6455 5.5.3."""
    with WebSocketWire.open(pages, "/echo") as client:
        assert client.send(PONG, b"unasked").send_text("hay").read_text() == "hay"


def test_server_asks_for_signs_of_life(hostler_server: StartServer, loop: str) -> None:
    """A client that answers stays connected, for many intervals."""
    server = hostler_server(PAGES, *asgi_options(loop, "--websocket-ping-interval", "50ms"))
    with WebSocketWire.open(server, "/echo") as client:
        for _ in range(5):
            frame = client.read_frame()
            assert frame.opcode == PING
            client.send(PONG, frame.payload)
        client.send_text("hay")
        frames = iter(client.read_frame, None)
        assert next(frame for frame in frames if frame.opcode == TEXT).payload == b"hay"


def test_client_that_gives_no_sign_of_life_is_closed(hostler_server: StartServer, loop: str) -> None:
    """The application is told; the descriptor is closed."""
    timing = ("--websocket-ping-interval", "50ms", "--websocket-ping-timeout", "100ms")
    server = hostler_server(PAGES, *asgi_options(loop, *timing))
    name = new_name()
    with WebSocketWire.open(server, f"/echo?note={name}") as client:
        assert read_literal(read_note(server, name))["code"] in {1006, 1011}
        frames = list(read_frames(client))
        assert frames[0].opcode == PING
        assert all(frame.opcode in {PING, CLOSE} for frame in frames)


def test_client_that_falls_silent_within_a_frame_is_closed(hostler_server: StartServer, loop: str) -> None:
    timing = ("--websocket-ping-interval", "50ms", "--websocket-ping-timeout", "100ms")
    server = hostler_server(PAGES, *asgi_options(loop, *timing))
    name = new_name()
    with WebSocketWire.open(server, f"/echo?note={name}") as client:
        client.wire.send(build_frame(TEXT, b"half of it")[:9])
        assert read_literal(read_note(server, name))["code"] in {1006, 1011}
        list(read_frames(client))


def read_frames(client: WebSocketWire) -> Iterator[Any]:
    """The frames until the connection ends."""
    try:
        while True:
            yield client.read_frame()
    except (BrokenAnswerError, ConnectionResetError):
        return


# Endings


@pytest.mark.parametrize(
    "code, reason, told",
    [
        (1000, "", (1000, "")),
        (1000, "that was all", (1000, "that was all")),
        (1001, "going away", (1001, "going away")),
        (3000, "registered", (3000, "registered")),
        (4999, "ä" * 61, (4999, "ä" * 61)),
        (None, "", (1005, "")),
    ],
)
def test_end_by_the_client_is_told_with_code_and_reason(
    pages: RunningServer, code: int | None, reason: str, told: tuple[int, str]
) -> None:
    """ASGI "Disconnect"; RFC 6455 5.5.1: the code is echoed; 7.1.1: the server closes first."""
    name = new_name()
    with WebSocketWire.open(pages, f"/echo?note={name}") as client:
        client.send_close(code, reason)
        assert client.read_close().code == code
        client.wire.assert_ended()
    event = read_literal(read_note(pages, name))
    assert (event["type"], event["code"], event.get("reason") or "") == (DISCONNECT, *told)


@pytest.mark.parametrize("sent", [b"", build_frame(TEXT, b"half of it")[:9], build_frame(TEXT, b"one", final=False)])
@pytest.mark.parametrize("vanish", [Wire.close, Wire.reset])
def test_client_that_vanishes_is_told_as_abnormal(
    pages: RunningServer, sent: bytes, vanish: Callable[[Wire], None]
) -> None:
    """RFC 6455 7.1.5: without a close frame the code is 1006."""
    name = new_name()
    client = WebSocketWire.open(pages, f"/echo?note={name}")
    client.wire.send(sent)
    vanish(client.wire)
    event = read_literal(read_note(pages, name))
    assert (event["type"], event["code"], event.get("reason") or "") == (DISCONNECT, 1006, "")


def test_conversation_is_told_and_never_cancelled(hostler_server: StartServer, loop: str) -> None:
    """What cancels the calls of requests does not cancel those of WebSockets: they are told by an event."""
    server = hostler_server(PAGES, *asgi_options(loop, "--http-cancel-on-disconnect"))
    name = new_name()
    client = WebSocketWire.open(server, f"/echo?note={name}")
    client.wire.reset()
    assert read_literal(read_note(server, name))["code"] == 1006


def test_client_that_goes_before_it_was_accepted_is_told_as_gone(pages: RunningServer) -> None:
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_handshake(f"/before-accept?note={name}"))
        read_note(pages, f"{name}-arrived")
    assert read_literal(read_note(pages, name))["type"] == DISCONNECT


def test_end_is_told_again_and_sending_fails_after_it(pages: RunningServer) -> None:
    """ASGI "Disconnect" 2.4: a subclass of OSError."""
    name = new_name()
    with WebSocketWire.open(pages, f"/twice?note={name}") as client:
        client.send_close(1000)
        client.read_close()
    first, second, outcome = read_literal(read_note(pages, name))
    assert first["type"] == second["type"] == DISCONNECT
    assert outcome == "OSError"


@pytest.mark.parametrize(
    "message, code, reason",
    [
        ({}, 1000, ""),
        ({"code": 1000, "reason": None}, 1000, ""),
        ({"code": 1001, "reason": "closing time"}, 1001, "closing time"),
        ({"code": 1013}, 1013, ""),
        ({"code": 3003, "reason": "ä" * 61}, 3003, "ä" * 61),
        ({"code": 4000, "reason": "mine"}, 4000, "mine"),
        # RFC 6455 5.5: a control frame has room for 123 bytes of it; no letter is divided.
        ({"code": 4000, "reason": "x" + "ä" * 62}, 4000, "x" + "ä" * 61),
    ],
    ids=str,
)
def test_end_by_the_application_is_told_with_code_and_reason(
    pages: RunningServer, message: dict[str, object], code: int, reason: str
) -> None:
    """ASGI "Close"."""
    name = new_name()
    target = ws_script([{"type": "websocket.accept"}, {"type": "websocket.close", **message}], name)
    with WebSocketWire.open(pages, target) as client:
        frame = client.read_close()
        assert (frame.code, frame.reason) == (code, reason)
        client.finish_close(frame)
    assert read_literal(read_note(pages, f"{name}-end"))["type"] == DISCONNECT


def test_messages_before_the_end_arrive_before_it(pages: RunningServer) -> None:
    with dial(pages, "/burst?count=50") as client:
        for _ in range(50):
            assert len(client.recv(PATIENCE)) == 65_536
        assert closed(client) == (1000, "")


def test_client_that_does_not_answer_the_end_is_cut_off(hostler_server: StartServer, loop: str) -> None:
    """RFC 6455 7.1.1 lets the server wait, but not for ever."""
    server = hostler_server(PAGES, *asgi_options(loop, "--websocket-close-timeout", "200ms"))
    (worker,) = server.children()
    ask(server, "/ignore")
    before = count_descriptors(worker)
    with WebSocketWire.open(server, ws_script([{"type": "websocket.accept"}, {"type": "websocket.close"}])) as client:
        client.read_close()
        client.wire.assert_ended(reset_allowed=True)
    wait_until(lambda: count_descriptors(worker) <= before, f"{before} descriptors as before")


def test_application_that_returns_has_closed(pages: RunningServer) -> None:
    with dial(pages, "/return") as client:
        assert client.recv(PATIENCE) == "last words"
        assert closed(client)[0] == 1000


def test_application_that_fails_closes_with_1011(pages: RunningServer) -> None:
    """RFC 6455 7.4.1: the traceback is in the log, once, and not in the reason."""
    seen = pages.stderr.text.count("LookupError: in a conversation")
    with dial(pages, "/fail") as client:
        client.send("go")
        code, reason = closed(client)
    assert code == 1011
    assert "LookupError" not in reason
    log = pages.stderr.wait_for("LookupError: in a conversation", count=seen + 1)
    assert log.count("LookupError: in a conversation") == seen + 1
    assert "[request " in log


@pytest.mark.parametrize("path", ["/fail-before-accept", "/return-before-accept"])
def test_application_that_ends_before_it_accepts_is_a_500(pages: RunningServer, path: str) -> None:
    with Wire.to(pages) as wire:
        assert wire.send(build_handshake(path)).read_answer().status == 500
    if "fail" in path:
        pages.stderr.wait_for("LookupError: before a conversation")
    else:
        pages.stderr.wait_for("websocket.accept")


# Frames that nobody may send

FRAGMENT = build_frame(TEXT, b"begun", final=False)


def close_frame(payload: bytes) -> bytes:
    return build_frame(CLOSE, payload)


BAD: dict[str, tuple[bytes, set[int]]] = {
    "unmasked": (build_frame(TEXT, b"bare", mask=None), {1002}),
    "rsv-1": (build_frame(TEXT, b"x", rsv=4), {1002}),
    "rsv-2": (build_frame(TEXT, b"x", rsv=2), {1002}),
    "rsv-3": (build_frame(TEXT, b"x", rsv=1), {1002}),
    **{f"opcode-{opcode:x}": (build_frame(opcode, b"x"), {1002}) for opcode in (*range(3, 8), *range(0xB, 0x10))},
    "fragmented-ping": (build_frame(PING, b"x", final=False), {1002}),
    "fragmented-close": (build_frame(CLOSE, b"", final=False), {1002}),
    "long-ping": (build_frame(PING, b"x" * 126), {1002}),
    "long-close": (close_frame(b"\x03\xe8" + b"x" * 124), {1002}),
    "continuation-of-nothing": (build_frame(CONTINUATION, b"x"), {1002}),
    "message-within-a-message": (FRAGMENT + build_frame(TEXT, b"x"), {1002}),
    "binary-within-a-message": (FRAGMENT + build_frame(BINARY, b"x", final=False), {1002}),
    "length-in-two-bytes-for-one": (struct.pack(">BBH", 0x81, 0x80 | 126, 5) + b"\0\0\0\0hello", {1002}),
    "length-in-eight-bytes-for-two": (struct.pack(">BBQ", 0x82, 0x80 | 127, 200) + bytes(204), {1002}),
    "length-beyond-63-bits": (struct.pack(">BBQ", 0x82, 0x80 | 127, 1 << 63) + bytes(4), {1002, 1009}),
    "close-of-one-byte": (close_frame(b"\x03"), {1002}),
    **{
        f"close-{code}": (close_frame(struct.pack(">H", code)), {1002})
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
    },
    "close-reason-not-utf-8": (close_frame(b"\x03\xe8\xff"), {1002, 1007}),
    "text-not-utf-8": (build_frame(TEXT, b"hay \xff"), {1007}),
    "text-overlong": (build_frame(TEXT, b"\xc0\xaf"), {1007}),
    "text-surrogate": (build_frame(TEXT, b"\xed\xa0\x80"), {1007}),
    "text-beyond-unicode": (build_frame(TEXT, b"\xf4\x90\x80\x80"), {1007}),
    "text-cut-short": (build_frame(TEXT, "☂".encode()[:2]), {1007}),
    "text-fragments-not-utf-8": (FRAGMENT + build_frame(CONTINUATION, b"\xe2\x98"), {1007}),
    "oversize": (struct.pack(">BBQ", 0x82, 0x80 | 127, 1 << 40) + bytes(4), {1009}),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("how", ["whole", "bytewise"])
def test_bad_frame_closes_with_its_code(pages: RunningServer, case: str, how: str) -> None:
    """RFC 6455 5, 7.4.1, 8.1: the code says what was wrong; the application is told, and nothing of it as a message."""
    raw, codes = BAD[case]
    name = new_name()
    with WebSocketWire.open(pages, f"/echo?note={name}") as client:
        if how == "whole":
            client.wire.send(raw)
        else:
            for index in range(len(raw)):
                try:
                    client.wire.send(raw[index : index + 1])
                except ConnectionError:
                    break  # it was refused before its end
        assert client.read_close().code in codes
        client.wire.assert_ended(reset_allowed=True)
    event = read_literal(read_note(pages, name))
    assert event["type"] == DISCONNECT
    assert event["code"] in codes | {1006}


def test_bad_frame_behind_good_ones_takes_nothing_back(pages: RunningServer) -> None:
    with WebSocketWire.open(pages, "/echo") as client:
        client.wire.send(build_frame(TEXT, b"one") + build_frame(TEXT, b"two") + build_frame(3, b"bad"))
        frames = list(read_frames(client))
    assert [frame.payload for frame in frames[:-1]] in ([b"one", b"two"], [b"one"], [])
    assert frames[-1].code == 1002


def test_nothing_is_read_after_the_end(pages: RunningServer) -> None:
    """RFC 6455 5.5.1: data after a close frame is none."""
    name = new_name()
    with WebSocketWire.open(pages, f"/echo?note={name}") as client:
        client.wire.send(close_frame(b"\x03\xe8") + build_frame(TEXT, b"afterthought"))
        assert client.read_close().code == 1000
        client.wire.assert_ended(reset_allowed=True)
    assert read_literal(read_note(pages, name))["code"] == 1000


def test_data_that_crosses_the_server_s_end_does_no_harm(pages: RunningServer) -> None:
    """RFC 6455 5.5.1: the client may still be sending when the server's close frame is under way."""
    with WebSocketWire.open(pages, ws_script([{"type": "websocket.accept"}, {"type": "websocket.close"}])) as client:
        client.send_text("crossing").send(PING, b"crossing")
        frame = client.read_frame()
        while frame.opcode != CLOSE:
            frame = client.read_frame()
        client.finish_close(frame)


# Limits


def test_message_up_to_the_limit_is_taken(small: RunningServer) -> None:
    with dial(small, "/sizes") as client:
        client.send("x" * 1000)
        assert client.recv(PATIENCE) == "('text', 1000)"
        client.send([b"x" * 400, b"x" * 400, b"x" * 200])
        assert client.recv(PATIENCE) == "('bytes', 1000)"


@pytest.mark.parametrize(
    "raw",
    [
        build_frame(TEXT, b"x" * 1001),
        build_frame(TEXT, b"x" * 1001)[:8],
        build_frame(BINARY, b"x" * 600, final=False) + build_frame(CONTINUATION, b"x" * 401),
        build_frame(BINARY, b"x" * 600, final=False) + build_frame(CONTINUATION, b"x" * 401)[:8],
    ],
    ids=["whole", "announced", "fragments", "announced-fragment"],
)
def test_message_beyond_the_limit_closes_with_1009(small: RunningServer, raw: bytes) -> None:
    """RFC 6455 7.4.1: as soon as its length is known."""
    name = new_name()
    with WebSocketWire.open(small, f"/echo?note={name}") as client:
        client.wire.send(raw)
        assert client.read_close().code == 1009
        client.wire.assert_ended(reset_allowed=True)
    assert read_literal(read_note(small, name))["code"] in {1006, 1009}


def test_messages_that_nobody_takes_hold_the_client_back(small: RunningServer) -> None:
    """Back-pressure: two wait with us, the rest with the kernels; none is lost when they are taken."""
    gate = new_name()
    (worker,) = small.children()
    before = resident_bytes(worker)
    frame = build_frame(BINARY, b"x" * 1000)
    with WebSocketWire.open(small, f"/hold?gate={gate}") as client:
        read_note(small, f"{gate}-arrived")
        sent = fill(client.wire.stream, frame, 64 * MIB)
        assert sent < 32 * MIB, "nothing held the client back"
        assert resident_bytes(worker) - before < 2 * MIB
        ask(small, f"/open?{gate}")
        client.wire.stream.settimeout(PATIENCE)
        # The frame that was cut by the full buffer, if one was.
        client.wire.send(frame[sent % len(frame) :] if sent % len(frame) else b"")
        client.send_text("end")
        count = -(-sent // len(frame))
        assert client.read_text() == repr((count, count * 1000))


def fill(stream: socket.socket, frame: bytes, at_most: int) -> int:
    """Send frames until nobody takes more for a while; return how many bytes were taken."""
    block = frame * 64
    sent = 0
    stream.setblocking(False)
    while sent < at_most and select.select([], [stream], [], 0.3)[1]:
        sent += stream.send(block[sent % len(frame) :])
    return sent


def test_client_that_never_reads_holds_the_application_back(pages: RunningServer) -> None:
    """Memory stays bounded, and the application learns of the client's end."""
    name = new_name()
    (worker,) = pages.children()
    before = resident_bytes(worker)
    client = WebSocketWire.open(pages, f"/pour?note={name}")
    assert int(read_note(pages, name)) < 16 * MIB
    assert resident_bytes(worker) - before < 8 * MIB
    client.wire.reset()
    assert read_note(pages, f"{name}-end") == "OSError"


def test_client_that_ends_without_reading_is_let_go(hostler_server: StartServer, loop: str) -> None:
    """Its close frame comes through, while ours cannot: the application must not hang in send()."""
    server = hostler_server(PAGES, *asgi_options(loop, "--websocket-close-timeout", "300ms"))
    name = new_name()
    with WebSocketWire.open(server, f"/pour?note={name}") as client:
        read_note(server, name)
        client.send_close(1000)
        assert read_note(server, f"{name}-end") == "OSError"


def test_many_conversations_go_on_at_once(pages: RunningServer) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(WebSocketWire.open(pages, "/echo")) for _ in range(100)]
        for turn in range(5):
            for number, client in enumerate(clients):
                client.send_text(f"{turn} {number}")
            for number, client in enumerate(clients):
                assert client.read_text() == f"{turn} {number}"


# Wrong messages of the application

ACCEPT = {"type": "websocket.accept"}
CLOSED = {"type": "websocket.close"}
SEND = {"type": "websocket.send", "text": "hay"}

WRONG_BEFORE: dict[str, tuple[list[object], tuple[str, ...]]] = {
    "send-first": ([SEND], ("websocket.send", "websocket.accept")),
    "unknown": ([{"type": "websocket.agree"}], ("websocket.agree", "websocket.accept")),
    "http-type": ([{"type": "http.response.start", "status": 200}], ("http.response.start", "websocket.accept")),
    "no-type": ([{"text": "hay"}], ("type",)),
    "list": ([["websocket.accept"]], ("dict", "list")),
    "subprotocol-bytes": ([{**ACCEPT, "subprotocol": b"chat"}], ("websocket.accept", "subprotocol", "str", "bytes")),
    "headers-str": ([{**ACCEPT, "headers": [("x-a", "1")]}], ("websocket.accept", "x-a", "bytes", "str")),
    "headers-crlf": ([{**ACCEPT, "headers": [(b"x-a", b"1\r\nx-injected: 1")]}], ("response header", "x-a")),
    "denial-body-first": ([{"type": "websocket.http.response.body"}], ("websocket.http.response.body",)),
    "denial-status-str": (
        [{"type": "websocket.http.response.start", "status": "401", "headers": []}],
        ("websocket.http.response.start", "status", "int", "str"),
    ),
}
WRONG_AFTER: dict[str, tuple[list[object], tuple[str, ...]]] = {
    "accept-twice": ([ACCEPT, ACCEPT], ("websocket.accept", "websocket.send")),
    "unknown": ([ACCEPT, {"type": "websocket.say"}], ("websocket.say", "websocket.send")),
    "http-type": ([ACCEPT, {"type": "http.response.body"}], ("http.response.body", "websocket.send")),
    "denial-after-accept": (
        [ACCEPT, {"type": "websocket.http.response.start", "status": 401, "headers": []}],
        ("websocket.http.response.start", "websocket.send"),
    ),
    "neither": ([ACCEPT, {"type": "websocket.send"}], ("websocket.send", "text", "bytes")),
    "both-none": ([ACCEPT, {**SEND, "text": None, "bytes": None}], ("websocket.send", "text", "bytes")),
    "text-bytes": ([ACCEPT, {**SEND, "text": b"hay"}], ("websocket.send", "text", "str", "bytes")),
    "text-surrogate": ([ACCEPT, {**SEND, "text": "\udc80"}], ("surrogates",)),
    "bytes-str": ([ACCEPT, {"type": "websocket.send", "bytes": "hay"}], ("websocket.send", "bytes", "str")),
    "code-str": ([ACCEPT, {**CLOSED, "code": "1000"}], ("websocket.close", "code", "int", "str")),
    **{
        f"code-{code}": ([ACCEPT, {**CLOSED, "code": code}], ("websocket.close", "code", str(code)))
        for code in (0, 999, 1005, 1006, 1015, 5000, 70_000)
    },
    "reason-bytes": ([ACCEPT, {**CLOSED, "reason": b"bye"}], ("websocket.close", "reason", "str", "bytes")),
    "list": ([ACCEPT, ["websocket.send"]], ("dict", "list")),
}


@pytest.mark.parametrize("case", WRONG_BEFORE)
def test_mistake_before_the_handshake_is_named_and_becomes_a_500(pages: RunningServer, case: str) -> None:
    messages, names = WRONG_BEFORE[case]
    note = new_name()
    with Wire.to(pages) as wire:
        answer = wire.send(build_handshake(ws_script(messages, note))).read_answer()
        assert answer.status == 500
        assert answer.value("x-injected") is None
    error = read_note(pages, note)
    assert [name for name in names if name not in error] == [], error


@pytest.mark.parametrize("case", WRONG_AFTER)
def test_mistake_in_a_conversation_is_named_and_closes_with_1011(pages: RunningServer, case: str) -> None:
    messages, names = WRONG_AFTER[case]
    note = new_name()
    with WebSocketWire.open(pages, ws_script(messages, note)) as client:
        assert client.read_close().code == 1011
    error = read_note(pages, note)
    assert [name for name in names if name not in error] == [], error


@pytest.mark.parametrize("message", [SEND, CLOSED], ids=["send", "close"])
def test_message_after_the_end_is_an_error_that_names_it(pages: RunningServer, message: object) -> None:
    note = new_name()
    with WebSocketWire.open(pages, ws_script([ACCEPT, CLOSED, message], note)) as client:
        client.finish_close(client.read_close())
    assert read_note(pages, note) != "sent"


@pytest.mark.parametrize("case", ["neither", "text-bytes", "code-999", "unknown"])
def test_application_that_catches_the_error_may_go_on(pages: RunningServer, case: str) -> None:
    messages, _ = WRONG_AFTER[case]
    with dial(pages, ws_script(messages, rescue=(SEND, CLOSED))) as client:
        assert client.recv(PATIENCE) == "hay"
        assert closed(client) == (1000, "")
