"""Thirteen bytes: what a server costs when the application costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "13")]


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer every request with the same short text."""
    start_response("200 OK", HEADERS)
    return [b"Hello, world!"]
