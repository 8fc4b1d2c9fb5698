"""One small application for each thing that PEP 3333 says, found by its path; what happens unseen is left as a note.

`/note?NAME` waits until the note is there and answers with its text, so that a test can wait for what the client of
another connection cannot see.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any
from urllib.parse import parse_qs, unquote
from wsgiref.validate import WSGIWarning, validator

Environ = dict[str, Any]
Start = Callable[..., Any]
Page = Callable[[Environ, Start], Iterable[bytes]]

TEXT = [("Content-Type", "text/plain")]
NOTE_PATIENCE = 10.0

_PAGES: dict[str, Page] = {}
_notes: dict[str, str] = {}
_noted = threading.Condition()


def page(path: str) -> Callable[[Page], Page]:
    """Put an application under a path."""

    def register(application: Page) -> Page:
        _PAGES[path] = application
        return application

    return register


def note(name: str, text: str = "") -> None:
    """Leave a note, and wake who waits for it."""
    with _noted:
        _notes[name] = _notes.get(name, "") + text
        _noted.notify_all()


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Call the page of this path."""
    found = _PAGES.get(environ["PATH_INFO"], view)
    return found(environ, start_response)


def argument(environ: Environ, name: str, default: str = "") -> str:
    """One value of the query."""
    values: list[str] = parse_qs(environ["QUERY_STRING"], keep_blank_values=True).get(name, [default])
    return values[0]


@page("/note")
def wait_note(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Wait for a note."""
    name = unquote(environ["QUERY_STRING"])
    with _noted:
        found = _noted.wait_for(lambda: name in _notes, NOTE_PATIENCE)
        text = _notes.get(name, "")
    start_response("200 OK" if found else "504 No such note", TEXT)
    return [text.encode()]


@page("/noted")
def is_noted(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Look for a note without waiting."""
    with _noted:
        found = unquote(environ["QUERY_STRING"]) in _notes
    start_response("200 OK", TEXT)
    return [b"yes" if found else b"no"]


@page("/view")
def view(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """The environ, as far as JSON can hold it."""
    plain = {name: value for name, value in environ.items() if isinstance(value, str | bool | int | tuple)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(plain).encode()]


@page("/pid")
def process(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [str(os.getpid()).encode()]


# Iterables


@page("/list")
def one_list(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [b"one ", b"", b"two"]


@page("/tuple")
def one_tuple(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return (b"one ", b"two")


@page("/generator")
def generator(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return (piece for piece in (b"one ", b"two"))


@page("/empty-list")
def empty_list(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return []


@page("/empty-generator")
def empty_generator(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return iter(())


@page("/many")
def many(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return (b"%d," % number for number in range(5000))


@page("/large")
def large(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [bytes(range(256)) * 16384]


@page("/large-pieces")
def large_pieces(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return (bytes([number]) * 300_000 for number in range(20))


@page("/empty-first")
def empty_first(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return iter((b"", b"", b"text", b""))


@page("/late")
def late(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """A generator: nothing runs before the first iteration."""
    start_response("202 Late", [*TEXT, ("X-Late", "yes")])
    yield b"late"


@page("/late-and-empty")
def late_and_empty(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("202 Late", TEXT)
    yield from ()


@page("/never")
def never(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return [b"nobody started this"]


@page("/never-generator")
def never_generator(environ: Environ, start_response: Start) -> Iterator[bytes]:
    yield b"nobody started this"


@page("/str")
def text_body(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return ["not bytes"]  # type: ignore[list-item]


@page("/str-in-generator")
def text_in_generator(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return iter(("not bytes",))  # type: ignore[return-value]


@page("/none")
def no_iterable(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return None  # type: ignore[return-value]


class Sized:
    """An iterable of a known number of pieces that is no list."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter((b"sized",))


@page("/sized")
def sized(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return Sized()


@page("/wait-between")
def wait_between(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Yield, wait for a note, and yield again."""
    name = argument(environ, "note")
    start_response("200 OK", TEXT)
    yield b"first"
    with _noted:
        if not _noted.wait_for(lambda: name in _notes, NOTE_PATIENCE):
            raise TimeoutError(name)
    yield b"second"


@page("/leave-note")
def leave_note(environ: Environ, start_response: Start) -> Iterable[bytes]:
    note(argument(environ, "note"))
    start_response("204 Left", [])
    return []


# start_response and write


@page("/exc-info-before")
def replaced(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("X-First", "yes")])
    try:
        raise LookupError("before anything was sent")
    except LookupError:
        start_response("503 Replaced", [*TEXT, ("X-Second", "yes")], sys.exc_info())
    return [b"the error page"]


@page("/exc-info-after")
def too_late(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    yield b"the beginning"
    error = LookupError("after the head was sent")
    try:
        raise error
    except LookupError:
        try:
            start_response("503 Replaced", TEXT, sys.exc_info())
        except LookupError as raised:
            note(argument(environ, "note"), "same" if raised is error else "another")
            raise


@page("/exc-info-alone")
def first_with_exc_info(environ: Environ, start_response: Start) -> Iterable[bytes]:
    try:
        raise LookupError("before start_response")
    except LookupError:
        start_response("503 First", TEXT, sys.exc_info())
    return [b"the error page"]


@page("/twice")
def twice(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    start_response("200 OK", TEXT)
    return [b"unreachable"]


@page("/twice-caught")
def twice_caught(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 First", TEXT)
    try:
        start_response("200 Second", TEXT)
    except Exception as error:  # noqa: BLE001 - the test asks which
        return [type(error).__name__.encode()]
    return [b"accepted"]


@page("/write")
def write(environ: Environ, start_response: Start) -> Iterable[bytes]:
    written = start_response("200 OK", TEXT)
    written(b"one ")
    written(b"")
    written(b"two ")
    return [b"three"]


@page("/write-with-length")
def write_with_length(environ: Environ, start_response: Start) -> Iterable[bytes]:
    written = start_response("200 OK", [*TEXT, ("Content-Length", "7")])
    written(b"one ")
    written(b"two")
    return []


@page("/write-str")
def write_text(environ: Environ, start_response: Start) -> Iterable[bytes]:
    written = start_response("200 OK", TEXT)
    try:
        written("text")
    except TypeError as error:
        return [str(error).encode()]
    return [b"accepted"]


@page("/keywords")
def keywords(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """PEP 3333: the parameters are positional."""
    start_response("200 OK", TEXT, None)
    return [b"None is no exc_info"]


HEADS: dict[str, tuple[Any, Any]] = {
    "status-not-str": (b"200 OK", []),
    "status-without-phrase": ("200", []),
    "status-not-a-number": ("OK", []),
    "status-short": ("20 OK", []),
    "status-too-small": ("099 Low", []),
    "status-interim": ("103 Early Hints", []),
    "status-with-newline": ("200 OK\r\nX-Injected: yes", []),
    "status-not-latin-1": ("200 \u20ac", []),
    "headers-not-a-list": ("200 OK", (("X-A", "a"),)),
    "header-not-a-tuple": ("200 OK", [["X-Pair", "a"]]),
    "header-of-three": ("200 OK", [("X-Three", "a", "b")]),
    "name-not-str": ("200 OK", [(b"X-Bytes-Name", "a")]),
    "value-not-str": ("200 OK", [("X-Number", 1)]),
    "value-bytes": ("200 OK", [("X-Bytes", b"a")]),
    "value-none": ("200 OK", [("X-None", None)]),
    "name-not-latin-1": ("200 OK", [("X-\u20ac", "a")]),
    "name-empty": ("200 OK", [("", "a")]),
    "name-with-space": ("200 OK", [("X Space", "a")]),
    "name-with-colon": ("200 OK", [("X-Colon:", "a")]),
    "name-with-newline": ("200 OK", [("X-Break\r\nX-Injected", "a")]),
    "value-not-latin-1": ("200 OK", [("X-Euro", "\u20ac")]),
    "value-with-crlf": ("200 OK", [("X-Split", "a\r\nX-Injected: yes")]),
    "value-with-lf": ("200 OK", [("X-Split-Lf", "a\nX-Injected: yes")]),
    "value-with-cr": ("200 OK", [("X-Split-Cr", "a\rb")]),
    "value-with-nul": ("200 OK", [("X-Nul", "a\0b")]),
    "value-with-escape": ("200 OK", [("X-Escape", "a\x1b[2Jb")]),
    "hop-connection": ("200 OK", [("Connection", "keep-alive")]),
    "hop-keep-alive": ("200 OK", [("Keep-Alive", "timeout=5")]),
    "hop-transfer-encoding": ("200 OK", [("transfer-encoding", "chunked")]),
    "hop-te": ("200 OK", [("TE", "trailers")]),
    "hop-trailer": ("200 OK", [("Trailer", "X-A")]),
    "hop-upgrade": ("200 OK", [("Upgrade", "h2c")]),
    "hop-proxy-authenticate": ("200 OK", [("Proxy-Authenticate", "Basic")]),
    "hop-proxy-authorization": ("200 OK", [("Proxy-Authorization", "Basic")]),
    "length-not-a-number": ("200 OK", [("Content-Length", "ten")]),
    "length-negative": ("200 OK", [("Content-Length", "-1")]),
    "length-twice": ("200 OK", [("Content-Length", "2"), ("Content-Length", "3")]),
}


@page("/head")
def try_head(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Try a head that may be refused, and tell how."""
    status, headers = HEADS[argument(environ, "name")]
    try:
        start_response(status, headers)
    except Exception as error:  # noqa: BLE001 - the test asks which
        start_response("200 OK", TEXT)
        return [f"{type(error).__name__}: {error}".encode()]
    return [b"accepted"]


@page("/head-uncaught")
def use_head(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response(*HEADS[argument(environ, "name")])
    return [b"accepted"]


@page("/respond")
def respond(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Answer as the query says: `status`, `header` (several, NAME:VALUE), `body`, and `kind` of the iterable."""
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True, encoding="latin-1")
    headers = [(name, value) for name, _, value in (line.partition(":") for line in query.get("header", []))]
    body = query.get("body", [""])[0].encode("latin-1")
    written = start_response(query.get("status", ["200 OK"])[0], headers)
    kind = query.get("kind", ["list"])[0]
    if kind == "write":
        written(body)
        return []
    half = len(body) // 2
    return [body] if kind == "list" else iter((body[:half], body[half:]))


# The end of a body


class Closable:
    """A body whose close() leaves a note."""

    def __init__(self, pieces: Iterable[bytes], name: str, error: Exception | None = None) -> None:
        self._pieces = iter(pieces)
        self._name = name
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        note(self._name, "closed")
        if self._error is not None:
            raise self._error


@page("/close")
def closable(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return Closable((b"one ", b"two"), argument(environ, "note"))


class ClosableList(list[bytes]):
    """A list with close(): some middleware returns such."""

    name = ""

    def close(self) -> None:
        note(self.name, "closed")


@page("/close-list")
def closable_list(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    body = ClosableList([b"one ", b"two"])
    body.name = argument(environ, "note")
    return body


def _fail_after(count: int) -> Iterator[bytes]:
    yield from [b"piece "] * count
    raise LookupError("in the middle of the body")


@page("/close-after-error")
def closable_error(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return Closable(_fail_after(int(argument(environ, "after"))), argument(environ, "note"))


@page("/close-unstarted")
def closable_unstarted(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return Closable((b"text",), argument(environ, "note"))


@page("/close-endless")
def closable_endless(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Goes on for ever: only the client's going away can end it."""
    start_response("200 OK", TEXT)
    return Closable(iter(lambda: bytes(65536), None), argument(environ, "note"))


@page("/close-fails")
def close_fails(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return Closable((b"whole",), argument(environ, "note"), LookupError("in close()"))


# Errors


@page("/fail")
def fail(environ: Environ, start_response: Start) -> Iterable[bytes]:
    raise LookupError("before start_response")


@page("/fail-after-start")
def fail_after_start(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [*TEXT, ("X-First", "yes"), ("Set-Cookie", "secret=1")])
    raise LookupError("after start_response")


@page("/fail-midstream")
def fail_midstream(environ: Environ, start_response: Start) -> Iterable[bytes]:
    length = argument(environ, "length")
    start_response("200 OK", [*TEXT, ("Content-Length", length)] if length else TEXT)
    return _fail_after(2)


@page("/exit")
def leave(environ: Environ, start_response: Start) -> Iterable[bytes]:
    sys.exit("the application wants to leave")


# wsgi.input


@page("/body")
def echo_body(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Read all of the body and send it back; leave a note of what went wrong."""
    name = argument(environ, "note")
    try:
        data = environ["wsgi.input"].read()
    except OSError as error:
        note(name, f"{type(error).__name__}: {error}")
        raise
    if name:
        note(name, f"read {len(data)}")
    start_response("200 OK", [*TEXT, ("X-Content-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [data]


@page("/unread")
def unread(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    return [b"not read"]


@page("/read-some")
def read_some(environ: Environ, start_response: Start) -> Iterable[bytes]:
    data = environ["wsgi.input"].read(int(argument(environ, "size")))
    start_response("200 OK", TEXT)
    return [data]


@page("/called")
def called(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Leave a note of the call before anything is read."""
    note(argument(environ, "note"), "called")
    return echo_body(environ, start_response)


@page("/duplex")
def duplex(environ: Environ, start_response: Start) -> Iterator[bytes]:
    """Send each line back as soon as it was read."""
    start_response("200 OK", TEXT)
    while line := environ["wsgi.input"].readline():
        yield line


@page("/hold")
def hold(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Wait for a note before the body is read."""
    name = argument(environ, "note")
    with _noted:
        if not _noted.wait_for(lambda: name in _notes, NOTE_PATIENCE):
            raise TimeoutError(name)
    total = 0
    while data := environ["wsgi.input"].read(65536):
        total += len(data)
    start_response("200 OK", TEXT)
    return [b"%d" % total]


def run_operations(body: IO[bytes] | io.BytesIO, operations: list[list[Any]]) -> list[Any]:
    """Use a file-like object as told; what each operation returned, as latin-1 text."""
    results: list[Any] = []
    for name, *arguments in operations:
        value = next(body, b"") if name == "next" else getattr(body, name)(*arguments)
        if isinstance(value, list):
            results.append([line.decode("latin-1") for line in value])
        else:
            results.append(value.decode("latin-1"))
    return results


@page("/operations")
def operations(environ: Environ, start_response: Start) -> Iterable[bytes]:
    results = run_operations(environ["wsgi.input"], json.loads(unquote(environ["QUERY_STRING"])))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(results).encode()]


@page("/lines")
def lines(environ: Environ, start_response: Start) -> Iterable[bytes]:
    found = [len(line) for line in environ["wsgi.input"]]
    start_response("200 OK", TEXT)
    return [json.dumps(found).encode()]


@page("/errors")
def errors(environ: Environ, start_response: Start) -> Iterable[bytes]:
    stream = environ["wsgi.errors"]
    stream.write("written to wsgi.errors\n")
    stream.writelines(["line one of two\n", "line two of two\n"])
    stream.flush()
    start_response("200 OK", TEXT)
    return [b"written"]


# wsgi.file_wrapper


class UnreadableFile(io.FileIO):
    """A file whose bytes must not pass through Python."""

    name_of_note = ""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("read() was called")

    def close(self) -> None:
        note(self.name_of_note, "closed")
        super().close()


@page("/file")
def send_file(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Send a regular file from an offset, with an optional Content-Length."""
    file = UnreadableFile(argument(environ, "path"))
    file.name_of_note = argument(environ, "note")
    file.seek(int(argument(environ, "offset", "0")))
    length = argument(environ, "length")
    start_response("200 OK", [*TEXT, ("Content-Length", length)] if length else TEXT)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 4096)
    return wrapped


class NotedBytes(io.BytesIO):
    """Bytes in memory, whose close() leaves a note."""

    name_of_note = ""

    def close(self) -> None:
        note(self.name_of_note, "closed")
        super().close()


@page("/file-in-memory")
def send_memory(environ: Environ, start_response: Start) -> Iterable[bytes]:
    file = NotedBytes(b"0123456789" * 1000)
    file.name_of_note = argument(environ, "note")
    file.seek(5)
    start_response("200 OK", TEXT)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
    return wrapped


class OnlyRead:
    """The least that PEP 3333 asks of a file-like object."""

    def __init__(self) -> None:
        self._left = [b"only ", b"read"]

    def read(self, size: int) -> bytes:
        return self._left.pop(0) if self._left else b""


@page("/file-only-read")
def send_only_read(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](OnlyRead(), 3)
    return wrapped


@page("/file-compressed")
def send_decompressed(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Send what a compressed file contains: it has a descriptor, which yields other bytes."""
    start_response("200 OK", TEXT)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](gzip.GzipFile(argument(environ, "path")))
    return wrapped


# wsgiref.validate


def _validate_inner(environ: Environ, start_response: Start) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(1 << 20)
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    return [b"valid ", body]


def validated(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """An application between two validators' assertions; a warning of theirs is an error too."""
    warnings.simplefilter("error", WSGIWarning)
    checked: Iterable[bytes] = validator(_validate_inner)(environ, start_response)
    return checked
