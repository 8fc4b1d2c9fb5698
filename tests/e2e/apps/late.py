"""A WSGI application that does not come to an end, in every way that there is."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import hostler
from tests.e2e.apps.robust import hold

Start = Callable[..., Any]
TEXT = [("Content-Type", "text/plain")]
# What requests leave behind for others of the same worker to tell.
NOTES: dict[str, str] = {}


def lock_up(library: ctypes.CDLL) -> None:
    """Lock what is locked already, in C."""
    mutex = ctypes.create_string_buffer(256)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Do what the path says."""
    return PLACES[environ["PATH_INFO"].split("/")[1]](environ, start_response)


def _say(start_response: Start, text: str) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [text.encode()]


def _quick(_: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    return _say(start_response, str(os.getpid()))


def _note(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    return _say(start_response, NOTES.get(environ["QUERY_STRING"], ""))


def _spin(_: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Python code without end."""
    try:
        while True:
            pass
    except Exception:  # noqa: BLE001 - what must not swallow it
        NOTES["spin"] = "swallowed"
    finally:
        NOTES.setdefault("spin", "left")
    return _say(start_response, "never")


def _sleep(_: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """A system call without end, without the GIL, that no signal ends."""
    lock_up(ctypes.CDLL(None))
    return _say(start_response, "never")


def _hold(_: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """A system call without end, with the GIL."""
    lock_up(ctypes.PyDLL(None))
    return _say(start_response, "never")


def _stream(_: dict[str, Any], start_response: Start) -> Iterator[bytes]:
    """A beginning, and then Python code without end."""
    start_response("200 OK", TEXT)
    yield b"begun"
    try:
        while True:
            pass
    finally:
        NOTES["stream"] = "left"


def _set(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    hostler.set_deadline(float(environ["QUERY_STRING"]))
    return _spin(environ, start_response)


def _key(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    environ["hostler.set_deadline"](float(environ["QUERY_STRING"]))
    return _spin(environ, start_response)


def _extend(_: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    hostler.set_deadline(None)
    time.sleep(1.2)
    return _say(start_response, "extended")


def _brink(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """End so long after the deadline: "DEADLINE,LONGER", in seconds."""
    deadline, longer = map(float, environ["QUERY_STRING"].split(","))
    until = time.monotonic() + deadline + longer
    hostler.set_deadline(deadline)
    while time.monotonic() < until:
        pass
    return _say(start_response, "in time")


def _calm(_: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Run some code that nothing may interrupt."""
    try:
        total = sum(number for number in range(20_000))
    except BaseException as error:
        NOTES["struck"] = repr(error)
        raise
    return _say(start_response, str(total))


def _gate(_: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Wait at the gate of the test, which so knows that we are here."""
    hold("late")
    return _say(start_response, "let through")


PLACES: dict[str, Callable[[dict[str, Any], Start], Iterable[bytes]]] = {
    "quick": _quick,
    "note": _note,
    "spin": _spin,
    "sleep": _sleep,
    "hold": _hold,
    "gate": _gate,
    "stream": _stream,
    "set": _set,
    "key": _key,
    "extend": _extend,
    "brink": _brink,
    "calm": _calm,
}
