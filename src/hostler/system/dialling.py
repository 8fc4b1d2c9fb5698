"""Connections that we open to ask something: with a deadline, and never more read than needed."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostler.system.address import AbstractAddress, InheritedAddress, TcpAddress, UnixAddress

# For whoever is on this machine, and answers at all; arbitrary.
PATIENCE = 5.0
# OpenSSL's x509_vfy.h: X509_V_FLAG_NO_CHECK_TIME. The dates are read, and judged by us.
_NO_CHECK_TIME = 0x200000

Dialled = TcpAddress | UnixAddress | AbstractAddress


def connect(address: Dialled | InheritedAddress, *, timeout: float = PATIENCE) -> socket.socket:
    """Open a connection.

    Raises:
        OSError: nobody takes it.
    """
    if isinstance(address, TcpAddress):
        return socket.create_connection((address.host, address.port), timeout)
    if isinstance(address, InheritedAddress):
        raise OSError("a socket that was handed over cannot be connected to by its number")
    target = str(address.path) if isinstance(address, UnixAddress) else f"\0{address.name}"
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(timeout)
        sock.connect(target)
    except OSError:
        sock.close()
        raise
    return sock


def connect_tls(host: str, port: int, name: str, *, timeout: float = PATIENCE) -> ssl.SSLSocket:
    """Open a TLS connection without asking who answers: certificates are looked at elsewhere.

    Args:
        host: the address to connect to.
        port: its port.
        name: the name to ask for (SNI).
        timeout: seconds for each step.

    Raises:
        OSError: nobody takes it, or it is no TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sock = socket.create_connection((host, port), timeout)
    try:
        return context.wrap_socket(sock, server_hostname=name)
    except OSError:
        sock.close()
        raise


def exchange(address: Dialled, request: bytes, *, enough: int, timeout: float = PATIENCE) -> bytes:
    """Send a request; give the first `enough` bytes of the answer, or fewer when it ends or nothing more comes.

    Raises:
        OSError: nobody takes the connection.
    """
    received = b""
    with connect(address, timeout=timeout) as sock, contextlib.suppress(OSError):
        sock.sendall(request)
        while len(received) < enough and (piece := sock.recv(enough - len(received))):
            received += piece
    return received


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says.

    Attributes:
        names: the host names and addresses that it is for.
        begins: when it begins to hold, in seconds since 1970.
        ends: when it ceases to.
        issuer: who signed it.
        is_self_signed: whether it was signed with its own key.
        distrust: why an ordinary client of this machine does not believe it; empty when it does.
    """

    names: tuple[str, ...]
    begins: float
    ends: float
    issuer: str
    is_self_signed: bool = False
    distrust: str = ""


def read_certificate(certificate: Path, key: Path) -> Certificate:
    """Read a certificate by shaking hands with ourselves, in memory: OpenSSL decodes it, as any client would.

    Raises:
        OSError: a file cannot be read, is none, or the key is not the certificate's (ssl.SSLError).
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key, password=lambda: "")
    return _judge(server, certificate)


def read_served_certificate(host: str, port: int, name: str) -> Certificate:
    """Read the certificate that a server shows for a name.

    Raises:
        OSError: nobody takes the connection, or it is no TLS.
    """
    with connect_tls(host, port, name) as first:
        shown = first.getpeercert(binary_form=True) or b""
    lenient = _make_lenient()
    lenient.load_verify_locations(cadata=shown)
    plain = socket.create_connection((host, port), PATIENCE)
    with plain, lenient.wrap_socket(plain, server_hostname=name) as second:
        decoded = dict(second.getpeercert() or {})
    distrust = ""
    with socket.create_connection((host, port), PATIENCE) as third:
        try:
            _make_strict().wrap_socket(third, server_hostname=name).close()
        except ssl.SSLCertVerificationError as error:
            distrust = error.verify_message
    return _build(decoded, distrust)


def _judge(server: ssl.SSLContext, certificate: Path) -> Certificate:
    lenient = _make_lenient()
    lenient.load_verify_locations(certificate)
    decoded = _shake_hands(server, lenient)
    distrust = ""
    try:
        _shake_hands(server, _make_strict())
    except ssl.SSLCertVerificationError as error:
        distrust = error.verify_message
    return _build(decoded, distrust)


def _make_lenient() -> ssl.SSLContext:
    """Make a client that takes whatever it is given to trust, at any time; a certificate is decoded for those only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The certificate itself is where its chain may end.
    context.verify_flags |= ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN) | ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def _make_strict() -> ssl.SSLContext:
    """Make a client like any other of this machine, but for names and dates, which are judged elsewhere."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def _build(decoded: dict[str, Any], distrust: str) -> Certificate:
    subject, issuer = decoded.get("subject", ()), decoded.get("issuer", ())
    named = [str(value) for kind, value in decoded.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    return Certificate(
        names=tuple(named),
        begins=float(ssl.cert_time_to_seconds(decoded["notBefore"])),
        ends=float(ssl.cert_time_to_seconds(decoded["notAfter"])),
        issuer=_name(issuer),
        is_self_signed=subject == issuer,
        distrust=distrust,
    )


def _name(parts: Sequence[Sequence[tuple[str, str]]]) -> str:
    pairs = {key: value for part in parts for key, value in part}
    return pairs.get("organizationName") or pairs.get("commonName") or "somebody without a name"


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, Any]:
    """Let two contexts agree; give the server's certificate as the client has read it.

    Raises:
        ssl.SSLError: they do not.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    done = 0
    # A handshake has three flights; whoever waits is asked again after the other.
    for _ in range(4):
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
                done += 1
        if done >= 2:
            break
    return dict(sides[0].getpeercert() or {})
