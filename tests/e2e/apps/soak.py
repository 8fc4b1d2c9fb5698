"""The application of the soak test: every way to answer, each with a body that the client can compute."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]


# Never set: waiting on it is how a call takes its time.
_never = threading.Event()

_calls = itertools.count(1)


class Kept(threading.local):
    """What this thread's former exchanges left, which are over by the time that the thread has another request."""

    def __init__(self) -> None:
        self.exchanges: list[tuple[StartResponse, Callable[[bytes], object], Any]] = []


kept = Kept()


def pattern(seed: int, size: int) -> bytes:
    """Bytes that differ from those of any other seed, and from themselves at another place."""
    block = b"".join(b"%08x:%08x;" % (seed, n) for n in range(min(size, 65_536) // 18 + 1))
    return (block * (size // len(block) + 1))[:size]


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Dispatch on the first segment of the path; `seed` and `size` say what to answer."""
    query = parse_qs(environ["QUERY_STRING"])
    seed, size = int(query.get("seed", ["0"])[0]), int(query.get("size", ["0"])[0])
    return ENDPOINTS[environ["PATH_INFO"].strip("/")](environ, start_response, seed, size)


def _plain(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [pattern(seed, size)]


def _slow(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    _never.wait(seed % 40 / 1000)  # the application's own work
    start_response("200 OK", [])
    return [pattern(seed, size)]


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 30_011):
        yield b""
        yield data[at : at + 30_011]


def _stream(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [])
    return _pieces(pattern(seed, size))


def _sized(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(size))])
    return _pieces(pattern(seed, size))


def _over(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(size))])
    return _pieces(pattern(seed, size + 100))


def _short(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(size + 1))])
    return _pieces(pattern(seed, size))


def _written(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    write = start_response("200 OK", [])
    data = pattern(seed, size)
    write(data[: size // 2])
    return [data[size // 2 :]]


def _file(environ: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the server
    file.write(pattern(seed, size))
    file.seek(0)
    start_response("200 OK", [])
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
    return wrapped


def _upload(environ: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    digest, total = hashlib.sha256(), 0
    while data := environ["wsgi.input"].read(10_007 + seed % 50_000):
        digest.update(data)
        total += len(data)
    start_response("200 OK", [])
    return [f"{total} {digest.hexdigest()}\n".encode(), pattern(seed, size)]


def _echo(environ: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [])
    return iter(lambda: environ["wsgi.input"].read(8192), b"")


def _hasty(environ: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    """Begins its answer before it asks for the body."""
    start_response("200 OK", [])
    yield pattern(seed, size)
    yield environ["wsgi.input"].read()


def _late(environ: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    """Reads `size` bytes of its body after `seed` milliseconds of something else, and then the rest."""
    _never.wait(seed / 1000)
    start_response("200 OK", [])
    yield environ["wsgi.input"].read(size)
    yield environ["wsgi.input"].read()


def _count(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    """Answers with how many of these calls there were, after `seed` milliseconds."""
    _never.wait(seed / 1000)
    start_response("200 OK", [])
    return [b"%d" % next(_calls)]


def _endless(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(size))])
    while True:
        yield pattern(seed, 1000)


def _ignored(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    """Answers without a look at the body."""
    start_response("200 OK", [])
    return [pattern(seed, size)]


def _fail(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    kinds: list[BaseException] = [ValueError("x"), SystemExit(1), GeneratorExit(), KeyboardInterrupt()]
    start_response("200 OK", [])
    raise kinds[seed % len(kinds)]


def _broken(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    start_response("200 OK", [])
    yield pattern(seed, size)
    raise ValueError("in the middle")


def _nothing(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    if seed % 2:
        start_response("200 OK", [])
    return None  # type: ignore[return-value]


def _keep(environ: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    """Keeps what belongs to this exchange, for `_haunt`."""
    write = start_response("200 OK", [])
    kept.exchanges.append((start_response, write, environ["wsgi.input"]))
    return _pieces(pattern(seed, size))


def _haunt(_: Environ, start_response: StartResponse, seed: int, size: int) -> Iterable[bytes]:
    """Writes into exchanges that are over, which must reach nobody."""
    write = start_response("200 OK", [])
    write(pattern(seed, size // 2))
    heard = 0
    for former, old_write, old_input in kept.exchanges[-5:]:
        for wrong in (
            lambda old=old_write: old(b"a ghost"),
            lambda old=former: old("200 OK", []),
            old_input.read,
        ):
            try:
                wrong()
            except (RuntimeError, AssertionError, OSError):
                heard += 1
    del kept.exchanges[:-5]
    return [pattern(seed, size)[size // 2 :]]


ENDPOINTS: dict[str, Callable[[Environ, StartResponse, int, int], Iterable[bytes]]] = {
    "plain": _plain,
    "slow": _slow,
    "stream": _stream,
    "sized": _sized,
    "over": _over,
    "short": _short,
    "written": _written,
    "file": _file,
    "upload": _upload,
    "echo": _echo,
    "hasty": _hasty,
    "late": _late,
    "count": _count,
    "endless": _endless,
    "ignored": _ignored,
    "fail": _fail,
    "broken": _broken,
    "nothing": _nothing,
    "keep": _keep,
    "haunt": _haunt,
}
