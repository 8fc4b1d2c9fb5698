"""Extensions: files by path and by descriptor, early hints, trailers, debug (ASGI "Extensions")."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.conformance.apps import asgi_pages
from tests.conformance.asgi_ask import END, MORE, PAGES, START, TEXT, Message, ask, new_name, read_note, script_target
from tests.conformance.wire import BrokenAnswerError, Wire, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, StartServer, start_server, wait_until
from tests.e2e.vitals import MIB, count_descriptors, resident_bytes


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def pages(loop: str) -> Iterator[RunningServer]:
    with start_server(PAGES, *asgi_options(loop)) as server:
        yield server


def path_target(path: Path | str, *headers: tuple[bytes, bytes], note: str = "", status: int = 200) -> str:
    return script_target(
        [
            {**START, "status": status, "headers": [*TEXT, *headers]},
            {"type": "http.response.pathsend", "path": str(path)},
        ],
        note,
    )


def file_target(path: Path, *parts: dict[str, Any] | bytes, length: str = "", note: str = "", status: int = 200) -> str:
    query = {"path": path, "parts": repr(list(parts)), "length": length, "note": note, "status": status}
    return "/file?" + urlencode(query)


# http.response.pathsend


@pytest.mark.parametrize("length", [(), ((b"content-length", b"100000"),)], ids=["", "length"])
def test_file_is_sent_by_its_path(
    pages: RunningServer, data_file: Path, length: tuple[tuple[bytes, bytes], ...]
) -> None:
    """ASGI "Path Send": it is the whole body, and its end; the connection goes on."""
    with Wire.to(pages) as wire:
        for _ in range(2):
            answer = wire.ask("GET", path_target(data_file, *length))
            assert answer.body == data_file.read_bytes()
            assert answer.value("content-length") in {"100000", None}


@pytest.mark.parametrize("size", [0, 1])
def test_small_file_is_sent_by_its_path(pages: RunningServer, tmp_path: Path, size: int) -> None:
    path = tmp_path / "small ä"
    path.write_bytes(b"x" * size)
    with Wire.to(pages) as wire:
        assert wire.ask("GET", path_target(path)).body == b"x" * size
        assert wire.ask("GET", "/ignore").body == b"ignored"


def test_large_file_takes_no_memory(pages: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(200 * MIB)
    (worker,) = pages.children()
    before = resident_bytes(worker)
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", path_target(path, (b"content-length", b"%d" % (200 * MIB)))))
        assert wire.read_head()[0] == 200
        for _ in range(200):
            assert len(wire.read_exactly(MIB)) == MIB
        assert resident_bytes(worker) - before < 8 * MIB
        assert wire.ask("GET", "/ignore").body == b"ignored"


def test_head_of_a_path_has_no_body(pages: RunningServer, data_file: Path) -> None:
    with Wire.to(pages) as wire:
        answer = wire.ask("HEAD", path_target(data_file, (b"content-length", b"100000")))
        assert answer.value("content-length") == "100000"
        assert wire.ask("GET", "/ignore").body == b"ignored"


def test_missing_file_is_an_error_that_names_it_and_a_500(pages: RunningServer, tmp_path: Path) -> None:
    """Nothing was sent yet."""
    path, note = tmp_path / "nowhere", new_name()
    with Wire.to(pages) as wire:
        assert wire.ask("GET", path_target(path, note=note)).status == 500
        assert wire.ask("GET", "/ignore").body == b"ignored"
    error = read_note(pages, note)
    assert error.startswith("FileNotFoundError: ")
    assert str(path) in error


def test_directory_is_no_file(pages: RunningServer, tmp_path: Path) -> None:
    note = new_name()
    assert ask(pages, path_target(tmp_path, note=note)).status == 500
    assert str(tmp_path) in read_note(pages, note)


def test_file_shorter_than_announced_is_visibly_broken(pages: RunningServer, data_file: Path) -> None:
    """RFC 9112 8."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", path_target(data_file, (b"content-length", b"100001"))))
        with pytest.raises(BrokenAnswerError):
            wire.read_answer()


def test_many_files_leave_no_descriptor_open(pages: RunningServer, data_file: Path) -> None:
    (worker,) = pages.children()
    with Wire.to(pages) as wire:
        wire.ask("GET", path_target(data_file))
        before = count_descriptors(worker)
        for _ in range(50):
            assert len(wire.ask("GET", path_target(data_file)).body) == 100_000
            assert len(wire.ask("GET", file_target(data_file, {})).body) == 100_000
        # The client may have all of a file before the server has closed it.
        wait_until(lambda: count_descriptors(worker) <= before, f"{before} descriptors as before")


def test_file_to_a_client_that_goes_away_is_closed(pages: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 * MIB)
    (worker,) = pages.children()
    ask(pages, "/ignore")
    before = count_descriptors(worker)
    for _ in range(5):
        wire = Wire.to(pages)
        wire.send(build_request("GET", path_target(path)))
        assert wire.read_head()[0] == 200
        wire.reset()
    wait_until(lambda: count_descriptors(worker) <= before, f"{before} descriptors as before")


# http.response.zerocopysend

PARTS: dict[str, tuple[list[dict[str, Any] | bytes], list[tuple[int, int] | bytes]]] = {
    "whole": ([{}], [(0, 100_000)]),
    "from-where-it-is": ([{"seek": 10}], [(10, 100_000)]),
    "offset": ([{"offset": 99_990}], [(99_990, 100_000)]),
    "offset-wins-over-position": ([{"seek": 50, "offset": 10, "count": 20}], [(10, 30)]),
    "count": ([{"count": 7}], [(0, 7)]),
    "offset-0": ([{"seek": 50, "offset": 0, "count": 10}], [(0, 10)]),
    "count-0": ([{"count": 0}, b"end"], [b"end"]),
    "count-beyond-the-end": ([{"offset": 99_000, "count": 5000}], [(99_000, 100_000)]),
    "several": ([{"offset": 90, "count": 10}, {"offset": 0, "count": 10}], [(90, 100), (0, 10)]),
    "between-bytes": ([b"<", {"offset": 5, "count": 5}, b"|", {"offset": 20, "count": 1}, b">"], []),
    "empty-bytes-last": ([{"count": 3}, b""], [(0, 3)]),
}
PARTS["between-bytes"][1].extend([b"<", (5, 10), b"|", (20, 21), b">"])


@pytest.mark.parametrize("case", PARTS)
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_parts_of_files_are_sent_by_descriptor(pages: RunningServer, data_file: Path, case: str, framing: str) -> None:
    """ASGI "Zero Copy Send": `offset` or the file's position, `count` or its end, in turn with bytes."""
    parts, wanted = PARTS[case]
    content = data_file.read_bytes()
    whole = b"".join(each if isinstance(each, bytes) else content[slice(*each)] for each in wanted)
    target = file_target(data_file, *parts, length=str(len(whole)) if framing == "length" else "")
    version = "1.0" if framing == "close" else "1.1"
    with Wire.to(pages) as wire:
        answer = wire.send(f"GET {target} HTTP/{version}\r\nHost: a\r\n\r\n".encode()).read_answer()
    assert answer.body == whole


def test_file_may_be_closed_once_it_was_sent(pages: RunningServer, tmp_path: Path) -> None:
    """The application closes its file after send() has returned, while the client has read nothing yet."""
    path, note = tmp_path / "large", new_name()
    path.write_bytes(b"".join(b"%015d\n" % number for number in range(20 * MIB // 16)))
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", file_target(path, {}, length=str(20 * MIB), note=note)))
        answer = wire.read_answer()
        assert answer.body == path.read_bytes()
    assert read_note(pages, note) == "sent"


@pytest.mark.parametrize("kind", ["memory", "text", "pipe", "closed"])
def test_what_is_no_regular_file_is_sent_or_refused_by_name(pages: RunningServer, kind: str) -> None:
    """ASGI "Zero Copy Send": an open file of bytes. What cannot be sent is an error; nothing was sent yet."""
    note = new_name()
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", f"/file-odd?kind={kind}&note={note}")
        assert wire.ask("GET", "/ignore").body == b"ignored"
    error = read_note(pages, note)
    if error == "sent":
        assert answer.body == {"pipe": b"through a pipe", "text": Path(asgi_pages.__file__).read_bytes()}[kind]
    else:
        assert answer.status == 500
        assert "file" in error


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("by", ["path", "descriptor"])
def test_file_of_an_answer_without_a_body_is_not_sent(
    pages: RunningServer, data_file: Path, status: int, by: str
) -> None:
    """RFC 9110 15.3.5, 15.4.5."""
    target = path_target(data_file, status=status) if by == "path" else file_target(data_file, {}, status=status)
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", target))
        assert wire.read_head()[0] == status
        assert wire.ask("GET", "/ignore").body == b"ignored"


def test_head_of_a_file_by_descriptor_has_no_body(pages: RunningServer, data_file: Path) -> None:
    with Wire.to(pages) as wire:
        answer = wire.ask("HEAD", file_target(data_file, {}, length="100000"))
        assert answer.value("content-length") == "100000"
        assert wire.ask("GET", "/ignore").body == b"ignored"


def test_file_that_shrinks_meanwhile_breaks_the_answer_off(pages: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 * MIB)
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", path_target(path, (b"content-length", b"%d" % (100 * MIB)))))
        assert wire.read_head()[0] == 200
        with path.open("r+b") as file:
            file.truncate(MIB)
        with pytest.raises((BrokenAnswerError, ConnectionResetError)):
            wire.read_exactly(100 * MIB)
    assert ask(pages, "/ignore").body == b"ignored"


# http.response.early_hint

HINT: Message = {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload", b"</app.js>; rel=preload"]}


def test_early_hints_are_a_103_before_the_answer(pages: RunningServer) -> None:
    """RFC 8297."""
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", script_target([HINT, HINT, START, END])))
        for _ in range(2):
            status, fields = wire.read_head()
            assert status == 103
            assert [pair for pair in fields if pair[0] == "link"] == [
                ("link", "</style.css>; rel=preload"),
                ("link", "</app.js>; rel=preload"),
            ]
            assert not {"content-length", "transfer-encoding", "connection"} & dict(fields).keys()
        answer = wire.read_answer()
        assert (answer.status, answer.body, answer.value("link")) == (200, b"end", None)
        assert wire.ask("GET", "/ignore").interim == ()


def test_early_hints_leave_at_once(pages: RunningServer) -> None:
    """That is what they are for: the answer is not there yet."""
    gate = new_name()
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", f"/hint-and-wait?{gate}"))
        assert wire.read_head()[0] == 103
        ask(pages, f"/open?{gate}")
        assert wire.read_answer().body == b"waited"


def test_early_hints_are_not_sent_to_http_1_0(pages: RunningServer) -> None:
    """RFC 9110 15.2: a server must not send a 1xx to an HTTP/1.0 client."""
    target = script_target([HINT, START, END])
    with Wire.to(pages) as wire:
        answer = wire.send(f"GET {target} HTTP/1.0\r\n\r\n".encode()).read_answer()
    assert (answer.interim, answer.body) == ((), b"end")


def test_error_after_early_hints_is_still_a_500(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        answer = wire.ask("GET", script_target([HINT, None]))
        assert (answer.interim, answer.status) == ((103,), 500)
        assert wire.ask("GET", "/ignore").status == 200


# http.response.trailers


def trailers(*headers: tuple[bytes, bytes], more: bool = False) -> Message:
    return {"type": "http.response.trailers", "headers": list(headers), "more_trailers": more}


ANNOUNCED: Message = {**START, "headers": [*TEXT, (b"trailer", b"x-sum, x-more")], "trailers": True}
WITH_TRAILERS = [MORE, END, trailers((b"x-sum", b"8"), more=True), trailers((b"x-more", b"yes"))]


def read_trailers(raw: bytes) -> tuple[bytes, list[bytes]]:
    """The content and the trailer lines of a chunked body (RFC 9112 7.1)."""
    content = b""
    while True:
        size, _, raw = raw.partition(b"\r\n")
        if size == b"0":
            break
        content += raw[: int(size, 16)]
        assert raw[int(size, 16) :].startswith(b"\r\n")
        raw = raw[int(size, 16) + 2 :]
    assert raw.endswith(b"\r\n\r\n")
    return content, raw[:-4].split(b"\r\n")


def test_trailers_follow_the_last_chunk(pages: RunningServer) -> None:
    """RFC 9110 6.5: to a client that has said that it takes them."""
    with Wire.to(pages) as wire:
        fields = ["TE: trailers", "Connection: TE, close"]
        wire.send(build_request("GET", script_target([ANNOUNCED, *WITH_TRAILERS]), fields))
        _, fields_sent = wire.read_head()
        assert dict(fields_sent)["transfer-encoding"] == "chunked"
        assert dict(fields_sent)["trailer"] == "x-sum, x-more"
        content, lines = read_trailers(wire.read_rest())
    assert content == b"begunend"
    assert [line.lower() for line in lines] == [b"x-sum: 8", b"x-more: yes"]


def test_connection_goes_on_after_trailers(pages: RunningServer) -> None:
    with Wire.to(pages) as wire:
        wire.send(build_request("GET", script_target([ANNOUNCED, *WITH_TRAILERS]), ["TE: trailers", "Connection: TE"]))
        assert wire.read_head()[0] == 200
        received = b""
        while b"yes\r\n\r\n" not in received:
            received += wire.read_exactly(1)
        assert wire.ask("GET", "/ignore").body == b"ignored"


@pytest.mark.parametrize(
    "request_line, framing", [("HEAD {} HTTP/1.1", "none"), ("GET {} HTTP/1.0", "close")], ids=["head", "http-1.0"]
)
def test_trailers_that_have_no_place_are_left_out(pages: RunningServer, request_line: str, framing: str) -> None:
    """RFC 9112 7.1.2: only chunks have room for them."""
    target = script_target([ANNOUNCED, *WITH_TRAILERS])
    with Wire.to(pages) as wire:
        wire.send(f"{request_line.format(target)}\r\nHost: a\r\nTE: trailers\r\n\r\n".encode())
        answer = wire.read_answer("HEAD" if framing == "none" else "GET")
        assert answer.framing == framing
        assert answer.body == (b"" if framing == "none" else b"begunend")


def test_answer_is_not_whole_before_its_trailers(pages: RunningServer) -> None:
    """ASGI "HTTP Trailers": announced, and then not sent."""
    with Wire.to(pages) as wire:
        target = script_target([ANNOUNCED, MORE, END])
        raw = wire.send(build_request("GET", target, ["TE: trailers", "Connection: TE"])).read_rest()
    assert raw.startswith(b"HTTP/1.1 ")
    assert not raw.endswith(b"0\r\n\r\n")
    pages.stderr.wait_for("http.response.trailers")


@pytest.mark.parametrize(
    "headers",
    [[(b"x-a", b"1\r\nx-injected: 1")], [("x-a", b"1")], [(b"content-length", b"3")], [(b"transfer-encoding", b"x")]],
    ids=["crlf", "str", "length", "coding"],
)
def test_bad_trailers_are_refused_by_name(pages: RunningServer, headers: list[tuple[object, object]]) -> None:
    """RFC 9110 6.5.1: none that frame the message."""
    note = new_name()
    message = {"type": "http.response.trailers", "headers": headers}
    with Wire.to(pages) as wire:
        target = script_target([ANNOUNCED, MORE, END, message], note)
        raw = wire.send(build_request("GET", target, ["TE: trailers", "Connection: TE"])).read_rest()
    assert b"x-injected: 1" not in raw
    assert not raw.endswith(b"0\r\n\r\n")
    assert str(headers[0][0]).strip("b'") in read_note(pages, note)


# http.response.debug


def test_debug_information_is_taken_in_development_and_not_sent(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(PAGES, *asgi_options(loop), command=("dev",))
    note = new_name()
    debug = {"type": "http.response.debug", "info": {"template": "secret"}}
    answer = ask(server, script_target([debug, START, END], note))
    assert (answer.status, answer.body) == (200, b"end")
    assert read_note(server, note) == "sent"
