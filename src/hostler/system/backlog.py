"""How many connections wait in the kernel's queue of a listener, before anybody has accepted them."""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass

from hostler.contracts import Listener

# linux/tcp.h, struct tcp_info: of a listening socket, `tcpi_unacked` is what waits and `tcpi_sacked` what may.
_TCP_INFO_SIZE = 104
_TCP_UNACKED_AT = 24
# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_UDIAG_SHOW_RQLEN = 0x10
_UNIX_DIAG_RQLEN = 4
_ALL_STATES = 0xFFFF_FFFF
_NO_COOKIE = 0xFFFF_FFFF
_NETLINK_HEADER = struct.Struct("=LHHLL")
_UNIX_REQUEST = struct.Struct("=BBHLLLLL")
_UNIX_ANSWER_SIZE = 16
_ATTRIBUTE = struct.Struct("=HH")
_ANSWER_ROOM = 8192


@dataclass(frozen=True, slots=True)
class Backlog:
    """The queue of a listener.

    Attributes:
        waiting: connections that nobody has accepted yet.
        limit: how many the kernel holds at most; TCP clients beyond it are kept waiting, those of unix sockets as well
            or refused.
    """

    waiting: int
    limit: int


def read_backlog(listener: Listener) -> Backlog | None:
    """Read the queue of a listener. Never blocks.

    Returns:
        The queue, or None where the system does not tell: it tells on Linux, for unix sockets if the kernel has
        `unix_diag`.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        return _read_unix(listener.fd) if listener.kind == "unix" else _read_tcp(listener.fd)
    except OSError:
        return None


def _read_tcp(fd: int) -> Backlog | None:
    with socket.socket(fileno=os.dup(fd)) as sock:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    if len(info) < _TCP_UNACKED_AT + 8:
        return None
    return Backlog(*struct.unpack_from("=2L", info, _TCP_UNACKED_AT))


def _read_unix(fd: int) -> Backlog | None:
    inode = os.fstat(fd).st_ino
    request = _UNIX_REQUEST.pack(
        socket.AF_UNIX, 0, 0, _ALL_STATES, inode & 0xFFFF_FFFF, _UDIAG_SHOW_RQLEN, _NO_COOKIE, _NO_COOKIE
    )
    header = _NETLINK_HEADER.pack(_NETLINK_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as netlink:
        # The kernel has answered when it has taken the request.
        netlink.setblocking(False)
        netlink.send(header + request)
        return _parse_answer(netlink.recv(_ANSWER_ROOM))


def _parse_answer(answer: bytes) -> Backlog | None:
    """Find the lengths among the attributes of the answer about one unix socket."""
    length, kind, *_ = _NETLINK_HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        return None
    at = _NETLINK_HEADER.size + _UNIX_ANSWER_SIZE
    end = min(length, len(answer))
    while at + _ATTRIBUTE.size <= end:
        size, name = _ATTRIBUTE.unpack_from(answer, at)
        if name == _UNIX_DIAG_RQLEN and size >= _ATTRIBUTE.size + 8:
            return Backlog(*struct.unpack_from("=2L", answer, at + _ATTRIBUTE.size))
        at += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return None
