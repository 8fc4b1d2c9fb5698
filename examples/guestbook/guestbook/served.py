"""Finds out what serves a request: process, thread, connection, headers."""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
import os
import platform
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

STARTED = time.monotonic()

# next() on a counter is one step of the interpreter, so that threads need no lock around it.
_REQUESTS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Served:
    """The facts of one request."""

    server: str
    python: str
    worker: int
    thread: str
    request_id: str
    request_number: int
    worker_uptime: float
    protocol: str
    client: str
    headers: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """Lay it out for JSON."""
        return {**asdict(self), "headers": [list(header) for header in self.headers]}


def observe(environ: Mapping[str, Any]) -> Served:
    """Gather the facts, counting the request."""
    return Served(
        server=name_server(environ.get("SERVER_SOFTWARE") or "unknown"),
        python=platform.python_version(),
        worker=os.getpid(),
        thread=threading.current_thread().name,
        request_id=environ.get("hostler.request_id") or environ.get("HTTP_X_REQUEST_ID") or "none",
        request_number=next(_REQUESTS),
        worker_uptime=time.monotonic() - STARTED,
        protocol=environ.get("SERVER_PROTOCOL", "unknown"),
        client=_client(environ),
        headers=tuple(sorted(_headers(environ))),
    )


@functools.cache
def name_server(software: str) -> str:
    """Add the version to a server's name where it does not tell it but is installed as a package."""
    if "/" in software:
        return software
    try:
        return f"{software}/{importlib.metadata.version(software)}"
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return software


def _client(environ: Mapping[str, Any]) -> str:
    address = environ.get("REMOTE_ADDR") or "a unix socket"
    port = environ.get("REMOTE_PORT")
    return f"{address} port {port}" if port else str(address)


def _headers(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    plain = [(name, environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)]
    prefixed = [(name[5:], value) for name, value in environ.items() if name.startswith("HTTP_")]
    return [(name.replace("_", "-").title(), str(value)) for name, value in plain + prefixed]
