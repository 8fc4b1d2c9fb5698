"""Answers on the control socket: values in, bytes out; no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REASONS: Mapping[int, str] = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with.

    Attributes:
        status: the status code.
        value: what becomes JSON.
        allow: the methods that the path has, for 405 (RFC 9110 15.5.6).
    """

    status: int
    value: Mapping[str, Any]
    allow: str = ""


def refuse(status: int, message: str, details: str = "", *, allow: str = "", outcome: str = "") -> Answer:
    """Make the answer that says why something was not done; `outcome` is what became of a reload."""
    more = {"outcome": outcome} if outcome else {}
    return Answer(status, {"error": message, "details": details, **more}, allow)


def write_answer(answer: Answer, *, is_last: bool) -> bytes:
    """Write an answer.

    Args:
        answer: what to write.
        is_last: whether the connection ends with it.
    """
    # Whatever is not text in UTF-8, such as a surrogate in a file name, is escaped.
    body = json.dumps(answer.value, ensure_ascii=True).encode("ascii") + b"\n"
    lines = [
        f"HTTP/1.1 {answer.status} {REASONS[answer.status]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if answer.allow:
        lines.append(f"Allow: {answer.allow}")
    if is_last:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
