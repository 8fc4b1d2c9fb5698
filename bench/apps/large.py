"""One mebibyte from memory: what copies of a response cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BODY = b"0123456789abcdef" * 65_536
HEADERS = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(BODY)))]


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with one large bytes object that exists already."""
    start_response("200 OK", HEADERS)
    return [BODY]
