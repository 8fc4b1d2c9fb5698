"""`wsgi.input` (PEP 3333 "Input and Error Streams"), with the body in memory, in a file or on its way; `Expect`."""

from __future__ import annotations

import contextlib
import io
import json
import uuid
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.apps.pages import run_operations
from tests.conformance.conftest import PAGES
from tests.conformance.test_wsgi import ask, read_note
from tests.conformance.wire import BrokenAnswerError, Wire, build_chunked, build_request
from tests.e2e.harness import RunningServer, StartServer

_SIZES = st.one_of(
    st.none(), st.integers(-2, 40), st.integers(60_000, 70_000), st.sampled_from([2**31, 2**63 - 1, -(2**63)])
)
_OPERATION = st.one_of(
    st.tuples(st.sampled_from(["read", "readline", "readlines"]), _SIZES).map(list),
    st.sampled_from([["read"], ["readline"], ["readlines"], ["next"]]),
)
_PIECE = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"line\n", b"x" * 1000, b"y" * 65_535, b"z" * 70_000 + b"\n"]),
)
_BODY = st.lists(_PIECE, max_size=6).map(b"".join)


def new_name() -> str:
    return uuid.uuid4().hex


def apply(server: RunningServer, body: bytes, operations: list[list[Any]], chunk: int) -> list[Any]:
    """Send a body, in chunks of `chunk` bytes unless that is 0, and have the application read it so."""
    target = "/operations?" + quote(json.dumps(operations))
    request = build_request("POST", target, [], body)
    if chunk:
        request = build_request("POST", target, ["Transfer-Encoding: chunked"]) + build_chunked(body, chunk)
    with Wire.to(server) as wire:
        answer = wire.send(request).read_answer()
    assert answer.status == 200, server.log()
    results: list[Any] = json.loads(answer.body)
    return results


@pytest.mark.parametrize("kind", ["pages", "small", "streaming"])
@pytest.mark.parametrize("chunk", [0, 1000], ids=["length", "chunked"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_BODY, operations=st.lists(_OPERATION, max_size=8))
def test_input_reads_like_a_file(
    request: pytest.FixtureRequest, kind: str, chunk: int, body: bytes, operations: list[list[Any]]
) -> None:
    """PEP 3333: "same semantics as ... the Python Library Reference", whatever the size."""
    server: RunningServer = request.getfixturevalue(kind)
    assert apply(server, body, operations, chunk) == run_operations(io.BytesIO(body), operations)


BODIES = [b"", b"x", b"x" * 1024, b"x" * 1025, b"y" * 65_536, bytes(range(256)) * 3_000]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(len(body)))
@pytest.mark.parametrize("kind", ["pages", "small", "streaming"])
@pytest.mark.parametrize("chunk", [0, 999], ids=["length", "chunked"])
def test_body_arrives_whole(request: pytest.FixtureRequest, kind: str, body: bytes, chunk: int) -> None:
    """RFC 9112 6: in memory, in a file, or as it comes."""
    server: RunningServer = request.getfixturevalue(kind)
    with Wire.to(server) as wire:
        for _ in range(2):
            coded = build_request("POST", "/body", ["Transfer-Encoding: chunked"]) + build_chunked(body, chunk or 1)
            wire.send(coded if chunk else build_request("POST", "/body", [], body))
            answer = wire.read_answer()
            assert (answer.status, answer.body) == (200, body)


def test_lines_are_iterated(small: RunningServer) -> None:
    """PEP 3333: iteration gives lines, beyond the first too."""
    body = b"".join(b"a" * number + b"\n" for number in range(200)) + b"no end"
    with Wire.to(small) as wire:
        answer = wire.ask("POST", "/lines", [], body)
    assert json.loads(answer.body) == [*(number + 1 for number in range(200)), 6]


@pytest.mark.parametrize("kind", ["pages", "small"])
def test_unread_body_does_not_become_the_next_request(request: pytest.FixtureRequest, kind: str) -> None:
    """RFC 9112 9.3: the next request begins after the body, read or not."""
    server: RunningServer = request.getfixturevalue(kind)
    with Wire.to(server) as wire:
        body = build_request("GET", "/smuggled") * 100
        wire.send(build_request("POST", "/unread", [], body) + build_request("GET", "/list"))
        assert [wire.read_answer().body for _ in range(2)] == [b"not read", b"one two"]


def test_partly_read_streamed_body_closes_the_connection(streaming: RunningServer) -> None:
    """RFC 9112 9.3: or the connection is closed, and nothing of the body is taken for a request."""
    body = build_request("GET", "/smuggled") * 1000
    with Wire.to(streaming) as wire:
        head = build_request("POST", "/read-some?size=10", [f"Content-Length: {len(body) + 1}"])
        answer = wire.send(head + body).read_answer()
        assert (answer.body, answer.closes) == (body[:10], True)
        wire.assert_ended()


# Truncated bodies


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("kind", ["pages", "small"])
@pytest.mark.parametrize("size", [0, 10, 5000])
def test_truncated_body_never_reaches_the_application(
    request: pytest.FixtureRequest, kind: str, coded: bool, size: int
) -> None:
    """RFC 9112 8: an incomplete request is not processed; it is answered with 400."""
    server: RunningServer = request.getfixturevalue(kind)
    name = new_name()
    fields = ["Transfer-Encoding: chunked"] if coded else ["Content-Length: 6000"]
    sent = b"1770\r\n" + b"x" * size if coded else b"x" * size
    with Wire.to(server) as wire:
        wire.send(build_request("POST", f"/called?note={name}", fields) + sent).finish()
        answer = wire.read_answer()
        assert (answer.status, answer.closes) == (400, True)
    assert ask(server, f"/noted?{name}").body == b"no"


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("vanish", ["finish", "reset"])
def test_truncated_streamed_body_is_an_os_error(streaming: RunningServer, coded: bool, vanish: str) -> None:
    """PEP 3333 "Input and Error Streams" ends like a file; a body cut short is no end of file."""
    name = new_name()
    fields = ["Transfer-Encoding: chunked"] if coded else ["Content-Length: 6000"]
    with Wire.to(streaming) as wire:
        wire.send(build_request("POST", f"/called?note={name}", fields) + (b"1770\r\nsome" if coded else b"some"))
        assert read_note(streaming, name) == "called"
        getattr(wire, vanish)()
        streaming.stderr.wait_for("the client closed the connection before the request body was complete")
    assert "ConnectionResetError" in read_until(streaming, name, "Error")


def test_streamed_body_that_stalls_is_an_os_error(streaming: RunningServer) -> None:
    """A client that dribbles holds a thread no longer than the body timeout."""
    name = new_name()
    with Wire.to(streaming) as wire:
        answer = wire.send(build_request("POST", f"/body?note={name}", ["Content-Length: 10"]) + b"some").read_answer()
        assert (answer.status, answer.closes) == (500, True)
    assert read_note(streaming, name).startswith("TimeoutError: ")


def test_malformed_streamed_chunks_are_an_os_error(streaming: RunningServer) -> None:
    name = new_name()
    request = build_request("POST", f"/body?note={name}", ["Transfer-Encoding: chunked"])
    with Wire.to(streaming) as wire:
        # The head alone first, so that the application runs before the malformed part arrives.
        wire.send(request + b"4\r\nsome\r\n")
        wire.send(b"not a size\r\n\r\n")
        answer = wire.read_answer()
        assert answer.closes
        assert answer.status in {400, 500}
        wire.assert_ended()


def read_until(server: RunningServer, name: str, wanted: str) -> str:
    """Read a note that grows, until it has what is wanted."""
    for _ in range(1000):
        if wanted in (text := read_note(server, name)):
            return text
    raise AssertionError(f"the note {name} has no {wanted!r}")


def test_streamed_body_is_given_as_it_comes(streaming: RunningServer) -> None:
    """The application gets the first bytes before the last are sent."""
    with Wire.to(streaming) as wire:
        answer = wire.send(build_request("POST", "/read-some?size=4", ["Content-Length: 8"]) + b"half").read_answer()
        assert (answer.body, answer.closes) == (b"half", True)


@pytest.mark.parametrize("threads", ["1", "4"])
def test_answer_and_body_may_pass_each_other(hostler_server: StartServer, threads: str) -> None:
    """RFC 9112 9.3: an answer may begin before the body has ended; with one thread too, which then waits for itself."""
    server = hostler_server(PAGES, "--http-request-body", "stream", "--threads", threads)
    with Wire.to(server) as wire:
        wire.send(build_request("POST", "/duplex", ["Transfer-Encoding: chunked"]))
        for number in range(20):
            line = b"line %02d\n" % number
            wire.send(b"8\r\n" + line + b"\r\n")
            if number == 0:
                assert wire.read_head()[0] == 200
            assert wire.read_exactly(13) == b"8\r\n" + line + b"\r\n"
        wire.send(b"0\r\n\r\n")
        assert wire.read_rest_of_chunks() == b""


def test_client_is_held_back_while_the_application_does_not_read(hostler_server: StartServer) -> None:
    """A streamed body costs no more memory than its buffer and the kernel's."""
    server = hostler_server(PAGES, "--http-request-body", "stream", "--limits-body-size", "0")
    name, data, sent = new_name(), bytes(1 << 20), 0
    with Wire.to(server) as wire:
        wire.send(build_request("POST", f"/hold?note={name}", [f"Content-Length: {256 << 20}"]))
        wire.stream.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while sent < 256 << 20:
                sent += wire.stream.send(data)
        assert sent < 128 << 20
        wire.stream.settimeout(15)
        assert ask(server, f"/leave-note?note={name}").status == 204
        while sent < 256 << 20:
            sent += wire.stream.send(data[: (256 << 20) - sent])
        assert wire.read_answer().body == b"%d" % (256 << 20)


def test_buffered_body_is_complete_before_the_application_is_called(pages: RunningServer) -> None:
    """A slow client holds no thread."""
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", f"/called?note={name}", ["Content-Length: 8"]) + b"half")
        # Another request is answered after ours was looked at: both go through one reactor, in order.
        assert ask(pages, f"/noted?{name}").body == b"no"
        assert wire.send(b"half").read_answer().body == b"halfhalf"


# Limits


@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
def test_body_beyond_the_limit_is_refused(small: RunningServer, coded: bool) -> None:
    """RFC 9110 15.5.14."""
    name = new_name()
    body = b"x" * 1_048_577
    request = build_request("POST", f"/called?note={name}", [], body)
    if coded:
        head = build_request("POST", f"/called?note={name}", ["Transfer-Encoding: chunked"])
        request = head + build_chunked(body, 65_536)
    with Wire.to(small) as wire:
        answer = wire.send(request).read_answer()
        assert (answer.status, answer.closes) == (413, True)
    assert ask(small, f"/noted?{name}").body == b"no"


def test_body_at_the_limit_is_served(small: RunningServer) -> None:
    with Wire.to(small) as wire:
        assert len(wire.ask("POST", "/body", [], b"x" * 1_048_576).body) == 1_048_576


# Expect: 100-continue


def test_continue_is_sent_before_a_buffered_body(pages: RunningServer) -> None:
    """RFC 9110 10.1.1."""
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", "/body", ["Expect: 100-continue", "Content-Length: 4"]))
        assert wire.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert wire.send(b"body").read_answer().body == b"body"
        assert wire.ask("GET", "/list").interim == ()


def test_continue_is_left_out_when_the_body_is_there(pages: RunningServer) -> None:
    """RFC 9110 10.1.1: may be omitted once the content has begun to arrive."""
    with Wire.to(pages) as wire:
        answer = wire.ask("POST", "/body", ["Expect: 100-continue"], b"body")
        assert (answer.body, answer.interim) == (b"body", ())


def test_refusal_replaces_continue(small: RunningServer) -> None:
    """RFC 9110 10.1.1: a final status in its place spares the client the body."""
    with Wire.to(small) as wire:
        answer = wire.send(
            build_request("POST", "/body", ["Expect: 100-continue", "Content-Length: 1048577"])
        ).read_answer()
        assert (answer.status, answer.interim, answer.closes) == (413, (), True)


def test_continue_is_sent_when_a_streamed_body_is_first_read(streaming: RunningServer) -> None:
    """PEP 3333 "HTTP 1.1 Expect/Continue": when the application reads."""
    with Wire.to(streaming) as wire:
        wire.send(build_request("POST", "/body", ["Expect: 100-continue", "Content-Length: 4"]))
        assert wire.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert wire.send(b"body").read_answer().body == b"body"
        assert wire.ask("GET", "/list").body == b"one two"


def test_continue_is_never_sent_for_a_streamed_body_that_is_not_read(streaming: RunningServer) -> None:
    """RFC 9110 10.1.1: the final answer comes alone, and the connection cannot go on."""
    with Wire.to(streaming) as wire:
        wire.send(build_request("POST", "/unread", ["Expect: 100-continue", "Content-Length: 4"]))
        answer = wire.read_answer()
        assert (answer.body, answer.interim, answer.closes) == (b"not read", (), True)
        wire.assert_ended()


@pytest.mark.parametrize("kind", ["pages", "streaming"])
def test_continue_is_not_sent_to_http_1_0(request: pytest.FixtureRequest, kind: str) -> None:
    """RFC 9110 10.1.1: ignored from HTTP/1.0."""
    server: RunningServer = request.getfixturevalue(kind)
    with Wire.to(server) as wire:
        wire.send(b"POST /body HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        answer = wire.send(b"body").read_answer()
        assert (answer.status, answer.body, answer.interim) == (200, b"body", ())


def test_large_upload_behind_continue_arrives(small: RunningServer) -> None:
    with Wire.to(small) as wire:
        wire.send(build_request("POST", "/body", ["Expect: 100-continue", "Transfer-Encoding: chunked"]))
        assert wire.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        body = b"0123456789" * 50_000
        assert wire.send(build_chunked(body, 4096)).read_answer().body == body


def test_answer_is_broken_off_only_where_it_must(pages: RunningServer) -> None:
    """The raw client notices what is cut: or else every test here could pass on half an answer."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", "/fail-midstream?length=1000"))
        with pytest.raises(BrokenAnswerError):
            wire.read_answer()
