"""A bare application that tells what reached it: environ, body, connection."""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.e2e.apps.robust import hold

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Answer = tuple[str, Headers, Iterable[bytes]]

ETAG = '"v1"'
CONTENT = bytes(range(256)) * 4
BLOCK = 65_536


def show_environ(environ: Environ) -> Answer:
    told = {name: value for name, value in environ.items() if isinstance(value, str | bool | int)}
    return "200 OK", [("Content-Type", "application/json")], [json.dumps(told).encode()]


def digest(environ: Environ) -> Answer:
    """Read the body in blocks; tell its size and SHA-256."""
    sha256, size = hashlib.sha256(), 0
    while block := environ["wsgi.input"].read(BLOCK):
        sha256.update(block)
        size += len(block)
    told = {"size": size, "sha256": sha256.hexdigest(), "content_length": environ.get("CONTENT_LENGTH", "")}
    return "200 OK", [("Content-Type", "application/json")], [json.dumps(told).encode()]


def large(environ: Environ) -> Answer:
    """As many bytes as the query says, in blocks, the length told beforehand."""
    size = int(environ["QUERY_STRING"])
    blocks = (bytes([index % 251]) * min(BLOCK, size - start) for index, start in enumerate(range(0, size, BLOCK)))
    return "200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))], blocks


def drip(environ: Environ) -> Answer:
    """A piece, a wait at the test's gate, another piece."""

    def pieces() -> Iterator[bytes]:
        yield b"first\n"
        hold("drip")
        yield b"last\n"

    return "200 OK", [("Content-Type", "text/plain")], pieces()


def cached(environ: Environ) -> Answer:
    if environ.get("HTTP_IF_NONE_MATCH") == ETAG:
        return "304 Not Modified", [("ETag", ETAG)], []
    return "200 OK", [("Content-Type", "text/plain"), ("ETag", ETAG), ("Content-Length", "6")], [b"fresh\n"]


def ranged(environ: Environ) -> Answer:
    """One range of the form `bytes=A-B`, as an application that knows ranges answers it."""
    wanted = environ.get("HTTP_RANGE")
    if not wanted:
        return "200 OK", [("Accept-Ranges", "bytes"), ("Content-Length", str(len(CONTENT)))], [CONTENT]
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    part = CONTENT[int(first) : int(last) + 1]
    span = f"bytes {first}-{last}/{len(CONTENT)}"
    return "206 Partial Content", [("Content-Range", span), ("Content-Length", str(len(part)))], [part]


def redirect(environ: Environ) -> Answer:
    """To an absolute address made from the environ as PEP 3333 URL reconstruction says."""
    prefix = urllib.parse.quote(environ.get("SCRIPT_NAME", ""))
    return "302 Found", [("Location", f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{prefix}/there")], []


def crash(environ: Environ) -> Answer:
    raise RuntimeError("the stable door was left open")


ROUTES: dict[str, Callable[[Environ], Answer]] = {
    "/environ": show_environ,
    "/digest": digest,
    "/large": large,
    "/drip": drip,
    "/cached": cached,
    "/ranged": ranged,
    "/redirect": redirect,
    "/crash": crash,
}


def app(environ: Environ, start_response: Callable[[str, Headers], object]) -> Iterable[bytes]:
    """The application: what ROUTES says, the environ for every path that it does not know."""
    status, headers, body = ROUTES.get(environ["PATH_INFO"], show_environ)(environ)
    start_response(status, headers)
    return body
