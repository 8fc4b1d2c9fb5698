"""WSGI to the letter: `start_response`, `write()`, iterables, `close()`, framing, errors (PEP 3333, RFC 9110, 9112)."""

from __future__ import annotations

import gzip
import re
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.conformance.apps.pages import HEADS
from tests.conformance.conftest import PAGES
from tests.conformance.wire import Answer, BrokenAnswerError, Wire, build_chunked, build_request
from tests.e2e.harness import RunningServer, StartServer, start_server


def ask(server: RunningServer, target: str, method: str = "GET", fields: tuple[str, ...] = ()) -> Answer:
    """One request on a connection of its own."""
    with Wire.to(server) as wire:
        return wire.ask(method, target, fields)


def new_name() -> str:
    """A name for a note that no other test has."""
    return uuid.uuid4().hex


def read_note(server: RunningServer, name: str) -> str:
    """Wait for a note that the application leaves."""
    answer = ask(server, f"/note?{name}")
    assert answer.status == 200, f"the application left no note {name}"
    return answer.text


def respond_target(body: str = "", kind: str = "list", status: str = "200 OK", header: tuple[str, ...] = ()) -> str:
    """The target that makes the application answer so."""
    query = [("status", status), ("kind", kind), ("body", body), *(("header", line) for line in header)]
    return "/respond?" + urlencode(query)


# wsgiref.validate


@pytest.fixture(scope="module", params=[(), ("--http-request-body", "stream")], ids=["buffer", "stream"])
def validated(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    with start_server("tests.conformance.apps.pages:validated", *request.param) as server:
        yield server


@pytest.mark.parametrize(
    "request_bytes",
    [
        build_request("GET", "/"),
        build_request("GET", "/a%20path/%C3%A9?query=%20&more=1"),
        build_request("GET", "/", ["X-A: 1", "X-A: 2", "Cookie: a=1", "Cookie: b=2"]),
        build_request("POST", "/form", ["Content-Type: text/plain"], b"a body"),
        build_request("PUT", "/", [], b"x" * 300_000),
        build_request("PATCH", "/", ["Content-Length: 0"]),
        build_request("DELETE", "/thing"),
        build_request("OPTIONS", "/"),
        build_request("POST", "/", ["Transfer-Encoding: chunked"]) + build_chunked(b"in chunks"),
        build_request("GET", "http://other.example/absolute"),
        b"GET / HTTP/1.0\r\n\r\n",
    ],
    ids=lambda raw: raw[:40].decode(errors="replace").partition("\r")[0],
)
def test_validator_finds_no_fault(validated: RunningServer, request_bytes: bytes) -> None:
    """PEP 3333, all of it that wsgiref.validate can see."""
    with Wire.to(validated) as wire:
        answer = wire.send(request_bytes).read_answer()
    assert (answer.status, answer.body[:6]) == (200, b"valid "), validated.log()


def test_validator_finds_no_fault_with_head(validated: RunningServer) -> None:
    assert ask(validated, "/", "HEAD").status == 200


def test_validator_does_see_faults(hostler_server: StartServer) -> None:
    server = hostler_server("tests.conformance.apps.pages:validated")
    with Wire.to(server) as wire:
        # The validator wants a path to begin with a slash; the target of OPTIONS * is no path.
        assert wire.ask("OPTIONS", "*").status == 500
    server.stderr.wait_for("AssertionError")


# What exc_info does


def test_exc_info_before_the_head_is_sent_replaces_it(pages: RunningServer) -> None:
    """PEP 3333 start_response: headers that were not sent yet are replaced."""
    answer = ask(pages, "/exc-info-before")
    assert (answer.status, answer.reason, answer.body) == (503, "Replaced", b"the error page")
    assert (answer.value("x-first"), answer.value("x-second")) == (None, "yes")


def test_exc_info_after_the_head_is_sent_raises_the_same_exception(pages: RunningServer) -> None:
    """PEP 3333 start_response: "must re-raise the exception"; the answer is broken off."""
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/exc-info-after?note={name}"))
        with pytest.raises(BrokenAnswerError):
            wire.read_answer()
    assert read_note(pages, name) == "same"


def test_exc_info_may_come_with_the_first_call(pages: RunningServer) -> None:
    """PEP 3333 start_response."""
    answer = ask(pages, "/exc-info-alone")
    assert (answer.status, answer.reason, answer.body) == (503, "First", b"the error page")


def test_second_call_without_exc_info_is_an_error(pages: RunningServer) -> None:
    """PEP 3333 start_response: "a fatal error"."""
    assert ask(pages, "/twice").status == 500
    pages.stderr.wait_for("start_response() was called a second time without exc_info")


def test_caught_error_of_a_second_call_leaves_the_first_in_place(pages: RunningServer) -> None:
    answer = ask(pages, "/twice-caught")
    assert (answer.status, answer.reason, answer.body) == (200, "First", b"AssertionError")


def test_exc_info_may_be_none(pages: RunningServer) -> None:
    """PEP 3333 start_response: the default, which middleware passes on."""
    assert ask(pages, "/keywords").body == b"None is no exc_info"


# What may be in a head

# What the error must name, where it is not the header itself.
NAMED = {
    "status-not-str": "status must be a str, not bytes",
    "status-not-a-number": 'status "OK"',
    "status-short": 'status "20 OK"',
    "status-too-small": 'status "099 Low"',
    "status-interim": 'status "103 Early Hints"',
    "status-with-newline": "X-Injected",
    "status-not-latin-1": "status has characters that are not latin-1",
    "headers-not-a-list": "headers must be a list, not tuple",
    "header-not-a-tuple": "X-Pair",
    "header-of-three": "X-Three",
    "name-not-str": "X-Bytes-Name",
    "value-not-str": "X-Number",
    "value-bytes": "X-Bytes",
    "value-none": "X-None",
    "name-not-latin-1": "not latin-1: 'X-\u20ac'",
    "name-empty": 'header name "" is empty',
    "name-with-space": "X Space",
    "name-with-colon": "X-Colon:",
    "name-with-newline": "X-Injected",
    "value-not-latin-1": "X-Euro",
    "value-with-crlf": "X-Split",
    "value-with-lf": "X-Split-Lf",
    "value-with-cr": "X-Split-Cr",
    "value-with-nul": "X-Nul",
    "value-with-escape": "X-Escape",
    "hop-connection": "Connection",
    "hop-keep-alive": "Keep-Alive",
    "hop-transfer-encoding": "transfer-encoding",
    "hop-te": "TE",
    "hop-trailer": "Trailer",
    "hop-upgrade": "Upgrade",
    "hop-proxy-authenticate": "Proxy-Authenticate",
    "hop-proxy-authorization": "Proxy-Authorization",
    "length-not-a-number": "Content-Length",
    "length-negative": "Content-Length",
    "length-twice": "Content-Length",
}


def test_every_bad_head_has_an_expectation() -> None:
    assert NAMED.keys() == HEADS.keys() - {"status-without-phrase"}


@pytest.mark.parametrize("name", NAMED)
def test_bad_head_is_refused_by_name(pages: RunningServer, name: str) -> None:
    """PEP 3333 start_response and "Unicode Issues"; hop-by-hop: "Other HTTP Features". The error names the culprit."""
    answer = ask(pages, f"/head?name={name}")
    assert answer.text.startswith(("TypeError: ", "ValueError: ")), answer
    assert NAMED[name] in answer.text
    assert answer.value("x-injected") is None


def test_uncaught_bad_head_is_a_500_that_injects_nothing(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        for name in ("value-with-crlf", "name-with-newline", "status-with-newline"):
            answer = wire.ask("GET", f"/head-uncaught?name={name}")
            assert answer.status == 500
            assert answer.value("x-injected") is None
    pages.stderr.wait_for('response header "X-Split" contains a control character')


def test_status_without_a_phrase_is_sent(pages: RunningServer) -> None:
    """RFC 9112 4: the phrase may be empty, the space before it stays."""
    raw = pages.exchange(build_request("GET", "/head?name=status-without-phrase", ["Connection: close"]))
    assert raw.startswith(b"HTTP/1.1 200 \r\n")


def test_reason_phrase_is_the_application_s(pages: RunningServer) -> None:
    """PEP 3333 start_response: the status is sent as given."""
    answer = ask(pages, respond_target(status="299 Entirely Fine"))
    assert (answer.status, answer.reason) == (299, "Entirely Fine")


def test_header_values_are_latin_1_on_the_wire(pages: RunningServer) -> None:
    """PEP 3333 "Unicode Issues": each character is the byte of the same number."""
    target = "/respond?" + urlencode([("header", "X-Name:caf\xe9")], encoding="latin-1")
    raw = pages.exchange(build_request("GET", target, ["Connection: close"]))
    assert b"\r\nX-Name: caf\xe9\r\n" in raw


def test_headers_keep_order_case_and_repetition(pages: RunningServer) -> None:
    """PEP 3333 start_response: "must not change" what the application gives."""
    lines = ("Set-Cookie:a=1", "X-UPPER:1", "Set-Cookie:b=2", "x-lower:2")
    raw = pages.exchange(build_request("GET", respond_target(header=lines), ["Connection: close"])).decode()
    assert "Set-Cookie: a=1\r\nX-UPPER: 1\r\nSet-Cookie: b=2\r\nx-lower: 2\r\n" in raw


# Applications that do not call start_response, or late


@pytest.mark.parametrize("path", ["/never", "/never-generator"])
def test_answer_without_start_response_is_a_500(pages: RunningServer, path: str) -> None:
    """PEP 3333 "Specification Details": it is called before the first body bytestring."""
    answer = ask(pages, path)
    assert answer.status == 500
    assert b"nobody started this" not in answer.body
    pages.stderr.wait_for("before it called start_response()")


@pytest.mark.parametrize("path, body", [("/late", b"late"), ("/late-and-empty", b"")])
def test_start_response_may_come_with_the_first_iteration(pages: RunningServer, path: str, body: bytes) -> None:
    """PEP 3333 "Specification Details": servers must not assume that it was called before."""
    answer = ask(pages, path)
    assert (answer.status, answer.reason, answer.body) == (202, "Late", body)


# Iterables


@pytest.mark.parametrize(
    "path, body, framing",
    [
        ("/list", b"one two", "length"),
        ("/tuple", b"one two", "length"),
        ("/generator", b"one two", "chunked"),
        ("/empty-list", b"", "length"),
        ("/empty-generator", b"", "length"),
        ("/empty-first", b"text", "chunked"),
        ("/many", b"".join(b"%d," % number for number in range(5000)), "chunked"),
        ("/large", bytes(range(256)) * 16384, "length"),
        ("/large-pieces", b"".join(bytes([number]) * 300_000 for number in range(20)), "chunked"),
        ("/write", b"one two three", "chunked"),
        ("/write-with-length", b"one two", "length"),
    ],
)
@pytest.mark.parametrize("kind", ["pages", "streaming", "alone"])
def test_body_arrives_whole_and_the_connection_persists(
    request: pytest.FixtureRequest, kind: str, path: str, body: bytes, framing: str
) -> None:
    """PEP 3333 "Buffering and Streaming", "Handling the Content-Length Header"."""
    server: RunningServer = request.getfixturevalue(kind)
    with Wire.to(server) as wire:
        for _ in range(2):
            answer = wire.ask("GET", path)
            assert (answer.status, answer.body, answer.framing) == (200, body, framing)


def test_each_piece_is_sent_when_it_is_yielded(pages: RunningServer) -> None:
    """PEP 3333 "Buffering and Streaming": pieces are not held back or joined."""
    assert ask(pages, "/generator").pieces == (b"one ", b"two")


def test_sized_iterable_is_sent_whole(pages: RunningServer) -> None:
    """PEP 3333 "Handling the Content-Length Header": a length of 1 is a hint only."""
    assert ask(pages, "/sized").body == b"sized"


@pytest.mark.parametrize("path, message", [("/str", "it yielded str"), ("/none", "NoneType")])
def test_body_that_is_no_bytes_is_a_500_that_says_so(pages: RunningServer, path: str, message: str) -> None:
    """PEP 3333 "Unicode Issues": bodies are bytes."""
    answer = ask(pages, path)
    assert answer.status == 500
    pages.stderr.wait_for(message)


def test_generator_of_str_is_a_500(pages: RunningServer) -> None:
    assert ask(pages, "/str-in-generator").status == 500


def test_write_refuses_str(pages: RunningServer) -> None:
    """PEP 3333 "The write() Callable"."""
    assert ask(pages, "/write-str").text == "what is passed to write() must be bytes, not str: 'text'"


# The end of a body


@pytest.mark.parametrize("path", ["/close", "/close-list"])
def test_close_is_called_once_after_the_body(pages: RunningServer, path: str) -> None:
    """PEP 3333 "Specification Details": upon completion of the request."""
    name = new_name()
    assert ask(pages, f"{path}?note={name}").body == b"one two"
    assert read_note(pages, name) == "closed"


@pytest.mark.parametrize("after", [0, 2])
def test_close_is_called_after_an_error_in_the_body(pages: RunningServer, after: int) -> None:
    """PEP 3333 "Specification Details": "whether the request was completed normally, or terminated early due to an
    application error".
    """
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/close-after-error?note={name}&after={after}"))
        wire.read_head()
    assert read_note(pages, name) == "closed"


def test_close_is_called_without_start_response(pages: RunningServer) -> None:
    name = new_name()
    assert ask(pages, f"/close-unstarted?note={name}").status == 500
    assert read_note(pages, name) == "closed"


@pytest.mark.parametrize("vanish", ["close", "reset"])
@pytest.mark.parametrize("taken", [0, 100, 3_000_000])
def test_close_is_called_when_the_client_goes_away(small: RunningServer, vanish: str, taken: int) -> None:
    """PEP 3333 "Specification Details": an early disconnect of the browser."""
    name = new_name()
    with Wire.to(small) as wire:
        wire.send(build_request("GET", f"/close-endless?note={name}"))
        wire.read_exactly(taken)
        getattr(wire, vanish)()
    assert read_note(small, name) == "closed"


def test_close_is_called_when_the_client_goes_away_with_a_single_thread(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--threads", "1", "--limits-response-buffer", "65536")
    name = new_name()
    with Wire.to(server) as wire:
        wire.send(build_request("GET", f"/close-endless?note={name}"))
        wire.read_exactly(1000)
        wire.reset()
    assert read_note(server, name) == "closed"


@pytest.mark.parametrize("method", ["HEAD"])
def test_close_is_called_after_head(pages: RunningServer, method: str) -> None:
    name = new_name()
    assert ask(pages, f"/close?note={name}", method).status == 200
    assert read_note(pages, name) == "closed"


def test_error_in_close_is_logged_and_spoils_nothing(pages: RunningServer) -> None:
    name = new_name()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", f"/close-fails?note={name}").body == b"whole"
        assert wire.ask("GET", "/list").status == 200
    pages.stderr.wait_for("LookupError: in close()")


# Content-Length that is not the body's


@pytest.mark.parametrize("kind", ["list", "iterator", "write"])
def test_body_longer_than_announced_is_cut_and_the_connection_closed(pages: RunningServer, kind: str) -> None:
    """PEP 3333 "Handling the Content-Length Header": must not send more; RFC 9112 9.3: the tail is no next answer."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", respond_target("0123456789", kind, header=("Content-Length:4",))) * 2)
        assert wire.read_answer().body == b"0123"
        wire.assert_ended()
    pages.stderr.wait_for("sent more than its Content-Length of 4 bytes")


@pytest.mark.parametrize("kind", ["list", "iterator", "write"])
def test_body_shorter_than_announced_closes_the_connection(pages: RunningServer, kind: str) -> None:
    """PEP 3333 "Handling the Content-Length Header": should close; the client must not wait for ever."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", respond_target("0123", kind, header=("Content-Length:10",))) * 2)
        with pytest.raises(BrokenAnswerError):
            wire.read_answer()
    pages.stderr.wait_for("sent 4 bytes and announced 10")


@pytest.mark.parametrize("kind", ["list", "iterator", "write"])
def test_large_body_longer_than_announced_is_cut_too(pages: RunningServer, kind: str) -> None:
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", respond_target("x" * 7000, kind, header=("Content-Length:6999",))) * 2)
        assert wire.read_answer().body == b"x" * 6999
        wire.assert_ended()


@pytest.mark.parametrize("length", ["", "1000"])
def test_error_in_the_middle_of_the_body_does_not_look_complete(pages: RunningServer, length: str) -> None:
    """RFC 9112 8: an answer without its last chunk, or shorter than announced, is incomplete."""
    raw = pages.exchange(build_request("GET", f"/fail-midstream?length={length}"))
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body.count(b"piece ") == 2
    assert not body.endswith(b"0\r\n\r\n")
    assert b"500" not in body
    pages.stderr.wait_for("LookupError: in the middle of the body")


def test_error_before_the_first_piece_is_a_500(pages: RunningServer) -> None:
    """PEP 3333 "Error Handling": nothing was sent, so that an error page can be."""
    answer = ask(pages, f"/close-after-error?note={new_name()}&after=0")
    assert answer.status == 500


# Answers without a body


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "205 Reset Content"])
@pytest.mark.parametrize("kind", ["list", "iterator", "write"])
def test_body_of_an_answer_that_has_none_is_not_sent(pages: RunningServer, status: str, kind: str) -> None:
    """RFC 9110 15.3.5, 15.3.6, 15.4.5; RFC 9112 6.3."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", respond_target("unwanted", kind, status)))
        code, fields = wire.read_head()
        assert code == int(status[:3])
        assert dict(fields).get("content-length", "0") == "0"
        assert "transfer-encoding" not in dict(fields)
        # What follows is the next answer, and not a body.
        assert wire.ask("GET", "/list").body == b"one two"


def test_content_length_of_204_is_left_out(pages: RunningServer) -> None:
    """RFC 9110 8.6: never in a 204."""
    assert ask(pages, respond_target("", status="204 No", header=("Content-Length:0",))).value("content-length") is None


def test_content_length_of_304_is_kept(pages: RunningServer) -> None:
    """RFC 9110 8.6: what a 200 would have had."""
    answer = ask(pages, respond_target("", status="304 Not Modified", header=("Content-Length:1234",)))
    assert (answer.value("content-length"), answer.body) == ("1234", b"")


@pytest.mark.parametrize("kind", ["list", "iterator", "write"])
def test_head_gets_the_head_of_get_and_no_body(pages: RunningServer, kind: str) -> None:
    """RFC 9110 9.3.2."""
    target = respond_target("0123456789", kind, header=("Content-Length:10", "X-A:1"))
    with Wire.to(pages) as wire:
        answer = wire.ask("HEAD", target)
        assert (answer.value("content-length"), answer.value("x-a")) == ("10", "1")
        assert wire.ask("GET", target).body == b"0123456789"


def test_head_of_a_list_has_the_length_of_get(pages: RunningServer) -> None:
    assert ask(pages, "/list", "HEAD").value("content-length") == "7"


# Versions and persistence


def test_http_1_0_is_closed_after_the_answer(pages: RunningServer) -> None:
    """RFC 9112 9.3: HTTP/1.0 does not persist by itself."""
    with Wire.to(pages) as wire:
        answer = wire.send(b"GET /list HTTP/1.0\r\n\r\n").read_answer()
        assert (answer.body, answer.framing, answer.closes) == (b"one two", "length", True)
        wire.assert_ended()


def test_http_1_0_with_keep_alive_persists_where_the_length_is_known(pages: RunningServer) -> None:
    """RFC 9112 9.3, C.2.2."""
    with Wire.to(pages) as wire:
        for _ in range(2):
            answer = wire.send(b"GET /list HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").read_answer()
            assert (answer.body, answer.value("connection")) == (b"one two", "keep-alive")


def test_http_1_0_is_never_sent_chunks(pages: RunningServer) -> None:
    """RFC 9112 6.1: the end of the body is the end of the connection."""
    with Wire.to(pages) as wire:
        answer = wire.send(b"GET /generator HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").read_answer()
        assert (answer.body, answer.framing, answer.closes) == (b"one two", "close", True)


@pytest.mark.parametrize("target", ["/fail-midstream", "/fail-midstream?length=1000"])
def test_failed_answer_to_http_1_0_ends_in_a_reset(pages: RunningServer, target: str) -> None:
    """RFC 9112 8: a body that the end of the connection delimits would look whole."""
    with Wire.to(pages) as wire, pytest.raises((ConnectionResetError, BrokenAnswerError)):
        wire.send(f"GET {target} HTTP/1.0\r\n\r\n".encode()).read_answer()


def test_last_answer_arrives_although_the_client_sends_on(hostler_server: StartServer) -> None:
    """RFC 9112 9.6: closing in stages, so that no reset overtakes the answer."""
    server = hostler_server(PAGES, "--http-keep-alive-timeout", "0")
    with Wire.to(server) as wire:
        answer = wire.ask("GET", "/large")
        assert answer.closes
        for _ in range(20):
            wire.send(build_request("GET", "/list"))
        wire.assert_ended()


def test_connection_close_is_honoured(pages: RunningServer) -> None:
    """RFC 9112 9.6."""
    with Wire.to(pages) as wire:
        answer = wire.send(build_request("GET", "/generator", ["Connection: close"]) * 2).read_answer()
        assert (answer.body, answer.closes) == (b"one two", True)
        wire.assert_ended()


def test_keep_alive_can_be_turned_off(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--http-keep-alive-timeout", "0")
    with Wire.to(server) as wire:
        assert wire.ask("GET", "/list").closes
        wire.assert_ended()


def test_idle_connection_is_closed_after_its_timeout(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--http-keep-alive-timeout", "200ms")
    with Wire.to(server) as wire:
        assert not wire.ask("GET", "/list").closes
        wire.assert_ended()


def test_pipelined_requests_are_answered_in_order(pages: RunningServer) -> None:
    """RFC 9112 9.3.2."""
    bodies = [str(number) * (number % 7 + 1) for number in range(60)]
    kinds = ["list", "iterator", "write"]
    with Wire.to(pages) as wire:
        wire.send(b"".join(build_request("GET", respond_target(body, kinds[at % 3])) for at, body in enumerate(bodies)))
        assert [wire.read_answer().text for _ in bodies] == bodies


# Fields of the server's own


def test_date_is_now_and_an_imf_date(pages: RunningServer) -> None:
    """RFC 9110 6.6.1, 5.6.7."""
    answer = ask(pages, "/list")
    date = answer.value("date")
    assert date is not None
    assert re.fullmatch(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT", date)
    # The clock may step to the next second in between, so that a small distance is all that can be asked.
    seen = parsedate_to_datetime(date)
    later = parsedate_to_datetime(ask(pages, "/list").value("date") or "")
    assert 0 <= (later - seen).total_seconds() <= 5


def test_application_s_own_date_and_server_win(pages: RunningServer) -> None:
    """PEP 3333 "The start_response() Callable": the server adds what is missing."""
    answer = ask(pages, respond_target(header=("Date:Thu, 01 Jan 1970 00:00:00 GMT", "Server:mine")))
    assert (answer.value("date"), answer.value("server")) == ("Thu, 01 Jan 1970 00:00:00 GMT", "mine")


def test_server_header_names_the_server(pages: RunningServer) -> None:
    assert ask(pages, "/list").value("server") == "hostler"


@pytest.mark.parametrize("header, sent", [("", None), ("shop/2", "shop/2")])
def test_server_header_can_be_set_or_left_out(hostler_server: StartServer, header: str, sent: str | None) -> None:
    server = hostler_server(PAGES, "--server-header", header)
    assert ask(server, "/list").value("server") == sent
    with Wire.to(server) as wire:
        refusal = wire.send(b"GET / HTTP/1.1\r\n\r\n").read_answer()
        assert (refusal.status, refusal.value("server")) == (400, sent)


# Errors of the application


@pytest.mark.parametrize("path", ["/fail", "/fail-after-start"])
def test_error_becomes_a_500_with_an_id_that_the_log_has_too(pages: RunningServer, path: str) -> None:
    """PEP 3333 "Error Handling": traceback to the log, nothing of it to the client."""
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", path)
        assert wire.ask("GET", "/list").status == 200
    assert answer.status == 500
    found = re.search(r"<code>([0-9a-f]+)</code>", answer.text)
    assert found is not None
    assert answer.value("set-cookie") is None
    assert "LookupError" not in answer.text
    log = pages.stderr.wait_for(f"[request {found[1]}]")
    # The traceback is written with the line that has the id.
    entry = log.partition(f"[request {found[1]}]")[2]
    assert "Traceback" in entry[:200]
    assert "LookupError: " in entry


def test_error_page_is_left_out_for_head(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        assert wire.ask("HEAD", "/fail").status == 500
        assert wire.ask("GET", "/list").status == 200


def test_request_id_of_a_trusted_peer_is_on_the_page_escaped_by_its_own_rules(pages: RunningServer) -> None:
    answer = ask(pages, "/fail", fields=("X-Request-Id: from-the-proxy_1.2",))
    assert "<code>from-the-proxy_1.2</code>" in answer.text
    assert "<script" not in ask(pages, "/fail", fields=("X-Request-Id: <script>alert(1)</script>",)).text


def test_application_cannot_take_the_worker_with_it(pages: RunningServer) -> None:
    """SystemExit is an error of the application like others."""
    before = pages.children()
    assert ask(pages, "/exit").status == 500
    assert ask(pages, "/list").status == 200
    assert pages.children() == before


# wsgi.file_wrapper


def file_target(path: Path, name: str, **more: int) -> str:
    return f"/file?path={quote(str(path))}&note={name}&" + urlencode(more)


@pytest.mark.parametrize(
    "more, start, end",
    [({}, 0, 100_000), ({"offset": 12_345}, 12_345, 100_000), ({"offset": 10, "length": 20}, 10, 30)],
    ids=["whole", "offset", "part"],
)
def test_regular_file_is_sent_without_being_read(
    pages: RunningServer, data_file: Path, more: dict[str, int], start: int, end: int
) -> None:
    """PEP 3333 "Optional Platform-Specific File Handling": from the present position; a Content-Length is kept."""
    name = new_name()
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", file_target(data_file, name, **more))
        assert answer.body == data_file.read_bytes()[start:end]
        assert (answer.framing, answer.value("content-length")) == ("length", str(end - start))
        assert wire.ask("GET", "/list").status == 200
    assert read_note(pages, name) == "closed"


def test_file_shorter_than_announced_closes_the_connection(pages: RunningServer, data_file: Path) -> None:
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", file_target(data_file, new_name(), length=100_001)))
        with pytest.raises(BrokenAnswerError):
            wire.read_answer()


def test_file_that_shrinks_meanwhile_breaks_the_answer_off(pages: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(64 << 20))
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", file_target(path, new_name())))
        wire.read_head()
        path.write_bytes(b"")
        with pytest.raises((BrokenAnswerError, ConnectionResetError)):
            wire.read_exactly(64 << 20)
    assert ask(pages, "/list").status == 200


def test_large_file_is_sent_whole(pages: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    data = bytes(range(251)) * 60_000
    path.write_bytes(data)
    assert ask(pages, file_target(path, new_name())).body == data


def test_empty_file_is_an_empty_answer(pages: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", file_target(path, new_name())).body == b""
        assert wire.ask("GET", "/list").status == 200


def test_head_of_a_file_has_its_length_and_closes_it(pages: RunningServer, data_file: Path) -> None:
    name = new_name()
    assert ask(pages, file_target(data_file, name), "HEAD").value("content-length") == "100000"
    assert read_note(pages, name) == "closed"


def test_file_goes_to_http_1_0_too(pages: RunningServer, data_file: Path) -> None:
    with Wire.to(pages) as wire:
        request = f"GET {file_target(data_file, new_name())} HTTP/1.0\r\n\r\n"
        assert wire.send(request.encode()).read_answer().body == data_file.read_bytes()


def test_wrapped_object_without_a_file_is_read(pages: RunningServer) -> None:
    """PEP 3333 "Optional Platform-Specific File Handling": any object with read()."""
    name = new_name()
    assert ask(pages, f"/file-in-memory?note={name}").body == (b"0123456789" * 1000)[5:]
    assert read_note(pages, name) == "closed"
    assert ask(pages, "/file-only-read").body == b"only read"


def test_file_that_means_other_bytes_than_its_descriptor_is_read(pages: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "compressed"
    path.write_bytes(gzip.compress(b"readable " * 1000))
    assert ask(pages, f"/file-compressed?path={quote(str(path))}").body == b"readable " * 1000


def test_many_files_leave_no_descriptor_open(pages: RunningServer, data_file: Path) -> None:
    def count_descriptors() -> int:
        return sum(1 for child in pages.children() for _ in Path(f"/proc/{child}/fd").iterdir())

    with Wire.to(pages) as wire:
        wire.ask("GET", file_target(data_file, new_name()))
        before = count_descriptors()
        for _ in range(50):
            wire.ask("GET", file_target(data_file, new_name()))
        # Connections of other tests may have gone meanwhile; fifty files would show.
        assert count_descriptors() < before + 10
