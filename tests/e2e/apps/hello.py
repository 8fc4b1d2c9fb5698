"""The least an application can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer every request with a greeting."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]
