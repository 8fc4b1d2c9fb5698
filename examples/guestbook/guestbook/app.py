"""The WSGI application: routes, form, streams, files."""

from __future__ import annotations

import json
import os
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guestbook.page import render_page
from guestbook.served import Served, observe
from guestbook.store import Guestbook

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}

SHOWN_ENTRIES = 30
LONGEST_NAME = 60
LONGEST_MESSAGE = 500
LARGEST_FORM = 8_192
LONGEST_PAUSE_MS = 10_000
MOST_LINES = 1_000

SECURITY_HEADERS = (
    ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is started."""

    body: Iterable[bytes]
    type: str = "text/html; charset=utf-8"
    status: str = "200 OK"
    headers: Sequence[tuple[str, str]] = field(default=())


book = Guestbook(Path(os.environ.get("GUESTBOOK_DATABASE", HERE.parent / "guestbook.sqlite3")))


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request (PEP 3333)."""
    answer = route(environ, observe(environ))
    headers = [("Content-Type", answer.type), *SECURITY_HEADERS, *answer.headers]
    if isinstance(answer.body, list):
        headers.append(("Content-Length", str(sum(map(len, answer.body)))))
    start_response(answer.status, headers)
    return answer.body


def route(environ: Environ, served: Served) -> Answer:
    """Choose what answers a request."""
    path = environ.get("PATH_INFO") or "/"
    method = environ["REQUEST_METHOD"]
    if path == "/" and method == "POST":
        return sign(environ, served)
    if method not in {"GET", "HEAD"}:
        return refuse("405 Method Not Allowed", "GET and HEAD only, but for the form.", ("Allow", "GET, HEAD"))
    if path.startswith("/static/"):
        return serve_file(environ, path.removeprefix("/static/"))
    view = VIEWS.get(path)
    return view(environ, served) if view else refuse("404 Not Found", f"There is nothing at {path}.")


def show_book(environ: Environ, served: Served) -> Answer:
    """Show the page."""
    page = render_page(served, book.latest(SHOWN_ENTRIES), book.count())
    return Answer([page.encode()], headers=(("Cache-Control", "no-store"),))


def show_served(environ: Environ, served: Served) -> Answer:
    """Tell, in JSON, what served the request."""
    body = json.dumps(served.as_json(), indent=2).encode() + b"\n"
    return Answer([body], "application/json", headers=(("Cache-Control", "no-store"),))


def take_time(environ: Environ, served: Served) -> Answer:
    """Answer after a pause, as a call that waits for a database would."""
    pause = read_number(environ, "ms", 500, LONGEST_PAUSE_MS)
    time.sleep(pause / 1000)  # the purpose of this view
    return show_served(environ, served)


def stream_lines(environ: Environ, served: Served) -> Answer:
    """Send lines one by one, each as soon as it is made."""
    count = read_number(environ, "lines", 10, MOST_LINES)
    pause = read_number(environ, "ms", 200, LONGEST_PAUSE_MS)

    def lines() -> Iterator[bytes]:
        for number in range(1, count + 1):
            yield f"{number} of {count}, from worker {served.worker}\n".encode()
            if number < count:
                time.sleep(pause / 1000)

    return Answer(lines(), "text/plain; charset=utf-8")


def sign(environ: Environ, served: Served) -> Answer:
    """Take a signature, or show the form again with what is wrong."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > LARGEST_FORM:
        return refuse("413 Content Too Large", "That is more than a guestbook can take.")
    form = urllib.parse.parse_qs(environ["wsgi.input"].read(length).decode("utf-8", "replace"))
    name = form.get("name", [""])[0].strip()
    message = form.get("message", [""])[0].strip()
    problem = find_problem(name, message)
    if problem:
        page = render_page(served, book.latest(SHOWN_ENTRIES), book.count(), problem, name, message)
        return Answer([page.encode()], status="422 Unprocessable Content")
    book.sign(name, message)
    root = environ.get("SCRIPT_NAME", "") + "/"
    return Answer([b""], status="303 See Other", headers=(("Location", root + "#entries"),))


def find_problem(name: str, message: str) -> str:
    """Say what is wrong with a signature; empty if nothing is."""
    if not name or not message:
        return "A name and a message are both needed."
    if len(name) > LONGEST_NAME:
        return f"A name may have {LONGEST_NAME} characters; this one has {len(name)}."
    if len(message) > LONGEST_MESSAGE:
        return f"A message may have {LONGEST_MESSAGE} characters; this one has {len(message)}."
    return ""


def serve_file(environ: Environ, name: str) -> Answer:
    """Hand over a file of the static folder, by the server's own means where it has some."""
    # Known names only, so that no spelling of a path leads out of the folder.
    path = next((path for path in STATIC.iterdir() if path.name == name), None)
    if path is None or path.suffix not in TYPES:
        return refuse("404 Not Found", "There is no such file.")
    wrap = environ.get("wsgi.file_wrapper") or read_blocks
    headers = (("Content-Length", str(path.stat().st_size)), ("Cache-Control", "max-age=60"))
    return Answer(wrap(path.open("rb"), 65_536), TYPES[path.suffix], headers=headers)


def read_blocks(file: Any, size: int) -> Iterator[bytes]:  # noqa: ANN401 (whatever can be read)
    """Stand in for `wsgi.file_wrapper` where a server has none."""
    with file:
        yield from iter(lambda: file.read(size), b"")


def read_number(environ: Environ, name: str, default: int, most: int) -> int:
    """Read a whole number from the query, kept between 0 and `most`."""
    value = urllib.parse.parse_qs(environ.get("QUERY_STRING", "")).get(name, [""])[0]
    return min(int(value), most) if value.isascii() and value.isdigit() and len(value) < 10 else default


def refuse(status: str, reason: str, *headers: tuple[str, str]) -> Answer:
    """Answer with a status and one plain line."""
    return Answer([reason.encode() + b"\n"], "text/plain; charset=utf-8", status, headers)


VIEWS: Mapping[str, Callable[[Environ, Served], Answer]] = {
    "/": show_book,
    "/api/served": show_served,
    "/slow": take_time,
    "/stream": stream_lines,
}
