"""Requests on the control socket: bytes in, requests out; no I/O.

A strict part of HTTP/1.1 (RFC 9112), enough for curl and for every client library: an origin-form target, bodies with a
length, one request after the other on a connection. What is doubtful is refused, and a refusal ends the connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import parse_qsl

# Bounds on what one client can make us hold; arbitrary, far above what our own commands send.
MAX_HEAD = 8192
MAX_HEADERS = 50
MAX_BODY = 65_536
MAX_PARAMETERS = 16

_END = b"\r\n\r\n"
# RFC 9110 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9112 3: method SP target SP version; the paths that exist here need no percent-encoding.
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[0-9A-Za-z._~/-]*)(?:\?([!-\"$-~]*))? HTTP/(\d)\.(\d)")
# RFC 9110 5.5: visible characters, spaces, tabs and what was once Latin-1.
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_LENGTH = re.compile(r"\d{1,9}")


class RequestError(Exception):
    """A request that cannot be answered but with a refusal, after which the connection ends.

    Args:
        status: the status code.
        message: what is wrong, in one line.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: such as "GET".
        path: from its first slash, without the query.
        query: the parameters behind the question mark.
        headers: by name in lower case.
        body: what was sent with it.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_last(self) -> bool:
        """Whether the client wants the connection closed afterwards (RFC 9112 9.6)."""
        options = self.headers.get("connection", "").lower().split(",")
        return any(option.strip() == "close" for option in options)


class RequestParser:
    """The requests of one connection. After a RequestError nothing more is to be asked of it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._buffer = bytearray()
        self._head: Request | None = None
        self._length = 0
        self._is_fresh = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a further request has arrived."""
        return not self._buffer and self._head is None

    @property
    def is_fresh(self) -> bool:
        """Whether there is something that `next_request` has not looked at."""
        return self._is_fresh

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._buffer += data
        self._is_fresh = True

    def next_request(self) -> Request | None:
        """Return the next request if it is complete, or None.

        Raises:
            RequestError: it is malformed, too large, or not for us.
        """
        self._is_fresh = False
        if self._head is None:
            self._head = self._take_head()
            if self._head is None:
                return None
            self._length = _read_length(self._head.headers)
        if len(self._buffer) < self._length:
            return None
        head, body = self._head, bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._head = None
        # The next one may be here as well.
        self._is_fresh = bool(self._buffer)
        return Request(head.method, head.path, head.query, head.headers, body)

    def _take_head(self) -> Request | None:
        # What can be told apart early is: a client of another protocol may never send an empty line.
        if self._buffer and not 0x41 <= self._buffer[0] <= 0x5A:
            raise RequestError(400, "this is not HTTP/1.1: a request begins with its method")
        end = self._buffer.find(_END, 0, MAX_HEAD + len(_END))
        if end < 0:
            if len(self._buffer) >= MAX_HEAD + len(_END):
                raise RequestError(431, f"the request's head is larger than {MAX_HEAD} bytes")
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + len(_END)]
        method, path, query = _parse_request_line(first)
        return Request(method, path, query, _parse_headers(lines))


def _parse_request_line(line: str) -> tuple[str, str, Mapping[str, str]]:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise RequestError(400, "the request line is malformed")
    method, path, query, major, minor = match.groups()
    if (major, minor) != ("1", "1"):
        raise RequestError(505, f"HTTP/{major}.{minor} is not spoken here; use HTTP/1.1")
    return method, path, _parse_query(query or "")


def _parse_query(query: str) -> Mapping[str, str]:
    if not query:
        return MappingProxyType({})
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=16)
    except ValueError:
        raise RequestError(400, "the query is malformed") from None
    if len(dict(pairs)) != len(pairs):
        raise RequestError(400, "a query parameter is given twice")
    return MappingProxyType(dict(pairs))


def _parse_headers(lines: list[str]) -> Mapping[str, str]:
    if len(lines) > MAX_HEADERS:
        raise RequestError(431, f"there are more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # Also refuses folded lines, which begin with a space (RFC 9112 5.2).
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise RequestError(400, "a header is malformed")
        known = name.lower()
        if known in headers and known in ("host", "content-length", "transfer-encoding"):
            raise RequestError(400, f"the header {known} is given twice")
        headers[known] = f"{headers[known]}, {value.strip()}" if known in headers else value.strip()
    # RFC 9112 3.2.
    if "host" not in headers:
        raise RequestError(400, "the header host is missing")
    return MappingProxyType(headers)


def _read_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        # RFC 9112 6.1: what we do not understand is 501.
        raise RequestError(501, "bodies with a transfer coding are not taken; send a content-length")
    if "expect" in headers:
        raise RequestError(417, "no expectation is met here; send the body at once")
    text = headers.get("content-length", "0")
    if not _LENGTH.fullmatch(text):
        raise RequestError(400, "the content-length is not a number")
    if int(text) > MAX_BODY:
        raise RequestError(413, f"the body is larger than {MAX_BODY} bytes")
    return int(text)
