"""Where a server log goes, as text: standard error, a file, the journal of systemd, or syslog."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hostler.system.address import TcpAddress, UnixAddress

STANDARD_ERROR = "-"
_JOURNALD = "journald:"
_SYSLOG = "syslog:"
# RFC 3164 4.1.1; 13 to 15 have no names that all systems share.
_NAMES = ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
FACILITIES = {
    **{name: code for code, name in enumerate(_NAMES)},
    **{f"local{number}": 16 + number for number in range(8)},
}
_TAG = re.compile(r"[A-Za-z0-9._/-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class File:
    """A file, or standard error, whose path is "-"."""

    path: str


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of systemd.

    Attributes:
        socket: the path of its socket; "" for the system's.
    """

    socket: str


@dataclass(frozen=True, slots=True)
class Syslog:
    """A syslog daemon.

    Attributes:
        address: where it listens, for UDP or on a unix socket.
        facility: its number.
        tag: the name of the program.
    """

    address: TcpAddress | UnixAddress
    facility: int
    tag: str


def parse_destination(text: str) -> File | Journal | Syslog:
    """Read a destination; the forms of `syslog:` are those that the access log has.

    Raises:
        ValueError: it is none.
    """
    if text.startswith(_JOURNALD):
        path = text.removeprefix(_JOURNALD)
        if path and not path.startswith("/"):
            raise ValueError('after "journald:" comes nothing, or the path of another socket')
        return Journal(path)
    if text.startswith(_SYSLOG):
        return _parse_syslog(text.removeprefix(_SYSLOG))
    return File(text)


def _parse_syslog(text: str) -> Syslog:
    address, _, query = text.partition("?")
    facility, tag = FACILITIES["local0"], "hostler"
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        if name == "facility" and value in FACILITIES:
            facility = FACILITIES[value]
        elif name == "tag" and _TAG.fullmatch(value):
            tag = value
        else:
            raise ValueError(
                f"{pair!r} is not known; write facility= and one of {', '.join(FACILITIES)}, "
                "or tag= and up to 32 letters, digits and -._/"
            )
    return Syslog(_parse_address(address), facility, tag)


def _parse_address(text: str) -> TcpAddress | UnixAddress:
    if not text:
        return UnixAddress(Path("/dev/log"))
    if text.startswith("unix:/"):
        return UnixAddress(Path(text.removeprefix("unix:")))
    host, colon, port = text.removeprefix("udp://").rpartition(":")
    if text.startswith("udp://") and colon and host and port.isdecimal() and 0 < int(port) < 65536:
        return TcpAddress(host.strip("[]"), int(port))
    raise ValueError(f"{text!r} is not an address of syslog; write udp://host:port or unix:/path")
