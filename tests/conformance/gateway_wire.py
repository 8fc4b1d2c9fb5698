"""Bytes as web servers and load balancers send them: uwsgi packets, SCGI requests, headers of the PROXY protocol."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence

from tests.conformance.wire import PATIENCE, Wire

Variables = Sequence[tuple[str, str]]

# proxy-protocol.txt 2.2
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6, UNIX, UNSPEC = 0x11, 0x21, 0x31, 0x00
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20


def dial(address: int | str, source: str = "127.0.0.1") -> Wire:
    """Connect to a port of 127.0.0.1, or to a unix socket; each byte sent leaves at once."""
    if isinstance(address, str):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(PATIENCE)
        stream.connect(address)
        return Wire(stream)
    stream = socket.create_connection(("127.0.0.1", address), PATIENCE, (source, 0))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(stream)


def build_variables(path: str = "/", method: str = "GET", **more: str) -> Variables:
    """What nginx tells of a request, and `more`; one of these that is "" is left out."""
    place, _, query = path.partition("?")
    told = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": path,
        "PATH_INFO": place,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.9",
        "REMOTE_PORT": "4711",
        "SERVER_PORT": "443",
        "SERVER_NAME": "stable.example",
        "HTTP_HOST": "stable.example",
        **more,
    }
    return [(name, value) for name, value in told.items() if value or name == "QUERY_STRING"]


def build_uwsgi(variables: Variables, modifier1: int = 0, modifier2: int = 0) -> bytes:
    """A packet, without the body."""
    block = b"".join(
        struct.pack("<H", len(text)) + text for pair in variables for text in (each.encode("latin-1") for each in pair)
    )
    return struct.pack("<BHB", modifier1, len(block), modifier2) + block


def build_scgi(variables: Variables) -> bytes:
    """A request, without the body; CONTENT_LENGTH and SCGI are put before the others where they are missing."""
    names = dict(variables)
    first = [("CONTENT_LENGTH", names.get("CONTENT_LENGTH", "0")), ("SCGI", "1")]
    return build_netstring([*first, *(pair for pair in variables if pair[0] not in ("CONTENT_LENGTH", "SCGI"))])


def build_netstring(variables: Variables) -> bytes:
    """Variables in this order, and no others."""
    text = b"".join(each.encode("latin-1") + b"\0" for pair in variables for each in pair)
    return b"%d:%b," % (len(text), text)


def build_v1(source: str, port: int = 4711, family: str = "TCP4") -> bytes:
    """A header of version 1."""
    destination = "::1" if family == "TCP6" else "127.0.0.1"
    return f"PROXY {family} {source} {destination} {port} 443\r\n".encode()


def build_v2(
    source: str, port: int = 4711, extensions: Mapping[int, bytes] | None = None, *, command: int = PROXY
) -> bytes:
    """A header of version 2, of a TCP connection from an IP address."""
    address = ipaddress.ip_address(source)
    ends = address.packed + (ipaddress.ip_address("::1") if address.version == 6 else LOOPBACK).packed
    family = TCP6 if address.version == 6 else TCP4
    tail = b"".join(build_extension(kind, value) for kind, value in (extensions or {}).items())
    return build_v2_frame(family, ends + struct.pack("!HH", port, 443) + tail, command=command)


LOOPBACK = ipaddress.ip_address("127.0.0.1")


def build_v2_frame(family: int, rest: bytes, *, command: int = PROXY) -> bytes:
    """A header of version 2 around anything."""
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(rest)) + rest


def build_extension(kind: int, value: bytes) -> bytes:
    """A type, a length, a value."""
    return struct.pack("!BH", kind, len(value)) + value


def build_ssl(parts: Iterable[tuple[int, bytes]] = ((0x21, b"TLSv1.3"),), *, client: int = 1) -> bytes:
    """The value of the extension SSL: a client over TLS, without a certificate."""
    return struct.pack("!BL", client, 0) + b"".join(build_extension(kind, value) for kind, value in parts)
