"""`receive()`: the request's body while it arrives, and the end of the client (ASGI "Request", "Disconnect")."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.asgi_ask import PAGES, ask, new_name, read_literal, read_note
from tests.conformance.wire import Wire, build_chunked, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, StartServer, start_server
from tests.e2e.vitals import MIB, resident_bytes

# How clients go.
VANISH: dict[str, Callable[[Wire], None]] = {"close": Wire.close, "reset": Wire.reset}
every_end = pytest.mark.parametrize("vanish", VANISH.values(), ids=VANISH.keys())
# The application learns of the end by its messages: nothing interrupts it.
TELLS = ("--no-http-cancel-on-disconnect",)


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pages(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop, *TELLS)) as server:
        yield server


# Bodies


@pytest.mark.parametrize(
    "request_bytes",
    [
        build_request("GET", "/events"),
        build_request("POST", "/events", ["Content-Length: 0"]),
        build_request("POST", "/events", ["Transfer-Encoding: chunked"]) + b"0\r\n\r\n",
        b"GET /events HTTP/1.0\r\n\r\n",
    ],
    ids=["none", "length-0", "no-chunk", "http-1.0"],
)
def test_request_without_a_body_is_one_empty_event(pages: RunningServer, request_bytes: bytes) -> None:
    with Wire.to(pages) as wire:
        events = read_literal(wire.send(request_bytes).read_answer().body)
    assert events == [{"type": "http.request", "body": b"", "more_body": False}]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [1, 1000, 70_000])
def test_body_is_the_sum_of_its_events(pages: RunningServer, framing: str, size: int) -> None:
    body = bytes(range(250)) * (size // 250 + 1)
    request = (
        build_request("POST", "/events", [], body[:size])
        if framing == "length"
        else build_request("POST", "/events", ["Transfer-Encoding: chunked"]) + build_chunked(body[:size], 997)
    )
    with Wire.to(pages) as wire:
        events = read_literal(wire.send(request).read_answer().body)
    assert b"".join(event["body"] for event in events) == body[:size]
    assert [event["more_body"] for event in events] == [True] * (len(events) - 1) + [False]
    assert all(event.keys() == {"type", "body", "more_body"} and event["type"] == "http.request" for event in events)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_each_part_is_there_as_soon_as_it_is_sent(pages: RunningServer, framing: str) -> None:
    """The application answers each part before the client sends the next: nothing is held back."""
    field = "Content-Length: 15" if framing == "length" else "Transfer-Encoding: chunked"
    parts = [b"%03d" % number for number in range(5)]
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", "/each", [field]))
        wire.send(parts[0] if framing == "length" else b"3\r\n%b\r\n" % parts[0])
        status, fields = wire.read_head()
        assert status == 200
        assert wire.read_exactly(8) == b"3\r\n%b\r\n" % parts[0]
        for part in parts[1:]:
            wire.send(part if framing == "length" else b"3\r\n%b\r\n" % part)
            assert wire.read_exactly(8) == b"3\r\n%b\r\n" % part
        if framing == "chunked":
            wire.send(b"0\r\n\r\n")
        assert wire.read_rest_of_chunks() == b""
        # An answer that was begun before the end of the request may be the last of its connection.
        if ("connection", "close") in fields:
            wire.assert_ended()
        else:
            assert wire.ask("GET", "/ignore").body == b"ignored"


def test_body_that_comes_byte_by_byte_is_whole(pages: RunningServer) -> None:
    body = bytes(range(200))
    with Wire.to(pages) as wire:
        wire.send_bytewise(build_request("POST", "/events", [], body))
        events = read_literal(wire.read_answer().body)
    assert b"".join(event["body"] for event in events) == body


def test_client_that_waits_is_told_to_go_on_when_the_body_is_asked_for(pages: RunningServer) -> None:
    """RFC 9110 10.1.1."""
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", "/events", ["Expect: 100-continue", "Content-Length: 4"]))
        assert wire.read_head()[0] == 100
        wire.send(b"body")
        assert wire.read_answer().body.count(b"b'body'") == 1


def test_client_that_waits_is_not_told_to_go_on_for_a_body_nobody_asks_for(pages: RunningServer) -> None:
    """RFC 9110 10.1.1: a final status instead. A client that sends the body all the same is not misunderstood."""
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", "/ignore", ["Expect: 100-continue", "Content-Length: 4"]))
        answer = wire.read_answer()
        assert (answer.body, answer.interim) == (b"ignored", ())
        if not answer.closes:
            wire.send(b"body")
            assert wire.ask("GET", "/ignore").body == b"ignored"


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [10, 50_000])
def test_body_that_nobody_reads_is_not_the_next_request(pages: RunningServer, framing: str, size: int) -> None:
    """RFC 9112 9.3: it is read and dropped, or the connection ends."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" * (size // 30 + 1)
    request = (
        build_request("POST", "/ignore", [], body)
        if framing == "length"
        else build_request("POST", "/ignore", ["Transfer-Encoding: chunked"]) + build_chunked(body, 1000)
    )
    with Wire.to(pages) as wire:
        wire.send(request + build_request("GET", "/first"))
        answer = wire.read_answer()
        assert answer.body == b"ignored"
        if not answer.closes:
            assert wire.read_answer().body == repr({"type": "http.request", "body": b"", "more_body": False}).encode()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_body_takes_little_memory(pages: RunningServer, framing: str) -> None:
    """It is read while the application takes it, and no faster."""
    size = 64 * MIB
    (worker,) = pages.children()
    before = resident_bytes(worker)
    piece = b"x" * MIB
    field = f"Content-Length: {size}" if framing == "length" else "Transfer-Encoding: chunked"
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", "/count", [field]))
        for _ in range(size // MIB):
            wire.send(piece if framing == "length" else b"%x\r\n%b\r\n" % (MIB, piece))
        if framing == "chunked":
            wire.send(b"0\r\n\r\n")
        received, events, largest = read_literal(wire.read_answer().body)
    assert received == size
    assert events > 10
    assert largest <= MIB
    assert resident_bytes(worker) - before < 16 * MIB


def test_body_beyond_the_limit_is_refused(hostler_server: StartServer, loop: str) -> None:
    """RFC 9110 15.5.14: at once where the length is announced, and where the chunks exceed it otherwise."""
    server = hostler_server(PAGES, *asgi_options(loop, "--limits-body-size", "1000", *TELLS))
    with Wire.to(server) as wire:
        answer = wire.ask("POST", "/count", (), b"x" * 1001)
        assert (answer.status, answer.closes) == (413, True)
    with Wire.to(server) as wire:
        wire.send(build_request("POST", "/count", ["Transfer-Encoding: chunked"]) + build_chunked(b"x" * 1001, 500))
        assert wire.read_answer().status == 413
    assert ask(server, "/count", "POST", (), b"x" * 1000).status == 200


def test_bad_chunk_in_a_body_never_looks_like_its_end(pages: RunningServer) -> None:
    """RFC 9112 8: the body is incomplete. The application is told that the client is gone, or nothing."""
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", "/count", ["Transfer-Encoding: chunked"]) + b"3\r\nabc\r\nnonsense\r\n")
        answer = wire.read_answer()
        assert (answer.status, answer.closes) == (400, True)
    assert ask(pages, "/ignore").status == 200


def test_waiting_that_is_given_up_loses_nothing_of_the_body(pages: RunningServer) -> None:
    """A timeout around receive() cancels it; the event goes to the next call."""
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", f"/cancelled-receive?note={name}", ["Content-Length: 9"]) + b"one")
        read_note(pages, name)
        wire.send(b"two")
        wire.send(b"end")
        assert read_literal(wire.read_answer().body) == (True, b"onetwoend")


# The end of the client


def test_disconnect_follows_a_complete_answer(pages: RunningServer) -> None:
    """ASGI "Disconnect": sent once the response was sent, too; and again for whoever asks again."""
    name = new_name()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", f"/after?note={name}").body == b"whole"
        assert read_literal(read_note(pages, name)) == [{"type": "http.disconnect"}] * 2
        assert wire.ask("GET", "/ignore").body == b"ignored"


@every_end
def test_application_that_waits_learns_that_its_client_has_gone(
    pages: RunningServer, vanish: Callable[[Wire], None]
) -> None:
    """ASGI "Disconnect"; from 2.4 on, sending raises a subclass of OSError."""
    name = new_name()
    wire = Wire.to(pages)
    wire.send(build_request("GET", f"/watch?note={name}"))
    read_note(pages, f"{name}-arrived")
    vanish(wire)
    events, outcome = read_literal(read_note(pages, name))
    assert events == ["http.request", "http.disconnect", "http.disconnect"]
    assert outcome.startswith("OSError: "), "sending to nobody succeeded"


@every_end
def test_application_that_streams_learns_that_its_client_has_gone(
    pages: RunningServer, vanish: Callable[[Wire], None]
) -> None:
    name = new_name()
    wire = Wire.to(pages)
    wire.send(build_request("GET", f"/watch-streaming?note={name}"))
    assert wire.read_head()[0] == 200
    vanish(wire)
    assert read_note(pages, name).startswith("OSError: ")


@every_end
def test_application_that_only_sends_learns_that_its_client_has_gone(
    pages: RunningServer, vanish: Callable[[Wire], None]
) -> None:
    """ASGI "Disconnect" 2.4: without ever asking."""
    name = new_name()
    wire = Wire.to(pages)
    wire.send(build_request("GET", f"/pour?note={name}"))
    assert wire.read_head()[0] == 200
    vanish(wire)
    assert read_note(pages, name) == "OSError"


def test_client_that_goes_within_its_body_is_told_as_gone(pages: RunningServer) -> None:
    name = new_name()
    wire = Wire.to(pages)
    wire.send(build_request("POST", f"/watch?note={name}", ["Content-Length: 100"]) + b"half")
    read_note(pages, f"{name}-arrived")
    wire.close()
    events, outcome = read_literal(read_note(pages, name))
    assert events[-1] == "http.disconnect"
    assert outcome.startswith("OSError: ")


def test_end_of_a_client_is_no_error_in_the_log(hostler_server: StartServer, loop: str) -> None:
    """An application that lets the OSError pass has done nothing wrong."""
    server = hostler_server(PAGES, *asgi_options(loop, *TELLS))
    name = new_name()
    wire = Wire.to(server)
    wire.send(build_request("GET", f"/pour?note={name}"))
    assert wire.read_head()[0] == 200
    wire.reset()
    assert read_note(server, name) == "OSError"
    # A real error has been logged since, so that what was to be logged has been.
    assert ask(server, "/fail").status == 500
    log = server.stderr.wait_for("LookupError: before the answer")
    assert log.count("Traceback") == 1
    assert "/pour" not in log


def test_half_closed_client_gets_its_answer(pages: RunningServer) -> None:
    """RFC 9112 9.6: the end of its sending is not the end of its reading."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", "/large?count=20")).finish()
        assert len(wire.read_answer().body) == 20 * 65_536
        wire.assert_ended()


def test_listener_beside_the_answer_is_not_told_of_an_end_that_is_none(pages: RunningServer) -> None:
    """Starlette listens for the end in a task beside the one that streams, and cancels it afterwards."""
    name = new_name()
    with Wire.to(pages) as wire:
        for _ in range(3):
            assert wire.ask("GET", f"/two-receivers?note={name}").body == b"piece piece piece "
    read_note(pages, f"{name}-cancelled")


def test_next_request_on_the_wire_is_no_end_of_the_client(pages: RunningServer) -> None:
    """Bytes of a pipelined request arrive while the application listens for the end."""
    gate = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/wait?{gate}") + build_request("GET", "/ignore"))
        read_note(pages, f"{gate}-arrived")
        ask(pages, f"/open?{gate}")
        assert wire.read_answer().body == b"waited"
        assert wire.read_answer().body == b"ignored"
    assert read_note(pages, f"{gate}-ended") == "sent"


def test_task_that_is_left_behind_learns_of_the_end_and_takes_nothing_from_the_next_request(
    pages: RunningServer,
) -> None:
    name = new_name()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", f"/orphan?note={name}").body == b"whole"
        assert read_literal(wire.ask("POST", "/count", (), b"x" * 1000).body)[0] == 1000
    assert read_literal(read_note(pages, name)) == {"type": "http.disconnect"}


def test_calls_can_be_awaited_in_all_ways_that_coroutines_can(pages: RunningServer) -> None:
    """By create_task, wait_for, gather, shield: a server's receive() and send() are coroutine functions by custom."""
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", f"/as-tasks?note={name}", ["Content-Length: 12"]))
        for size, part in enumerate((b"one", b"two", b"six", b"ten"), 1):
            wire.send(part)
            if size < 4:
                read_note(pages, f"{name}-{3 * size}")
        assert wire.read_answer().body == b"onetwosixten and more end"


def test_body_that_stops_coming_is_answered_408(hostler_server: StartServer, loop: str) -> None:
    """RFC 9110 15.5.9. The application is told that its client is gone; what it makes of that is not the answer."""
    server = hostler_server(PAGES, *asgi_options(loop, "--http-body-timeout", "200ms", *TELLS))
    with Wire.to(server) as wire:
        wire.send(build_request("POST", "/count", ["Content-Length: 100"]) + b"half")
        answer = wire.read_answer()
        assert (answer.status, answer.closes) == (408, True)
        wire.assert_ended(reset_allowed=True)


def test_body_can_be_buffered_before_the_application_is_called(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(PAGES, *asgi_options(loop, "--http-request-body", "buffer"))
    name = new_name()
    with Wire.to(server) as wire:
        wire.send(build_request("POST", f"/wait?{name}", ["Content-Length: 200000"]) + b"x" * 199_999)
        # Requests of others are served meanwhile; ours has not begun.
        assert ask(server, "/ignore").body == b"ignored"
        ask(server, f"/open?{name}")
        wire.send(b"x")
        assert wire.read_answer().body == b"waited"
        assert read_literal(wire.ask("POST", "/count", (), b"x" * 200_000).body)[0] == 200_000


# Cancelling

CANCELS = ("--http-cancel-on-disconnect",)


@every_end
def test_call_is_cancelled_where_that_is_asked_for(
    hostler_server: StartServer, loop: str, vanish: Callable[[Wire], None]
) -> None:
    server = hostler_server(PAGES, *asgi_options(loop, *CANCELS))
    gate = new_name()
    wire = Wire.to(server)
    wire.send(build_request("GET", f"/wait?{gate}"))
    read_note(server, f"{gate}-arrived")
    vanish(wire)
    assert read_note(server, f"{gate}-ended") == "CancelledError"
    assert ask(server, "/ignore").status == 200


@every_end
def test_call_is_not_cancelled_where_that_is_turned_off(pages: RunningServer, vanish: Callable[[Wire], None]) -> None:
    gate, other = new_name(), new_name()
    wire = Wire.to(pages)
    wire.send(build_request("GET", f"/wait?{gate}"))
    read_note(pages, f"{gate}-arrived")
    vanish(wire)
    # The end of another client has been seen since, so that ours has been seen as well.
    later = Wire.to(pages)
    later.send(build_request("GET", f"/watch?note={other}"))
    read_note(pages, f"{other}-arrived")
    later.reset()
    read_note(pages, other)
    ask(pages, f"/open?{gate}")
    assert read_note(pages, f"{gate}-ended") != "CancelledError"


def test_what_is_done_after_the_answer_is_not_cancelled_with_the_client(hostler_server: StartServer, loop: str) -> None:
    """Background tasks of frameworks run in the same call; their client has what it came for."""
    server = hostler_server(PAGES, *asgi_options(loop, *CANCELS))
    gate, other = new_name(), new_name()
    with Wire.to(server) as wire:
        assert wire.ask("GET", f"/background?{gate}").body == b"whole"
        wire.reset()
    with Wire.to(server) as wire:
        wire.send(build_request("GET", f"/wait?{other}"))
        read_note(server, f"{other}-arrived")
        wire.reset()
    read_note(server, f"{other}-ended")
    ask(server, f"/open?{gate}")
    assert read_note(server, f"{gate}-ended") == "went on"


def test_client_that_goes_in_the_middle_cuts_nobody_else_s_answer(pages: RunningServer) -> None:
    gate = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/pieces?gate={gate}"))
        for vanish in VANISH.values():
            other = Wire.to(pages)
            other.send(build_request("GET", "/large?count=1000"))
            assert other.read_head()[0] == 200
            vanish(other)
        ask(pages, f"/open?{gate}")
        assert wire.read_answer().body == b"firstsecondthird"
