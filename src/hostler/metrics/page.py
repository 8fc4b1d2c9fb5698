"""The page that Prometheus reads, as a WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hostler.telemetry.openmetrics import OPENMETRICS_TYPE, PLAIN_TYPE, render, wants_openmetrics
from hostler.telemetry.snapshot import Snapshot

PATH = "/metrics"
_TEXT = "text/plain; charset=utf-8"
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class MetricsPage:
    """Answers requests for metrics."""

    def __init__(self, observe: Callable[[], Snapshot]) -> None:
        """Serve what `observe` returns, asked anew for each request."""
        self._observe = observe

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _answer(start_response, "405 Method Not Allowed", "Metrics are read with GET.\n", Allow="GET, HEAD")
        if environ["PATH_INFO"] != PATH:
            return _answer(start_response, "404 Not Found", f"Metrics are at {PATH}.\n")
        openmetrics = wants_openmetrics(environ.get("HTTP_ACCEPT", ""))
        text = render(self._observe(), openmetrics=openmetrics)
        start_response("200 OK", [("Content-Type", OPENMETRICS_TYPE if openmetrics else PLAIN_TYPE)])
        return [text.encode()]


def _answer(start_response: StartResponse, status: str, text: str, **fields: str) -> list[bytes]:
    start_response(status, [("Content-Type", _TEXT), *fields.items()])
    return [text.encode()]
