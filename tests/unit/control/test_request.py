"""The parser of requests on the control socket: what it takes, what it refuses, and that splits do not matter."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostler.control.request import MAX_BODY, MAX_HEAD, MAX_HEADERS, Request, RequestError, RequestParser

GET = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"


def parse_all(*chunks: bytes) -> list[Request]:
    parser, requests = RequestParser(), []
    for chunk in chunks:
        parser.feed(chunk)
        while (request := parser.next_request()) is not None:
            requests.append(request)
    return requests


def refuse(data: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_all(data)
    return caught.value


def test_request_is_taken_apart() -> None:
    (request,) = parse_all(
        b"POST /v1/workers/2/stacks?after=7&wait=1.5 HTTP/1.1\r\nhost:x\r\nA: 1 \r\na:\t2\r\n"
        b"Content-Length: 3\r\n\r\nabc"
    )
    assert (request.method, request.path, request.body) == ("POST", "/v1/workers/2/stacks", b"abc")
    assert dict(request.query) == {"after": "7", "wait": "1.5"}
    assert dict(request.headers) == {"host": "x", "a": "1, 2", "content-length": "3"}


def test_request_waits_for_its_body() -> None:
    parser = RequestParser()
    parser.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab")
    assert parser.next_request() is None
    assert not parser.is_empty
    assert not parser.is_fresh
    parser.feed(b"c")
    (request,) = iter(parser.next_request, None)
    assert request.body == b"abc"
    assert parser.is_empty


def test_pipelined_requests_come_one_by_one() -> None:
    parser = RequestParser()
    parser.feed(GET + GET)
    assert parser.next_request() is not None
    assert parser.is_fresh
    assert parser.next_request() is not None
    assert parser.next_request() is None


@pytest.mark.parametrize(
    "value, is_last", [("close", True), ("keep-alive, Close", True), ("keep-alive", False), ("enclose", False)]
)
def test_client_says_when_it_is_done(value: str, is_last: bool) -> None:
    (request,) = parse_all(f"GET / HTTP/1.1\r\nHost: x\r\nConnection: {value}\r\n\r\n".encode())
    assert request.is_last is is_last


@pytest.mark.parametrize(
    "status, data",
    [
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01"),  # TLS
        (400, b"\r\n" + GET),
        (400, b"get / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n"),
        (400, b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /%2e HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /?a HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /?a=1&a=2 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /?" + b"&".join(b"%d=1" % n for n in range(17)) + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"GET /?a=%ff HTTP/1.1\r\nHost: x\r\n\r\n"),
        (505, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),  # RFC 9112 3.2
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nA : 1\r\n\r\n"),  # RFC 9112 5.1
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\n B: 2\r\n\r\n"),  # RFC 9112 5.2
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\nB: 2\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1)),
        (501, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (417, b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * MAX_HEAD),
        (431, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: 1\r\n" * MAX_HEADERS + b"\r\n"),
    ],
)
def test_doubtful_request_is_refused(status: int, data: bytes) -> None:
    assert refuse(data).status == status


def test_head_up_to_the_limit_is_taken() -> None:
    start, end = b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"\r\n\r\n"
    filler = b"a" * (MAX_HEAD - len(start))
    assert len(parse_all(start + filler + end)) == 1
    assert refuse(start + filler + b"a" + end).status == 431


TOKENS = st.text(st.sampled_from("abcXYZ019-_!"), min_size=1, max_size=12)
VALUES = st.text(st.sampled_from("abc 019,;=\t\xe9"), max_size=20).map(str.strip)


Made = tuple[bytes, tuple[str, str, bytes]]


@st.composite
def requests(draw: st.DrawFn) -> Made:
    method = draw(st.sampled_from(["GET", "POST", "DELETE"]))
    path = "/" + "/".join(draw(st.lists(st.text(st.sampled_from("abc01.-_~"), max_size=8), max_size=4)))
    headers = draw(st.dictionaries(TOKENS.map(lambda name: f"x-{name}"), VALUES, max_size=5))
    body = draw(st.binary(max_size=200))
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body, (method, path, body)


@settings(max_examples=50)
@given(st.lists(requests(), max_size=4), st.data())
def test_any_split_gives_the_same_requests(made: list[Made], data: st.DataObject) -> None:
    stream = b"".join(raw for raw, _ in made)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = [(each.method, each.path, each.body) for each in parse_all(*chunks)]
    assert found == [expected for _, expected in made]


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_garbage_is_refused_or_waited_for_and_what_is_held_is_bounded(chunks: list[bytes]) -> None:
    parser = RequestParser()
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while parser.next_request() is not None:
                continue
    except RequestError:
        return
    assert len(parser._buffer) <= MAX_HEAD + MAX_BODY


@given(st.binary(max_size=200))
def test_valid_request_with_something_changed_never_breaks_the_parser(noise: bytes) -> None:
    for position in range(0, len(GET), 5):
        with contextlib.suppress(RequestError):
            assert all(request.method for request in parse_all(GET[:position] + noise + GET[position:]))
