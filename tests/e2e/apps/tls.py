"""Tells what it knows of TLS; answers of every shape."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

LARGE = b"".join(b"%09d\n" % number for number in range(1_000_000)) + b"the end\n"
FILE = Path(__file__).parents[1] / "test_tls.py"

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer by the path."""
    match environ["PATH_INFO"]:
        case "/unframed" | "/broken" as path:
            start_response("200 OK", [])
            return pieces(is_whole=path == "/unframed")
        case "/large":
            return whole(start_response, LARGE)
        case "/file":
            start_response("200 OK", [("Content-Length", str(FILE.stat().st_size * 50))])
            return files(environ)
        case "/echo":
            return whole(start_response, environ["wsgi.input"].read())
    shown = {name: value for name, value in environ.items() if name.startswith(("SSL_", "HTTPS", "REMOTE_ADDR"))}
    shown |= {"wsgi.url_scheme": environ["wsgi.url_scheme"], "pid": str(os.getpid())}
    return whole(start_response, "".join(f"{name}={flat(value)}\n" for name, value in shown.items()).encode())


def flat(value: str) -> str:
    """A value on one line."""
    return value.replace("\n", " ")


def whole(start_response: StartResponse, body: bytes) -> list[bytes]:
    """Answer with a body of known length."""
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def pieces(*, is_whole: bool) -> Iterator[bytes]:
    """A body without a length."""
    yield b"the beginning, "
    if not is_whole:
        raise RuntimeError("broken off on purpose")
    yield b"the end"


def files(environ: dict[str, Any]) -> Iterator[bytes]:
    """One file, fifty times."""
    for _ in range(50):
        with FILE.open("rb") as file:
            yield from environ["wsgi.file_wrapper"](file)
