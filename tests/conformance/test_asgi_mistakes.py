"""Wrong messages: the application gets an error that names the message and what was expected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.asgi_ask import END, MORE, PAGES, START, Message, ask, new_name, read_note, script_target
from tests.conformance.wire import BrokenAnswerError, Wire, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, start_server

SENT = "http.response.start"
BODY = "http.response.body"
LONG: Message = {"type": SENT, "status": 200, "headers": [(b"content-length", b"100")]}


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pages(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop)) as server:
        yield server


def start_with(**values: object) -> dict[str, object]:
    return {"type": SENT, "status": 200, "headers": [], **values}


def body_with(**values: object) -> dict[str, object]:
    return {"type": BODY, "body": b"x", **values}


# The wrong message, and what the error has to name beside the rest.
NOTHING_SENT: dict[str, tuple[list[object], tuple[str, ...]]] = {
    # Order
    "body-first": ([END], (BODY, SENT)),
    "start-twice": ([START, START], (SENT, BODY)),
    # Types of messages
    "unknown-type": ([{"type": "http.response.end"}], ("http.response.end", SENT)),
    "websocket-type": ([{"type": "websocket.accept"}], ("websocket.accept", SENT)),
    "no-type": ([{"status": 200}], ("type",)),
    "type-bytes": ([{"type": b"http.response.start", "status": 200}], ("type", "str", "bytes")),
    "list": ([["type", SENT]], ("dict", "list")),
    "none": ([None], ("dict", "NoneType")),
    "str": ([SENT], ("dict", "str")),
    # http.response.start
    "no-status": ([{"type": SENT, "headers": []}], (SENT, "status")),
    "status-str": ([start_with(status="200")], (SENT, "status", "int", "str")),
    "status-bytes": ([start_with(status=b"200")], (SENT, "status", "int", "bytes")),
    "status-none": ([start_with(status=None)], (SENT, "status")),
    "status-float": ([start_with(status=200.0)], (SENT, "status", "int", "float")),
    "status-too-small": ([start_with(status=99)], (SENT, "status", "99")),
    "status-too-large": ([start_with(status=1000)], (SENT, "status", "1000")),
    "status-interim": ([start_with(status=103)], (SENT, "status", "103")),
    "headers-str": ([start_with(headers="x-a: 1")], (SENT, "headers", "str")),
    "headers-int": ([start_with(headers=1)], (SENT, "headers", "int")),
    "headers-dict": ([start_with(headers={b"x-a": b"1"})], (SENT, "headers")),
    "header-alone": ([start_with(headers=[b"x-a"])], (SENT, "headers")),
    "header-of-three": ([start_with(headers=[(b"x-a", b"1", b"2")])], (SENT, "headers")),
    "name-str": ([start_with(headers=[("x-a", b"1")])], (SENT, "headers", "bytes", "str")),
    "value-str": ([start_with(headers=[(b"x-a", "1")])], (SENT, "headers", "bytes", "str")),
    "value-int": ([start_with(headers=[(b"content-length", 1)])], (SENT, "headers", "bytes", "int")),
    "value-none": ([start_with(headers=[(b"x-a", None)])], (SENT, "headers", "bytes", "NoneType")),
    "name-empty": ([start_with(headers=[(b"", b"1")])], ("response header", "empty")),
    "name-space": ([start_with(headers=[(b"x a", b"1")])], ("response header", "x a")),
    "name-colon": ([start_with(headers=[(b"x-a:", b"1")])], ("response header", "x-a:")),
    "name-latin": ([start_with(headers=[(b"x-\xe9", b"1")])], ("response header", "x-")),
    "name-crlf": ([start_with(headers=[(b"x-a\r\nx-injected", b"1")])], ("response header", "x-a")),
    "value-crlf": ([start_with(headers=[(b"x-a", b"1\r\nx-injected: 1")])], ("response header", "x-a")),
    "value-lf": ([start_with(headers=[(b"x-a", b"1\nx-injected: 1")])], ("response header", "x-a")),
    "value-cr": ([start_with(headers=[(b"x-a", b"1\rx-injected: 1")])], ("response header", "x-a")),
    "value-nul": ([start_with(headers=[(b"x-a", b"1\0")])], ("response header", "x-a")),
    "length-nonsense": ([start_with(headers=[(b"content-length", b"ten")])], ("response header", "content-length")),
    "length-negative": ([start_with(headers=[(b"content-length", b"-1")])], ("response header", "content-length")),
    "length-twice": ([start_with(headers=[(b"content-length", b"1"), (b"content-length", b"2")])], ("content-length",)),
    # http.response.body, before anything left
    "body-str": ([START, body_with(body="text")], (BODY, "body", "bytes", "str")),
    "body-list": ([START, body_with(body=[b"x"])], (BODY, "body", "bytes", "list")),
    "more-body-str": ([START, body_with(more_body="no")], (BODY, "more_body", "bool", "str")),
    "unknown-after-start": ([START, {"type": "http.response.boody"}], ("http.response.boody", BODY)),
    # Extensions
    "trailers-unannounced": ([START, {"type": "http.response.trailers", "headers": []}], ("http.response.trailers",)),
    "hint-str": ([{"type": "http.response.early_hint", "links": ["</a>"]}], ("http.response.early_hint", "links")),
    "hint-crlf": ([{"type": "http.response.early_hint", "links": [b"</a>\r\nx: 1"]}], ("link",)),
    "hint-none": ([{"type": "http.response.early_hint"}], ("http.response.early_hint", "links")),
    "path-int": ([START, {"type": "http.response.pathsend", "path": 7}], ("http.response.pathsend", "path", "str")),
    "path-none": ([START, {"type": "http.response.pathsend"}], ("http.response.pathsend", "path")),
    "path-first": ([{"type": "http.response.pathsend", "path": "/etc/hostname"}], ("http.response.pathsend", SENT)),
    "file-none": ([START, {"type": "http.response.zerocopysend"}], ("http.response.zerocopysend", "file")),
}

# The same, after part of an answer left.
PARTLY_SENT: dict[str, tuple[list[object], tuple[str, ...]]] = {
    "start-again": ([START, MORE, START], (SENT, BODY)),
    "start-again-length": ([LONG, MORE, START], (SENT, BODY)),
    "body-str": ([START, MORE, body_with(body="text")], (BODY, "body", "bytes", "str")),
    "body-str-length": ([LONG, MORE, body_with(body="text")], (BODY, "body", "bytes", "str")),
    "unknown": ([START, MORE, {"type": "http.response.boody"}], ("http.response.boody", BODY)),
    "none": ([START, MORE, None], ("dict", "NoneType")),
    "hint-too-late": ([START, MORE, {"type": "http.response.early_hint", "links": [b"</a>"]}], ("early_hint", BODY)),
}

# The same, after the whole of it.
ALL_SENT: dict[str, tuple[list[object], tuple[str, ...]]] = {
    "body-again": ([START, END, END], (BODY,)),
    "body-again-length": ([{**START, "headers": [(b"content-length", b"3")]}, END, END], (BODY,)),
    "start-again": ([START, END, START], (SENT,)),
    "empty-body-again": ([START, END, {"type": BODY, "body": b""}], (BODY,)),
}


@pytest.mark.parametrize("case", NOTHING_SENT)
def test_mistake_before_anything_left_is_named_and_becomes_a_500(pages: RunningServer, case: str) -> None:
    messages, names = NOTHING_SENT[case]
    note = new_name()
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", script_target(messages, note))
        assert answer.status == 500
        assert answer.value("x-injected") is None
        assert wire.ask("GET", "/ignore").body == b"ignored"
    error = read_note(pages, note)
    assert [name for name in names if name not in error] == [], error
    pages.stderr.wait_for(error.partition(": ")[2])


@pytest.mark.parametrize("case", PARTLY_SENT)
def test_mistake_within_an_answer_is_named_and_the_answer_visibly_broken(pages: RunningServer, case: str) -> None:
    """RFC 9112 8: neither the length nor the last chunk is reached, and no second answer follows."""
    messages, names = PARTLY_SENT[case]
    note = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", script_target(messages, note)))
        status, _ = wire.read_head()
        assert status == 200
        rest = wire.read_rest()
    assert b"HTTP/1.1" not in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert b"begun" in rest
    error = read_note(pages, note)
    assert [name for name in names if name not in error] == [], error


@pytest.mark.parametrize("case", ALL_SENT)
def test_mistake_after_an_answer_is_named_and_spoils_nothing(pages: RunningServer, case: str) -> None:
    messages, names = ALL_SENT[case]
    note = new_name()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", script_target(messages, note)).body == b"end"
        assert wire.ask("GET", "/ignore").body == b"ignored"
    error = read_note(pages, note)
    assert [name for name in names if name not in error] == [], error


@pytest.mark.parametrize("case", ["unknown-type", "status-str", "value-crlf", "list", "name-str"])
def test_application_that_catches_the_error_may_still_answer(pages: RunningServer, case: str) -> None:
    """The wrong message counts for nothing, as far as nothing of it was taken."""
    messages, _ = NOTHING_SENT[case]
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", script_target(messages, rescue=[START, END]))
        assert (answer.status, answer.body) == (200, b"end")
        assert wire.ask("GET", "/ignore").status == 200


def test_application_that_catches_the_error_within_an_answer_may_end_it(pages: RunningServer) -> None:
    answer = ask(pages, script_target([START, MORE, body_with(body="text")], rescue=[END]))
    assert answer.body == b"begunend"


def test_application_that_swallows_the_error_within_an_answer_leaves_it_broken(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", script_target([LONG, MORE, None], rescue=[MORE])))
        assert wire.read_head()[0] == 200
        with pytest.raises(BrokenAnswerError):
            wire.read_exactly(100)


@pytest.mark.parametrize("kind", ["bytearray", "memoryview"])
def test_what_is_like_bytes_is_sent(pages: RunningServer, kind: str) -> None:
    """ASGI asks for byte strings; Starlette and others pass memoryviews on."""
    answer = ask(pages, f"/like-bytes?kind={kind}")
    assert (answer.status, answer.body) == (200, b"like bytes"), answer
