"""What has gone wrong in other application servers, and must not here: one test or more for each kind of failure.

Gaps seen in servers in use:

1. a body cut short or malformed reaches the application as an empty one:
   `test_broken_body_never_passes_for_an_empty_one`
2. a body that is longer than its Content-Length becomes part of the next answer, a shorter one leaves the client
   waiting: `test_tail_of_a_long_body_is_not_the_next_answer`, `test_short_body_does_not_leave_the_client_waiting`
3. an error in the middle of a body ends like a complete answer: `test_failed_answer_does_not_look_complete`
4. `wsgi.input` loses line ends, ignores sizes, fails for -1: `test_lines_and_sizes_of_the_body_are_kept`
5. a late `start_response` is ignored, a second one accepted, `write()` and `file_wrapper` are missing, reason phrases
   are lost: `test_late_start_response_counts`, `test_second_start_response_does_not_count`, `test_write_is_there`,
   `test_file_wrapper_is_there`, `test_reason_phrase_is_kept`
6. the environ has the process's variables, no REMOTE_PORT, "HTTP/1" for HTTP/1.0, loses obs-text, and a header with an
   underscore replaces one with a hyphen; answers are encoded anew, invalid headers dropped in silence:
   `test_environ_*`, `test_obs_text_survives_both_ways`, `test_invalid_answer_header_is_an_error_and_not_dropped`
7. what is yielded is held back: `test_first_piece_arrives_before_the_second_exists`
8. a malformed header ends the process: `test_worker_survives_anything`

Classes of advisories:

- response splitting, also by the status and by names of headers (CVE-2018-1000164, CVE-2020-7695, CVE-2020-5247)
- an invalid header in an answer, or odd bytes in a request, end the worker (CVE-2026-42545, CVE-2026-42544)
- log injection, terminal sequences (CVE-2020-7694)
- smuggling: Content-Length with Transfer-Encoding, odd codings, spaces, line ends, signs, duplicates (CVE-2024-1135,
  CVE-2024-6827, CVE-2019-16785, CVE-2019-16786, CVE-2019-16789, CVE-2019-16792, CVE-2022-24761, CVE-2020-7658,
  CVE-2022-32213 to -32215, CVE-2023-47627), the end of a chunk unchecked (CVE-2025-43859), trailers taken for headers
  (CVE-2023-41419, CVE-2025-58068), white space beyond ASCII stripped (CVE-2026-44546)
- a request served after an error or after the last one (CVE-2024-49768)
- pipelined answers out of order (CVE-2023-46137, CVE-2024-41671)
- unbounded chunk extensions, heads, counts, pipelines; slow parsing of blanks (CVE-2020-5236 and the like)
- connections that stay open starve others (CVE-2019-16770, CVE-2021-29509); descriptors leak when clients vanish
  (CVE-2024-49769); clients that vanish at the wrong moment (CVE-2022-31015)
- headers that overwrite others (CVE-2024-45614, CVE-2015-7519), HTTP_PROXY (CVE-2016-5385), addresses that untrusted
  peers claim (CVE-2022-2255)
- temporary files that others can open (CVE-2013-2119)
- buffer overflows by long paths (CVE-2018-6758, CVE-2020-11984)
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.conftest import PAGES
from tests.conformance.test_wsgi import ask, read_note, respond_target
from tests.conformance.wire import BrokenAnswerError, Wire, build_request
from tests.e2e.harness import RunningServer, StartServer, start_server, wait_until

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=["pages", "streaming"])
def either(request: pytest.FixtureRequest) -> RunningServer:
    """Both ways of receiving bodies share one policy."""
    server: RunningServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Path]]:
    path = tmp_path_factory.mktemp("log") / "access.log"
    with start_server(PAGES, "--access-log", str(path), "--access-log-format", "combined") as server:
        yield server, path


def new_name() -> str:
    return uuid.uuid4().hex


# 1 to 8


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"5\r\nhel",
        b"5\r\nhello",
        b"5\r\nhello\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"x\r\n",
        b"5 hello\r\n0\r\n\r\n",
    ],
)
def test_broken_body_never_passes_for_an_empty_one(pages: RunningServer, rest: bytes) -> None:
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("POST", f"/called?note={name}", ["Transfer-Encoding: chunked"]) + rest).finish()
        assert wire.read_answer().status == 400
    assert ask(pages, f"/noted?{name}").body == b"no"


def test_tail_of_a_long_body_is_not_the_next_answer(pages: RunningServer) -> None:
    forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", respond_target("abcd" + forged, header=("Content-Length:4",))) * 2)
        assert wire.read_answer().body == b"abcd"
        wire.assert_ended()


def test_short_body_does_not_leave_the_client_waiting(pages: RunningServer) -> None:
    with Wire.to(pages) as wire, pytest.raises(BrokenAnswerError):
        wire.ask("GET", respond_target("abcd", header=("Content-Length:400",)))


@pytest.mark.parametrize("length", ["", "400"])
def test_failed_answer_does_not_look_complete(pages: RunningServer, length: str) -> None:
    with Wire.to(pages) as wire, pytest.raises(BrokenAnswerError):
        wire.ask("GET", f"/fail-midstream?length={length}")


def test_lines_and_sizes_of_the_body_are_kept(pages: RunningServer) -> None:
    operations = [["readline"], ["readline", 3], ["readline"], ["readlines"], ["read", -1]]
    with Wire.to(pages) as wire:
        answer = wire.ask("POST", "/operations?" + json.dumps(operations).replace(" ", ""), [], b"a\nbcdef\ng\nh")
    assert json.loads(answer.body) == ["a\n", "bcd", "ef\n", ["g\n", "h"], ""]


def test_late_start_response_counts(pages: RunningServer) -> None:
    answer = ask(pages, "/late")
    assert (answer.status, answer.value("x-late")) == (202, "yes")


def test_second_start_response_does_not_count(pages: RunningServer) -> None:
    answer = ask(pages, "/twice-caught")
    assert (answer.reason, answer.body) == ("First", b"AssertionError")


def test_write_is_there(pages: RunningServer) -> None:
    assert ask(pages, "/write").body == b"one two three"


def test_file_wrapper_is_there(pages: RunningServer) -> None:
    assert ask(pages, "/file-only-read").body == b"only read"


def test_reason_phrase_is_kept(pages: RunningServer) -> None:
    assert ask(pages, respond_target(status="299 Very Fine")).reason == "Very Fine"


def test_environ_has_nothing_of_the_process_and_all_of_the_client(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        port = wire.port
        environ = json.loads(wire.ask("GET", "/view").body)
    assert "PATH" not in environ
    assert environ["REMOTE_PORT"] == str(port)


def test_environ_names_http_1_0_in_full(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        environ = json.loads(wire.send(b"GET /view HTTP/1.0\r\n\r\n").read_answer().body)
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_environ_keeps_what_the_proxy_said_against_an_underscore(pages: RunningServer) -> None:
    fields = ["X-Real-IP: 203.0.113.1", "X_Real_IP: evil", "x_real-ip: evil", "X-Forwarded_For: evil"]
    with Wire.to(pages) as wire:
        environ = json.loads(wire.ask("GET", "/view", fields).body)
    assert environ["HTTP_X_REAL_IP"] == "203.0.113.1"
    assert "evil" not in environ.values()


def test_obs_text_survives_both_ways(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        environ = json.loads(wire.ask("GET", "/view", ["X-Name: \xe9\x80\xff"]).body)
        assert environ["HTTP_X_NAME"] == "\xe9\x80\xff"
        assert wire.ask("GET", "/respond?header=X-Name:%E9").value("x-name") == "\xe9"


def test_invalid_answer_header_is_an_error_and_not_dropped(pages: RunningServer) -> None:
    assert ask(pages, "/head-uncaught?name=name-with-space").status == 500
    pages.stderr.wait_for('"X Space"')


def test_first_piece_arrives_before_the_second_exists(pages: RunningServer) -> None:
    """The application waits for a note that the client leaves only when it has the first piece."""
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/wait-between?note={name}"))
        status, _ = wire.read_head()
        assert (status, wire.read_exactly(10)) == (200, b"5\r\nfirst\r\n")
        ask(pages, f"/leave-note?note={name}")
        assert wire.read_rest_of_chunks() == b"second"


_NOISE = st.binary(max_size=300)
_TOKENS = st.sampled_from(
    [
        *(
            b"GET",
            b"POST",
            b" ",
            b"/",
            b"/view?x=%zz",
            b" HTTP/1.1\r\n",
            b" HTTP/1.0\r\n",
            b"Host: a\r\n",
            b"\r\n",
            b"\n",
        ),
        *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"5\r\nhello\r\n"),
        *(
            b"0\r\n\r\n",
            b"\x00",
            b"\xff\xfe",
            b"Sec-WebSocket-Protocol: \xe9\r\n",
            b"Upgrade: websocket\r\n",
            b": \r\n",
        ),
        *(b"X-Forwarded-For: [::1\r\n", b'Forwarded: for="[";by\r\n', b"Cookie: \xff\r\n", b"Range: bytes=-\r\n", b"%"),
        *(b"X-Request-Id: \xe9\r\n", b"X-Forwarded-Host: \xe9\r\n", b"X-Forwarded-Prefix: /\xe9%00\r\n", b"\x1b[2J"),
    ]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(_NOISE, st.lists(_TOKENS, max_size=20).map(b"".join)))
def test_worker_survives_anything(either: RunningServer, data: bytes) -> None:
    """Whatever is sent: an answer or none, and the same worker serves the next client."""
    workers = either.children()
    with Wire.to(either) as wire:
        wire.send(data).finish()
        received = wire.read_rest()
    assert received == b"" or received.startswith(b"HTTP/1.1 ")
    assert ask(either, "/list").body == b"one two"
    assert either.children() == workers


@pytest.mark.parametrize("value", [b"\xe9", b"\xff\xfe", b"a, \x80", b'"', b";;;=,,,"])
@pytest.mark.parametrize(
    "name",
    [b"Sec-WebSocket-Protocol", b"Cookie", b"Accept", b"X-Forwarded-For", b"Forwarded", b"X-Request-Id", b"Host"],
)
def test_odd_header_values_end_no_worker(pages: RunningServer, name: bytes, value: bytes) -> None:
    workers = pages.children()
    with Wire.to(pages) as wire:
        host = b"" if name == b"Host" else b"Host: a\r\n"
        wire.send(
            b"GET /view HTTP/1.1\r\n%bConnection: Upgrade\r\nUpgrade: websocket\r\n%b: %b\r\n\r\n" % (host, name, value)
        )
        assert wire.read_answer().status in {200, 400}
    assert pages.children() == workers


# Response splitting


@pytest.mark.parametrize(
    "name", ["value-with-crlf", "value-with-lf", "value-with-cr", "name-with-newline", "status-with-newline"]
)
def test_answer_cannot_be_split(pages: RunningServer, name: str) -> None:
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", f"/head-uncaught?name={name}")
        assert answer.status == 500
        assert b"X-Injected" not in answer.body
        assert answer.value("x-injected") is None
        assert wire.ask("GET", "/list").body == b"one two"


# Smuggling

REFUSED_FRAMING = {
    "length-and-coding": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-and-length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two-lengths": b"Content-Length: 0\r\nContent-Length: 35\r\n\r\n",
    "length-list": b"Content-Length: 0, 35\r\n\r\n",
    "length-signed": b"Content-Length: +0\r\n\r\n",
    "length-negative": b"Content-Length: -1\r\n\r\n",
    "length-hexadecimal": b"Content-Length: 0x0\r\n\r\n",
    "length-underscore": b"Content-Length: 0_0\r\n\r\n",
    "length-empty": b"Content-Length:\r\n\r\n",
    "length-overflow": b"Content-Length: 18446744073709551616\r\n\r\n",
    "space-before-colon": b"Content-Length : 0\r\n\r\n",
    "coding-space-before-colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding-unknown": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding-identity": b"Transfer-Encoding: identity\r\n\r\n",
    "coding-twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding-twice-in-two-lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding-not-last": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "coding-vertical-tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "coding-form-feed": b"Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n",
    "coding-separator": b"Transfer-Encoding: \x1cchunked\r\n\r\n0\r\n\r\n",
    "coding-next-line": b"Transfer-Encoding: \x85chunked\r\n\r\n0\r\n\r\n",
    "coding-no-break-space": b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n",
    "coding-quoted": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding-folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "coding-empty": b"Transfer-Encoding:\r\n\r\n",
    "bare-line-feed": b"X-A: 1\nContent-Length: 35\r\n\r\n",
    "bare-carriage-return": b"X-A: 1\rContent-Length: 35\r\n\r\n",
    "nul": b"X-A: 1\0\r\n\r\n",
    "name-with-separator": b"X-A\x1c: 1\r\n\r\n",
    "line-without-colon": b"X-A\r\n\r\n",
}

REFUSED_CHUNKS = {
    "size-signed": b"+5\r\nhello\r\n0\r\n\r\n",
    "size-prefixed": b"0x5\r\nhello\r\n0\r\n\r\n",
    "size-underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "size-spaced": b" 5\r\nhello\r\n0\r\n\r\n",
    "size-overflow": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "size-empty": b"\r\nhello\r\n0\r\n\r\n",
    "terminator-other": b"5\r\nhelloXX0\r\n\r\n",
    "terminator-line-feed": b"5\r\nhello\n0\r\n\r\n",
    "line-feed": b"5\nhello\r\n0\r\n\r\n",
    "extension-with-carriage-return": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension-with-line-feed": b"5;a\nhello\r\n0\r\n\r\n",
    "last-without-end": b"0\r\nX\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED_FRAMING)
def test_ambiguous_framing_is_refused_and_nothing_behind_it_served(either: RunningServer, name: str) -> None:
    with Wire.to(either) as wire:
        wire.send(b"POST /list HTTP/1.1\r\nHost: a\r\n" + REFUSED_FRAMING[name] + SMUGGLED)
        answer = wire.read_answer()
        assert answer.status in {400, 501}
        assert answer.closes
        wire.assert_ended()


@pytest.mark.parametrize("name", REFUSED_CHUNKS)
def test_odd_chunks_are_refused_and_nothing_behind_them_served(either: RunningServer, name: str) -> None:
    with Wire.to(either) as wire:
        wire.send(build_request("POST", "/body", ["Transfer-Encoding: chunked"]) + REFUSED_CHUNKS[name] + SMUGGLED)
        answer = wire.read_answer()
        assert answer.status in {400, 500}
        assert answer.closes
        wire.assert_ended()


def test_trailers_do_not_become_headers(either: RunningServer) -> None:
    body = b"4\r\nbody\r\n0\r\nX-Admin: yes\r\nContent-Length: 99\r\nHost: evil\r\n\r\n"
    with Wire.to(either) as wire:
        wire.send(build_request("POST", "/view", ["Transfer-Encoding: chunked", "Trailer: X-Admin"]) + body)
        environ = json.loads(wire.read_answer().body)
    assert "HTTP_X_ADMIN" not in environ
    assert (environ.get("CONTENT_LENGTH", "4"), environ["HTTP_HOST"]) == ("4", "test.example")


def test_two_hosts_are_refused(either: RunningServer) -> None:
    with Wire.to(either) as wire:
        answer = wire.send(b"GET /list HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").read_answer()
        assert (answer.status, answer.closes) == (400, True)


# After the last


def test_nothing_is_served_after_a_refusal(either: RunningServer) -> None:
    name = new_name()
    with Wire.to(either) as wire:
        wire.send(b"BAD\r\n\r\n" + build_request("GET", f"/called?note={name}"))
        assert wire.read_answer().status == 400
        wire.assert_ended()
    assert ask(either, f"/noted?{name}").body == b"no"


@pytest.mark.parametrize("first", ["/list", "/generator", "/fail", "/fail-midstream"])
def test_nothing_is_served_after_the_last_answer(either: RunningServer, first: str) -> None:
    name = new_name()
    last = build_request("GET", first, ["Connection: close"])
    with Wire.to(either) as wire:
        raw = wire.send(last + build_request("GET", f"/called?note={name}")).read_rest()
    assert raw.count(b"HTTP/1.1 ") == 1
    assert ask(either, f"/noted?{name}").body == b"no"


def test_pipelined_answers_keep_their_order_whatever_they_take(pages: RunningServer) -> None:
    targets = [respond_target(f"{number}", ["list", "iterator", "write"][number % 3]) for number in range(30)]
    bodies = [str(number).encode() for number in range(30)]
    with Wire.to(pages) as wire:
        wire.send(b"".join(build_request("POST", target, [], b"x" * 5000) for target in targets))
        assert [wire.read_answer().body for _ in targets] == bodies


# Bounds


@pytest.mark.parametrize(
    "head, status",
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"%41" * 40_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"A" * 100_000, 501),  # RFC 9112 3
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX:" + b" " * 100_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 10_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
        (b"\r\n" * 50_000, 400),
    ],
    ids=["path", "escapes", "method", "header", "blanks", "count", "count-just-over", "empty-lines"],
)
def test_heads_are_bounded(pages: RunningServer, head: bytes, status: int) -> None:
    with Wire.to(pages) as wire:
        answer = wire.send(head).read_answer()
        assert answer.closes
        assert answer.status == status


@pytest.mark.parametrize(
    "body",
    [
        b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"".join(b"1;" + b"a" * 1000 + b"\r\nx\r\n" for _ in range(100)) + b"0\r\n\r\n",
        b"0" * 100_000 + b"5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
        b"0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
    ids=["extension", "extensions-together", "size-of-zeros", "trailers", "trailer"],
)
def test_what_surrounds_a_body_is_bounded(either: RunningServer, body: bytes) -> None:
    with Wire.to(either) as wire:
        answer = wire.send(build_request("POST", "/body", ["Transfer-Encoding: chunked"]) + body).read_answer()
        assert answer.closes
        assert answer.status in {400, 413, 431, 500}


def test_client_that_pipelines_and_never_reads_is_held_back(small: RunningServer) -> None:
    """The server stops reading, so that only what the kernel holds is taken from such a client."""
    with Wire.to(small) as wire:
        wire.stream.setblocking(False)
        data = build_request("GET", "/large") * 1000

        def send_all() -> None:
            for _ in range((256 << 20) // len(data)):
                wire.stream.send(data)

        with pytest.raises(BlockingIOError):
            send_all()
    assert ask(small, "/list").status == 200


# Connections that stay, and that go


def test_idle_and_dribbling_connections_starve_nobody(hostler_server: StartServer) -> None:
    server = hostler_server(PAGES, "--threads", "1")
    with ExitStack() as stack:
        for number in range(60):
            wire = stack.enter_context(Wire.to(server))
            if number % 3 == 0:
                wire.ask("GET", "/list")
            elif number % 3 == 1:
                wire.send(b"GET /list HTTP/1.1\r\nHos")
            else:
                wire.send(build_request("POST", "/body", ["Content-Length: 1000"]) + b"a little")
        assert ask(server, "/list").body == b"one two"


def test_keep_alive_client_does_not_shut_out_others(hostler_server: StartServer) -> None:
    """A client with ever more requests on one connection takes turns with others."""
    server = hostler_server(PAGES, "--threads", "1")
    with Wire.to(server) as busy:
        busy.send(build_request("GET", "/list") * 2000)
        assert ask(server, "/list").body == b"one two"
        assert [busy.read_answer().body for _ in range(2000)] == [b"one two"] * 2000


def test_clients_that_vanish_leave_nothing_behind(hostler_server: StartServer, data_file: Path) -> None:
    server = hostler_server(PAGES, "--threads", "2")
    requests = [
        b"",
        b"GET /list HTT",
        build_request("GET", "/list"),
        build_request("GET", "/large"),
        build_request("GET", f"/file?path={data_file}"),
        build_request("POST", "/body", ["Content-Length: 1000000"]) + b"x" * 300_000,
        build_request("POST", "/body", ["Transfer-Encoding: chunked"]) + b"5\r\nhe",
        build_request("GET", "/large-pieces"),
    ]

    def count_descriptors() -> int:
        return sum(1 for child in server.children() for _ in Path(f"/proc/{child}/fd").iterdir())

    ask(server, "/list")
    before = count_descriptors()
    for number in range(15 * len(requests)):
        with Wire.to(server) as wire:
            wire.send(requests[number % len(requests)])
            if number % 2:
                wire.reset()
    wait_until(lambda: count_descriptors() <= before, "all descriptors of vanished clients are closed")
    assert ask(server, "/list").body == b"one two"


# Whom to believe


def test_untrusted_peer_cannot_claim_an_address(distrustful: RunningServer) -> None:
    claims = [
        *("X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1", "Proxy: http://10.0.0.1"),
        *("X-Forwarded-Proto: https", "X-Forwarded-Host: 10.0.0.1"),
    ]
    with Wire.to(distrustful) as wire:
        environ = json.loads(wire.ask("GET", "/view", claims).body)
    assert "10.0.0.1" not in "".join(str(value) for value in environ.values())
    assert environ["wsgi.url_scheme"] == "http"


def test_protocol_of_proxies_is_no_request(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        answer = wire.send(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + build_request("GET", "/view")).read_answer()
        assert answer.status in {400, 505}


# Logs


def test_log_lines_cannot_be_forged(logged: tuple[RunningServer, Path]) -> None:
    server, path = logged
    marker = new_name()
    odd = '" 200 0 "x" \\ \x9b2J \xff' + marker
    fields = [f"User-Agent: {odd}", f"Referer: {odd}", "Authorization: Basic YQoiYjp4"]
    answer = ask(server, '/list?"\xff\x9b', fields=tuple(fields))
    # Raw bytes beyond ASCII in a target are refused, and the refusal is logged too.
    assert answer.status in {200, 400}
    assert ask(server, "/list", fields=tuple(fields)).status == 200
    wait_until(lambda: marker in path.read_text(encoding="latin-1"), "the line is written")
    raw = path.read_bytes()
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in raw)
    [line] = [line for line in raw.decode().splitlines() if line.count(marker) == 2]
    assert line.count('"') == 6


# Temporary files


def test_spooled_body_has_no_name_that_others_could_open(hostler_server: StartServer, tmp_path: Path) -> None:
    server = hostler_server(PAGES, "--limits-body-memory", "1024", env={"TMPDIR": str(tmp_path)})
    [worker] = server.children()

    def spooled() -> list[str]:
        links = [link.readlink() for link in Path(f"/proc/{worker}/fd").iterdir() if link.is_symlink()]
        return [str(link) for link in links if str(link).startswith(str(tmp_path))]

    with Wire.to(server) as wire:
        wire.send(build_request("POST", "/body", ["Content-Length: 100000"]) + b"x" * 50_000)
        wait_until(lambda: bool(spooled()), "the body is in a file")
        assert list(tmp_path.iterdir()) == []
        assert wire.send(b"x" * 50_000).read_answer().body == b"x" * 100_000
    wait_until(lambda: not spooled(), "the file is closed")


def test_note_of_these_tests_is_left_when_the_application_is_called(pages: RunningServer) -> None:
    """The tests above look for the absence of a note: here is its presence."""
    name = new_name()
    assert ask(pages, f"/called?note={name}").status == 200
    assert read_note(pages, name).startswith("called")
    assert ask(pages, f"/noted?{name}").body == b"yes"


def test_vanished_client_is_seen_as_reset() -> None:
    """The tests above reset connections: a reset is what the other side sees."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
        Wire(stream).reset()
        with other, pytest.raises(ConnectionResetError):
            other.recv(1)
