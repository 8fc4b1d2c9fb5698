"""An application whose every route puts one particular strain on the server; what it waits for, the test decides."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# A wait that nobody ends is a failed test; this only bounds how long a stuck server lingers.
PATIENCE = 30.0

Environ = dict[str, Any]
Answer = Callable[[Environ], Iterable[bytes]]

_barriers: dict[str, threading.Barrier] = {}
_barriers_lock = threading.Lock()
_local = threading.local()


class Told:
    """A response body that tells the gate when it is closed."""

    def __init__(self, pieces: Iterable[bytes], name: str) -> None:
        self._pieces = iter(pieces)
        self._name = name

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        announce(self._name)


def announce(name: str) -> None:
    """Tell the gate that something has happened."""
    with socket.socket(socket.AF_UNIX) as gate:
        gate.settimeout(PATIENCE)
        gate.connect(os.environ["GATE"])
        gate.sendall(f"{name}\n".encode())


def hold(name: str) -> None:
    """Tell the gate that we are here, and wait to be let through."""
    with socket.socket(socket.AF_UNIX) as gate:
        gate.settimeout(PATIENCE)
        gate.connect(os.environ["GATE"])
        gate.sendall(f"{name}\n".encode())
        gate.recv(1)


def hello(environ: Environ) -> list[bytes]:
    return [b"hello\n"]


def wait(environ: Environ) -> list[bytes]:
    hold(environ["QUERY_STRING"] or "wait")
    return [b"waited\n"]


def meet(environ: Environ) -> list[bytes]:
    """Wait for as many calls as the query says, all inside the application at the same time."""
    parties = environ["QUERY_STRING"]
    with _barriers_lock:
        barrier = _barriers.setdefault(parties, threading.Barrier(int(parties)))
    barrier.wait(PATIENCE)
    return [b"met\n"]


def thread(environ: Environ) -> list[bytes]:
    """Describe the thread that runs the call, and how often it has run this one; held by the gate if asked."""
    _local.calls = getattr(_local, "calls", 0) + 1
    current = threading.current_thread()
    if environ["QUERY_STRING"]:
        hold(environ["QUERY_STRING"])
    told = {
        "name": current.name,
        "ident": current.ident,
        "native": current.native_id,
        "is_listed": current in threading.enumerate(),
        "is_main": current is threading.main_thread(),
        "is_dummy": type(current).__name__ == "_DummyThread",
        "calls": _local.calls,
    }
    return [json.dumps(told).encode()]


def drip(environ: Environ) -> Iterable[bytes]:
    """Send a piece, wait at the gate, send another; the gate also learns of the end."""

    def pieces() -> Iterator[bytes]:
        yield b"first\n"
        hold("drip")
        yield b"last\n"

    return Told(pieces(), "closed")


def read(environ: Environ) -> list[bytes]:
    announce("reading")
    body: bytes = environ["wsgi.input"].read()
    return [f"{len(body)}\n".encode()]


def length(environ: Environ) -> list[bytes]:
    body: bytes = environ["wsgi.input"].read()
    return [f"{len(body)}\n".encode()]


def whole(environ: Environ) -> list[bytes]:
    """As many bytes as the query says, at once."""
    return [b"x" * int(environ["QUERY_STRING"])]


def pieces(environ: Environ) -> Iterable[bytes]:
    """As many bytes as the query says, in pieces of 64 KiB; the gate learns of the end."""
    piece = b"x" * 65_536
    return Told((piece for _ in range(int(environ["QUERY_STRING"]) // len(piece))), "closed")


def pieces_then_hold(environ: Environ) -> Iterable[bytes]:
    """As `pieces`, and the gate before the end."""
    yield from pieces(environ)
    hold("hold")


def echo_path(environ: Environ) -> list[bytes]:
    return [environ["QUERY_STRING"].encode()]


def error(environ: Environ) -> list[bytes]:
    raise RuntimeError("asked for by the test")


def process(environ: Environ) -> list[bytes]:
    told = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "multithread": environ["wsgi.multithread"],
        "multiprocess": environ["wsgi.multiprocess"],
        "run_once": environ["wsgi.run_once"],
    }
    return [json.dumps(told).encode()]


def work(environ: Environ) -> list[bytes]:
    """A few milliseconds of waiting, as for a database: long enough to be in flight when something happens."""
    time.sleep(0.005)
    return [b"worked\n"]


def hang(environ: Environ) -> list[bytes]:
    """Keep the interpreter for good: no other thread of it runs any more."""
    announce("hang")
    while True:
        ctypes.PyDLL(None).pause()


ROUTES: dict[str, Answer] = {
    "/": hello,
    "/wait": wait,
    "/meet": meet,
    "/thread": thread,
    "/drip": drip,
    "/read": read,
    "/length": length,
    "/whole": whole,
    "/pieces": pieces,
    "/pieces-then-hold": pieces_then_hold,
    "/echo-path": echo_path,
    "/error": error,
    "/process": process,
    "/work": work,
    "/hang": hang,
}


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application: answers 200 with what the route says, or 404."""
    answer = ROUTES.get(environ["PATH_INFO"])
    if answer is None:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found\n"]
    body = answer(environ)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return body
