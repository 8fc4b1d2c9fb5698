"""`send()`: what becomes of good messages on the wire, and of applications that end badly (ASGI "HTTP", RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conformance.asgi_ask import (
    END,
    MORE,
    PAGES,
    TEXT,
    Message,
    ask,
    new_name,
    read_literal,
    read_note,
    script_target,
)
from tests.conformance.wire import BrokenAnswerError, Wire, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, StartServer, start_server
from tests.e2e.vitals import MIB, resident_bytes


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pages(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop)) as server:
        yield server


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [*TEXT, *headers]}


def body(content: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % size)


# Framing


@pytest.mark.parametrize(
    "messages, whole, framings",
    [
        ([start(200, length(3)), END], b"end", {"length"}),
        ([start(200, length(8)), MORE, END], b"begunend", {"length"}),
        ([start(200, length(0)), body(b"")], b"", {"length"}),
        ([start(), END], b"end", {"length", "chunked"}),
        ([start(), body(b"")], b"", {"length", "chunked"}),
        ([start(), MORE, MORE, END], b"begunbegunend", {"chunked"}),
        ([start(), MORE, body(b"")], b"begun", {"chunked"}),
        ([start(), body(b"", more=True), body(b"", more=True), END], b"end", {"length", "chunked"}),
        ([start(), MORE, body(b"", more=True), END], b"begunend", {"chunked"}),
        ([start(), {"type": "http.response.body"}], b"", {"length", "chunked"}),
        ([start(), MORE, {"type": "http.response.body"}], b"begun", {"chunked"}),
        ([{"type": "http.response.start", "status": 200}, END], b"end", {"length", "chunked"}),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, set) else "",
)
def test_body_arrives_whole_and_the_connection_persists(
    pages: RunningServer, messages: list[Message], whole: bytes, framings: set[str]
) -> None:
    """RFC 9112 6: a length where it is known, chunks otherwise. ASGI: absent keys have their defaults."""
    with Wire.to(pages) as wire:
        for _ in range(2):
            answer = wire.ask("GET", script_target(messages))
            assert (answer.status, answer.body) == (200, whole)
            assert answer.framing in framings


def test_each_piece_is_sent_when_it_is_given(pages: RunningServer) -> None:
    gate = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/pieces?gate={gate}"))
        assert wire.read_head()[0] == 200
        assert wire.read_exactly(10) == b"5\r\nfirst\r\n"
        ask(pages, f"/open?{gate}")
        assert wire.read_rest_of_chunks() == b"secondthird"


def test_sent_bytes_may_change_afterwards(pages: RunningServer) -> None:
    assert ask(pages, "/view-memory").body == b"as it was"


@pytest.mark.parametrize("status", [200, 201, 299, 404, 418, 500, 503, 599])
def test_status_is_the_application_s(pages: RunningServer, status: int) -> None:
    """RFC 9112 4: with a reason phrase if there is one to the number."""
    assert ask(pages, script_target([start(status), END])).status == status


def test_headers_are_sent_as_given(pages: RunningServer) -> None:
    """ASGI "Response Start": bytes in order; latin-1 on the wire."""
    headers = [(b"set-cookie", b"a=1"), (b"x-name", b"caf\xe9"), (b"set-cookie", b"b=2"), (b"x-empty", b"")]
    answer = ask(pages, script_target([start(200, *headers), END]))
    sent = [pair for pair in answer.fields if pair[0] in {"set-cookie", "x-name", "x-empty"}]
    assert sent == [("set-cookie", "a=1"), ("x-name", "caf\xe9"), ("set-cookie", "b=2"), ("x-empty", "")]


@pytest.mark.parametrize(
    "headers", [[[b"x-a", b"1"]], ((b"x-a", b"1"),), ([b"x-a", b"1"],)], ids=["lists", "tuple", "tuple-of-lists"]
)
def test_headers_may_be_any_iterable_of_pairs(pages: RunningServer, headers: object) -> None:
    answer = ask(pages, script_target([{"type": "http.response.start", "status": 200, "headers": headers}, END]))
    assert (answer.value("x-a"), answer.body) == ("1", b"end")


def test_application_s_own_date_and_server_win(pages: RunningServer) -> None:
    own = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"), (b"server", b"mine")]
    answer = ask(pages, script_target([start(200, *own), END]))
    assert (answer.value("date"), answer.value("server")) == ("Thu, 01 Jan 1970 00:00:00 GMT", "mine")
    answer = ask(pages, "/ignore")
    assert answer.value("date")
    assert answer.value("server") == "hostler"


@pytest.mark.parametrize("name", [b"transfer-encoding", b"Transfer-Encoding"])
def test_transfer_coding_is_the_server_s(pages: RunningServer, name: bytes) -> None:
    """ASGI "Response Start": one that the application gives is dropped; the framing stays right."""
    with Wire.to(pages) as wire:
        for messages in ([start(200, (name, b"chunked")), MORE, END], [start(200, (name, b"gzip"), length(3)), END]):
            answer = wire.ask("GET", script_target(messages))
            assert answer.body.endswith(b"end")
            assert answer.framing in {"chunked", "length"}


@pytest.mark.parametrize("value", [b"keep-alive", b"x-hop", b"upgrade"])
def test_other_connection_headers_are_dropped(pages: RunningServer, value: bytes) -> None:
    """RFC 9110 7.6.1: they are about this connection, of which the application knows nothing."""
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", script_target([start(200, (b"connection", value)), END]))
        assert (answer.value("connection"), answer.body) == (None, b"end")
        assert wire.ask("GET", "/ignore").status == 200


@pytest.mark.parametrize("value", [b"close", b"Close"])
def test_connection_close_of_the_application_is_honoured(pages: RunningServer, value: bytes) -> None:
    """RFC 9112 9.6."""
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", script_target([start(200, (b"connection", value)), END]))
        assert (answer.body, answer.closes) == (b"end", True)
        wire.assert_ended()


# Answers without a body


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("messages", [[END], [MORE, END], [body(b"")]], ids=["whole", "pieces", "empty"])
def test_body_of_an_answer_that_has_none_is_not_sent(
    pages: RunningServer, status: int, messages: list[Message]
) -> None:
    """RFC 9110 15.3.5, 15.4.5; RFC 9112 6.3."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", script_target([start(status), *messages])))
        code, fields = wire.read_head()
        assert code == status
        assert "transfer-encoding" not in dict(fields)
        assert dict(fields).get("content-length", "0") == "0"
        # What follows is the next answer, and not a body.
        assert wire.ask("GET", "/ignore").body == b"ignored"


def test_content_length_of_204_is_left_out_and_of_304_kept(pages: RunningServer) -> None:
    """RFC 9110 8.6."""
    assert ask(pages, script_target([start(204, length(0)), body(b"")])).value("content-length") is None
    assert ask(pages, script_target([start(304, length(1234)), body(b"")])).value("content-length") == "1234"


@pytest.mark.parametrize("messages", [[body(b"0123456789")], [body(b"01234", more=True), body(b"56789")], [body(b"")]])
def test_head_gets_the_head_of_get_and_no_body(pages: RunningServer, messages: list[Message]) -> None:
    """RFC 9110 9.3.2: whether the application has left the body out itself or not."""
    target = script_target([start(200, length(10), (b"x-a", b"1")), *messages])
    with Wire.to(pages) as wire:
        answer = wire.ask("HEAD", target)
        assert (answer.value("content-length"), answer.value("x-a"), answer.body) == ("10", "1", b"")
        assert wire.ask("GET", "/ignore").body == b"ignored"


def test_head_of_a_stream_announces_no_wrong_length(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        assert wire.ask("HEAD", script_target([start(), MORE, END])).value("content-length") in {None, "8"}
        assert wire.ask("HEAD", script_target([start(), body(b"")])).value("content-length") in {None, "0"}
        assert wire.ask("GET", "/ignore").body == b"ignored"


# Versions and persistence


def test_http_1_0_is_never_sent_chunks(pages: RunningServer) -> None:
    """RFC 9112 6.1: the end of the body is the end of the connection."""
    target = script_target([start(), MORE, END])
    with Wire.to(pages) as wire:
        answer = wire.send(f"GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode()).read_answer()
        assert (answer.body, answer.framing, answer.closes) == (b"begunend", "close", True)


def test_http_1_0_with_keep_alive_persists_where_the_length_is_known(pages: RunningServer) -> None:
    """RFC 9112 9.3, C.2.2."""
    target = script_target([start(200, length(3)), END])
    with Wire.to(pages) as wire:
        for _ in range(2):
            answer = wire.send(f"GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode()).read_answer()
            assert (answer.body, answer.value("connection")) == (b"end", "keep-alive")


def test_client_s_connection_close_is_honoured(pages: RunningServer) -> None:
    """RFC 9112 9.6."""
    with Wire.to(pages) as wire:
        target = script_target([start(), MORE, END])
        answer = wire.send(build_request("GET", target, ["Connection: close"]) * 2).read_answer()
        assert (answer.body, answer.closes) == (b"begunend", True)
        wire.assert_ended()


def test_pipelined_requests_are_answered_in_order(pages: RunningServer) -> None:
    """RFC 9112 9.3.2: those that wait, fail or stream among them."""
    gate = new_name()
    targets = [f"/wait?{gate}", "/fail-later"]
    for number in range(30):
        text = b"%d" % number
        targets += [
            script_target([start(200, length(len(text))), body(text)]),
            script_target([start(), MORE, body(text)]),
        ]
    with Wire.to(pages) as wire:
        wire.send(b"".join(build_request("GET", target) for target in targets))
        read_note(pages, f"{gate}-arrived")
        ask(pages, f"/open?{gate}")
        assert wire.read_answer().body == b"waited"
        assert wire.read_answer().status == 500
        for number in range(30):
            assert wire.read_answer().text == f"{number}"
            assert wire.read_answer().text == f"begun{number}"


def test_requests_of_one_connection_do_not_overlap(pages: RunningServer) -> None:
    """The second is not given to the application before the first is answered, whatever it does afterwards."""
    first, second = new_name(), new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/wait?{first}") + build_request("GET", f"/wait?{second}"))
        read_note(pages, f"{first}-arrived")
        ask(pages, f"/open?{first}")
        assert wire.read_answer().body == b"waited"
        read_note(pages, f"{second}-arrived")
        ask(pages, f"/open?{second}")
        assert wire.read_answer().body == b"waited"


def test_call_that_goes_on_after_its_answer_does_not_hold_the_connection(pages: RunningServer) -> None:
    """A background task runs in the call of its request; the next request is served meanwhile."""
    gate = new_name()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", f"/background?{gate}").body == b"whole"
        assert wire.ask("GET", "/ignore").body == b"ignored"
    ask(pages, f"/open?{gate}")
    assert read_note(pages, f"{gate}-ended") == "went on"


def test_late_messages_of_a_request_never_reach_the_answer_to_the_next(pages: RunningServer) -> None:
    """Its answer is whole, and the connection is another request's by now."""
    late, other = new_name(), new_name()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", f"/send-late?gate={late}").body == b"first"
        wire.send(build_request("GET", f"/pieces?gate={other}"))
        assert wire.read_head()[0] == 200
        assert wire.read_exactly(10) == b"5\r\nfirst\r\n"
        ask(pages, f"/open?{late}")
        outcomes = read_literal(read_note(pages, f"{late}-ended"))
        ask(pages, f"/open?{other}")
        assert wire.read_rest_of_chunks() == b"secondthird"
        assert wire.ask("GET", "/ignore").body == b"ignored"
    assert outcomes[3] == "http.disconnect"
    assert "sent" not in outcomes[:3]


def test_loop_in_debug_mode_serves_the_same(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(PAGES, *asgi_options(loop), env={"PYTHONASYNCIODEBUG": "1"})
    gate = new_name()
    with Wire.to(server) as wire:
        assert wire.ask("GET", script_target([start(), MORE, END])).body == b"begunend"
        assert read_literal(wire.ask("POST", "/count", (), b"x" * 200_000).body)[0] == 200_000
        wire.send(build_request("GET", f"/wait?{gate}"))
        read_note(server, f"{gate}-arrived")
        ask(server, f"/open?{gate}")
        assert wire.read_answer().body == b"waited"
        assert wire.ask("GET", "/fail-later").status == 500
    assert server.stop() == 0
    assert server.stderr.wait_end().count("Traceback") == 1


# Large bodies


def test_sending_waits_for_a_client_that_does_not_read(pages: RunningServer) -> None:
    """Back-pressure: what the application has sent, and the kernel has not, is bounded."""
    name = new_name()
    (worker,) = pages.children()
    before = resident_bytes(worker)
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/held?note={name}"))
        taken = int(read_note(pages, name))
        # The kernel's buffers on both sides, and ours.
        assert taken < 16 * MIB
        assert resident_bytes(worker) - before < 8 * MIB
        answer = wire.read_answer()
        assert answer.body[-3:] == b"end"
        assert len(answer.body) == taken + 65_536 + 3


def test_sending_that_is_given_up_leaves_the_answer_whole(pages: RunningServer) -> None:
    """A timeout around send() cancels it: a piece is there whole or not at all, and the framing is right."""
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/give-up?note={name}"))
        sent = int(read_note(pages, name))
        body = wire.read_answer().body
        assert wire.ask("GET", "/ignore").body == b"ignored"
    assert body.endswith(b">end")
    pieces = body.removesuffix(b"end").split(b"><")
    assert sent <= len(pieces) <= sent + 5
    assert all(len(piece.strip(b"<>")) == 65_536 for piece in pieces)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_body_takes_little_memory(pages: RunningServer, framing: str) -> None:
    (worker,) = pages.children()
    before = resident_bytes(worker)
    count = 1600
    with Wire.to(pages) as wire:
        version = "1.1" if framing == "chunked" else "1.0"
        wire.send(f"GET /large?count={count} HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        assert wire.read_head()[0] == 200
        received = 0
        # A little of it came with the head.
        while received < (count - 2) * 65_536:
            received += len(wire.stream.recv(1 << 20)) or pytest.fail(f"the answer ended after {received} bytes")
        assert resident_bytes(worker) - before < 16 * MIB


def test_body_of_many_megabytes_in_one_message_arrives(pages: RunningServer) -> None:
    # Each byte is written as four characters.
    assert len(ask(pages, "/events", "POST", (), b"\xff" * (4 * MIB)).body) > 16 * MIB


# Content-Length that is not the body's


@pytest.mark.parametrize(
    "messages", [[body(b"0123456789")], [body(b"012", more=True), body(b"3456789")]], ids=["whole", "pieces"]
)
def test_body_longer_than_announced_is_cut_and_the_connection_closed(
    pages: RunningServer, messages: list[Message]
) -> None:
    """RFC 9112 6.3, 9.3: the tail is no next answer. The log says so."""
    seen = pages.stderr.text.count("sent more than its Content-Length of 4 bytes")
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", script_target([start(200, length(4)), *messages])) * 2)
        assert wire.read_answer().body == b"0123"
        wire.assert_ended()
    pages.stderr.wait_for("sent more than its Content-Length of 4 bytes", count=seen + 1)


def test_body_shorter_than_announced_is_visibly_broken(pages: RunningServer) -> None:
    """RFC 9112 8: the client must neither wait for ever nor take it for whole."""
    name = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", script_target([start(200, length(10)), MORE, END], name)) * 2)
        with pytest.raises(BrokenAnswerError):
            wire.read_answer()
    pages.stderr.wait_for("announced 10")


# Applications that end badly


@pytest.mark.parametrize("path", ["/fail", "/fail-later", "/fail-after-start", "/cancel-self"])
def test_error_before_the_answer_is_a_500_with_an_id_that_the_log_has_too(pages: RunningServer, path: str) -> None:
    """The traceback goes to the log once, and nothing of it to the client. The connection goes on."""
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", path)
        assert wire.ask("GET", "/ignore").status == 200
    assert answer.status == 500
    found = re.search(r"<code>([0-9a-f]+)</code>", answer.text)
    assert found is not None
    assert answer.value("set-cookie") is None
    assert "Error" not in answer.text.replace("Internal Server Error", "")
    log = pages.stderr.wait_for(f"[request {found[1]}]")
    assert log.count(found[1]) == 1
    assert "Traceback" in log.partition(f"[request {found[1]}]")[2][:200]


def test_application_cannot_take_the_worker_with_it(hostler_server: StartServer, loop: str) -> None:
    """SystemExit is an error of the application like others; those whom the worker serves beside it notice nothing."""
    server = hostler_server(PAGES, *asgi_options(loop))
    before = server.children()
    gate = new_name()
    with Wire.to(server) as wire:
        wire.send(build_request("GET", f"/wait?{gate}"))
        read_note(server, f"{gate}-arrived")
        assert ask(server, "/exit").status == 500
        ask(server, f"/open?{gate}")
        assert wire.read_answer().body == b"waited"
    assert server.children() == before


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_error_page_leaves_the_connection_in_order(pages: RunningServer, method: str) -> None:
    with Wire.to(pages) as wire:
        assert wire.ask(method, "/fail").status == 500
        assert wire.ask("GET", "/ignore").status == 200


@pytest.mark.parametrize("announced", ["", "1000"])
@pytest.mark.parametrize("path", ["/fail-midstream", "/unfinished"])
def test_answer_that_is_not_finished_is_visibly_broken(pages: RunningServer, path: str, announced: str) -> None:
    """RFC 9112 8: an answer without its last chunk, or shorter than announced, is incomplete."""
    raw = pages.exchange(build_request("GET", f"{path}?length={announced}"))
    head, _, content = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert content.count(b"begun") == 1
    assert not content.endswith(b"0\r\n\r\n")
    assert b"500" not in content
    pages.stderr.wait_for("LookupError: in the middle of the body" if "fail" in path else "http.response.body")


@pytest.mark.parametrize("path", ["/fail-midstream", "/unfinished"])
def test_unfinished_answer_to_http_1_0_ends_in_a_reset(pages: RunningServer, path: str) -> None:
    """RFC 9112 8: a body that the end of the connection delimits would look whole."""
    with Wire.to(pages) as wire, pytest.raises(ConnectionResetError):
        wire.send(f"GET {path} HTTP/1.0\r\n\r\n".encode()).read_answer()


@pytest.mark.parametrize("path", ["/silent", "/only-start"])
def test_application_that_returns_without_an_answer_is_a_500(pages: RunningServer, path: str) -> None:
    """The log names what was missing."""
    missing = "http.response.start" if path == "/silent" else "http.response.body"
    seen = pages.stderr.text.count(missing)
    with Wire.to(pages) as wire:
        assert wire.ask("GET", path).status == 500
        assert wire.ask("GET", "/ignore").status == 200
    pages.stderr.wait_for(missing, count=seen + 1)


def test_error_after_the_answer_is_logged_and_spoils_nothing(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        assert wire.ask("GET", "/fail-after-answer").body == b"whole"
        assert wire.ask("GET", "/ignore").body == b"ignored"
    pages.stderr.wait_for("LookupError: after the answer")


def test_error_is_logged_once(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(PAGES, *asgi_options(loop))
    for path in ("/fail", "/fail-midstream", "/fail-after-answer"):
        with Wire.to(server) as wire:
            wire.send(build_request("GET", path, ["Connection: close"])).read_rest()
    assert ask(server, "/fail-later").status == 500
    log = server.stderr.wait_for("LookupError: after a wait")
    assert log.count("Traceback (most recent call last)") == 4
    for error in ("before the answer", "in the middle of the body", "after the answer"):
        assert log.count(f"LookupError: {error}") == 1
    # What asyncio says about exceptions that nobody took.
    assert "never retrieved" not in log


def test_request_id_of_a_trusted_peer_is_on_the_error_page(pages: RunningServer) -> None:
    answer = ask(pages, "/fail", fields=("X-Request-Id: from-the-proxy_1.2",))
    assert "<code>from-the-proxy_1.2</code>" in answer.text
    pages.stderr.wait_for("[request from-the-proxy_1.2]")
