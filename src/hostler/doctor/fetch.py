"""Asks for the page as a client does, from this machine: the name is told, whatever DNS says."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from hostler.doctor.model import Page, parse_page
from hostler.errors import ConfigurationError
from hostler.system.address import TcpAddress
from hostler.system.dialling import Dialled, connect, connect_tls

# Browsers give up after 20.
MOST_REDIRECTS = 10
# A page that takes longer is not there for its visitors; arbitrary.
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came.

    Attributes:
        status: the status of the last answer; 0 when none came.
        problem: why none came.
        page: what was asked for last.
        server: what the answer says of its server.
        is_circle: whether redirects lead back to where they began.
    """

    status: int
    page: Page
    problem: str = ""
    server: str = ""
    is_circle: bool = False


def fetch(page: Page, host: str, address: Dialled | None = None) -> Fetched:
    """Ask for a page, and follow redirects as long as they stay with its host.

    Args:
        page: the page.
        host: the address of this machine to ask at.
        address: where to ask instead, such as a unix socket.
    """
    seen: list[str] = []
    current = page
    while True:
        try:
            answer = _ask(current, host, address)
            with answer:
                location = answer.getheader("Location", "")
                found = Fetched(answer.status, current, server=answer.getheader("Server", ""))
        except (OSError, http.client.HTTPException) as error:
            return Fetched(0, current, getattr(error, "strerror", None) or str(error) or type(error).__name__)
        if found.status not in {301, 302, 303, 307, 308} or not location:
            return found
        seen.append(str(current))
        try:
            following = parse_page(urljoin(str(current), location))
        except ConfigurationError:
            return found
        if str(following) in seen or len(seen) > MOST_REDIRECTS:
            return replace(found, is_circle=True)
        is_near = following.host == current.host and (address is None or following.port == current.port)
        if not is_near:
            return found
        current = following


class _Dialled(http.client.HTTPConnection):
    """A connection over a socket that is open already."""

    def connect(self) -> None:
        """Do nothing: see `_ask`."""


def _ask(page: Page, host: str, address: Dialled | None) -> http.client.HTTPResponse:
    if address is not None:
        sock = connect(address, timeout=PATIENCE)
    elif page.scheme == "https":
        sock = connect_tls(host, page.port, page.host, timeout=PATIENCE)
    else:
        sock = connect(TcpAddress(host, page.port), timeout=PATIENCE)
    connection = _Dialled(page.host, page.port)
    connection.sock = sock
    headers = {"Host": page.authority, "User-Agent": "hostler-doctor", "Connection": "close"}
    try:
        connection.request("GET", page.path, headers=headers)
        return connection.getresponse()
    except BaseException:
        sock.close()
        raise
