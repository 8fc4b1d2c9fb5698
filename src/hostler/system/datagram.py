"""Sending datagrams to whoever listens, without ever waiting for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from hostler.system.address import AbstractAddress, Address, TcpAddress, UnixAddress


class DatagramSender:
    """Sends to one address over UDP or a unix socket; what cannot be sent is lost, as datagrams may be."""

    def __init__(self, address: Address) -> None:
        """Send to `address`; a host's name is looked up at the first sending, and again after a failure."""
        self._address = address
        self._socket: socket.socket | None = None

    def send(self, datagrams: Iterable[bytes]) -> OSError | None:
        """Send datagrams in order.

        Returns:
            Why one of them could not be sent, in which case the rest was not tried; None if all went.
        """
        try:
            if self._socket is None:
                self._socket = _connect(self._address)
            for datagram in datagrams:
                self._socket.send(datagram)
        except OSError as error:
            self.close()
            return error
        return None

    def send_as_file(self, content: bytes) -> OSError | None:
        """Send what is too large for a datagram as a file without a name, as the journal of systemd takes it.

        Returns:
            Why it could not be sent; None if it was.
        """
        fd = -1
        try:
            fd = os.memfd_create("hostler", os.MFD_CLOEXEC)
            os.write(fd, content)
            if self._socket is None:
                self._socket = _connect(self._address)
            socket.send_fds(self._socket, [b""], [fd])
        except OSError as error:
            self.close()
            return error
        finally:
            if fd >= 0:
                os.close(fd)
        return None

    def close(self) -> None:
        """Close the socket; the next sending opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connect(address: Address) -> socket.socket:
    match address:
        case TcpAddress(host, port):
            family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            return _open(socket.socket(family, kind, protocol), place)
        case UnixAddress(path):
            return _open(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), str(path))
        case AbstractAddress(name):
            return _open(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), f"\0{name}")
        case _:
            raise OSError(f"datagrams cannot be sent to {address}")


def _open(sock: socket.socket, place: str | tuple[object, ...]) -> socket.socket:
    try:
        sock.setblocking(False)
        sock.connect(place)
    except OSError:
        sock.close()
        raise
    return sock


def host_name() -> str:
    """Return the machine's name without its domain."""
    return socket.gethostname().partition(".")[0]
