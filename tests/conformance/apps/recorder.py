"""Keeps a record of each call, by the client's port; the method CALLS takes a port's record away as JSON."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

_lock = threading.Lock()
_calls: dict[str, list[dict[str, Any]]] = defaultdict(list)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the number of calls on this connection; with the record of another for CALLS."""
    if environ["REQUEST_METHOD"] == "CALLS":
        with _lock:
            body = json.dumps(_calls.pop(environ["QUERY_STRING"], [])).encode()
    else:
        seen = _view(environ)
        with _lock:
            calls = _calls[environ["REMOTE_PORT"]]
            calls.append(seen)
            body = b"call %d" % len(calls)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _view(environ: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    return {
        "method": environ["REQUEST_METHOD"],
        "target": environ["RAW_URI"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "version": environ["SERVER_PROTOCOL"],
        "fields": fields,
        "body": environ["wsgi.input"].read().decode("latin-1"),
    }
