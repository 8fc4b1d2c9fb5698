"""A client with a memory, as a browser is one: cookies are kept, redirects followed, forms sent with their tokens."""

from __future__ import annotations

import re
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from tests.e2e.harness import PATIENCE

BOUNDARY_LENGTH = 32
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Page:
    """What came back.

    Attributes:
        status: the status of the last answer.
        url: where redirects have led.
        headers: the last answer's.
        body: its content.
    """

    status: int
    url: str
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def token(self) -> str:
        """The CSRF token of the page's form, as Django writes it."""
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.text)
        assert found, f"no token on {self.url}:\n{self.text}"
        return found[1]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    field: str
    name: str
    content: bytes


class Visitor:
    """One person's client.

    Args:
        root: the address that paths are put behind, such as "http://127.0.0.1:8000".
        tls: how to check certificates, for an address that begins with "https".
    """

    def __init__(self, root: str, tls: ssl.SSLContext | None = None) -> None:
        self.root = root
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.cookies),
            urllib.request.HTTPSHandler(context=tls),
        )

    def open(self, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> Page:
        """GET, or POST if there is data; answers of all statuses are returned."""
        request = urllib.request.Request(self.root + path, data, {"Referer": self.root + path, **(headers or {})})
        try:
            answer = self._opener.open(request, timeout=PATIENCE)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Page(answer.status, answer.url, answer.headers, answer.read())

    def send_form(self, path: str, **fields: str) -> Page:
        """Fetch the page at `path`, fill in its form, send it to the same address."""
        token = self.open(path).token
        data = urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        return self.open(path, data, {"Content-Type": FORM})

    def upload(self, path: str, upload: Upload, fields: Iterable[tuple[str, str]] = ()) -> Page:
        """Send a file as a form does (multipart/form-data)."""
        body, content_type = encode_form(upload, fields)
        return self.open(path, body, {"Content-Type": content_type})


def encode_form(upload: Upload, fields: Iterable[tuple[str, str]] = ()) -> tuple[bytes, str]:
    """Lay out a form with a file (RFC 7578); return the body and its type."""
    boundary = uuid.uuid4().hex[:BOUNDARY_LENGTH]
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    disposition = f'form-data; name="{upload.field}"; filename="{upload.name}"'
    head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/octet-stream\r\n\r\n"
    body = b"".join([*parts, head.encode(), upload.content, f"\r\n--{boundary}--\r\n".encode()])
    return body, f"multipart/form-data; boundary={boundary}"
