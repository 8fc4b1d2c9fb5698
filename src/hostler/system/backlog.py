"""How many connections wait in the kernel's queue of a listener, before anybody has accepted them."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from hostler.contracts import Listener

# linux/tcp.h, struct tcp_info: of a listening socket, `tcpi_unacked` is what waits and `tcpi_sacked` what may.
_TCP_INFO_SIZE = 104
_TCP_UNACKED_AT = 24
# linux/netlink.h, linux/sock_diag.h, linux/unix_diag.h.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_DONE = 3
_NLM_F_REQUEST = 1
_NLM_F_DUMP = 0x300
_UDIAG_SHOW_RQLEN = 0x10
_UNIX_DIAG_RQLEN = 4
_ALL_STATES = 0xFFFF_FFFF
_NO_COOKIE = 0xFFFF_FFFF
_NETLINK_HEADER = struct.Struct("=LHHLL")
_UNIX_REQUEST = struct.Struct("=BBHLLLLL")
_UNIX_ANSWER_SIZE = 16
# linux/inet_diag.h: family, protocol, extensions, states, then what a socket is bound to.
_INET_PLACE_SIZE = 48
_INET_REQUEST = struct.Struct(f"=BBBBL{_INET_PLACE_SIZE}s")
# Family, state, timer, retransmissions, place, expiry, queues, user, number.
_INET_ANSWER = struct.Struct(f"=BBBB{_INET_PLACE_SIZE}sLLLLL")
_LISTENING = 1 << 10
_ATTRIBUTE = struct.Struct("=HH")
_ANSWER_ROOM = 32_768
# Datagrams of an answer (arbitrary: hundreds of sockets in each).
_MOST_PARTS = 1_000


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
    return _find_unix(os.fstat(fd).st_ino)


def _find_unix(inode: int) -> Backlog | None:
    request = _UNIX_REQUEST.pack(
        socket.AF_UNIX, 0, 0, _ALL_STATES, inode & 0xFFFF_FFFF, _UDIAG_SHOW_RQLEN, _NO_COOKIE, _NO_COOKIE
    )
    for kind, answer in _ask(request, _NLM_F_REQUEST):
        return _parse_unix(answer) if kind == _SOCK_DIAG_BY_FAMILY else None
    return None


def _ask(request: bytes, flags: int) -> Iterator[tuple[int, bytes]]:
    """Ask the kernel about sockets; yields the kind and content of each message of its answer."""
    length = _NETLINK_HEADER.size + len(request)
    header = _NETLINK_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, flags, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as netlink:
        # The kernel has an answer, or a part of it, whenever it is asked.
        netlink.setblocking(False)
        netlink.send(header + request)
        for _ in range(_MOST_PARTS):
            for kind, content in _split(netlink.recv(_ANSWER_ROOM)):
                if kind == _NLMSG_DONE:
                    return
                yield kind, content
                if not flags & _NLM_F_DUMP:
                    return


def _split(answer: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _NETLINK_HEADER.size <= len(answer):
        length, kind, *_ = _NETLINK_HEADER.unpack_from(answer, at)
        if length < _NETLINK_HEADER.size:
            return
        yield kind, answer[at + _NETLINK_HEADER.size : at + length]
        at += (length + 3) & ~3


def _parse_unix(answer: bytes) -> Backlog | None:
    """Find the lengths among the attributes of the answer about one unix socket."""
    at = _UNIX_ANSWER_SIZE
    while at + _ATTRIBUTE.size <= len(answer):
        size, name = _ATTRIBUTE.unpack_from(answer, at)
        if name == _UNIX_DIAG_RQLEN and size >= _ATTRIBUTE.size + 8:
            return Backlog(*struct.unpack_from("=2L", answer, at + _ATTRIBUTE.size))
        at += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return None


@dataclass(frozen=True, slots=True)
class ListenQueue:
    """A listening socket by its number, for processes that do not hold it: whoever does keeps it open.

    Attributes:
        address: what people call it.
        kind: as of the listener.
        inode: its number.
    """

    address: str
    kind: Literal["tcp", "unix"]
    inode: int


def name_queue(listener: Listener) -> ListenQueue:
    """Return a listener's name for `find_backlogs`.

    Raises:
        OSError: it is closed.
    """
    return ListenQueue(listener.address, listener.kind, os.fstat(listener.fd).st_ino)


def find_backlogs(queues: Sequence[ListenQueue]) -> dict[str, Backlog]:
    """Read the queues of listeners that other processes hold, by address. Never blocks.

    Where several sockets share a TCP port, they are added up, also those that were opened later. What the system does
    not tell is left out.
    """
    if not sys.platform.startswith("linux"):
        return {}
    found: dict[str, Backlog] = {}
    try:
        if any(queue.kind == "tcp" for queue in queues):
            found |= _find_tcp([queue for queue in queues if queue.kind == "tcp"])
        for queue in queues:
            if queue.kind == "unix" and (backlog := _find_unix(queue.inode)) is not None:
                found[queue.address] = backlog
    except OSError:
        return found
    return found


def _find_tcp(queues: Sequence[ListenQueue]) -> dict[str, Backlog]:
    sockets = [each for family in (socket.AF_INET, socket.AF_INET6) for each in _dump_tcp(family)]
    place_of = {inode: place for place, inode, _ in sockets}
    found = {}
    for queue in queues:
        place = place_of.get(queue.inode)
        shared = [backlog for each, _, backlog in sockets if each == place]
        if shared:
            found[queue.address] = Backlog(sum(each.waiting for each in shared), sum(each.limit for each in shared))
    return found


def _dump_tcp(family: int) -> Iterator[tuple[bytes, int, Backlog]]:
    """Yield the local address, number and queue of every TCP socket that listens."""
    request = _INET_REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _LISTENING, bytes(_INET_PLACE_SIZE))
    for kind, answer in _ask(request, _NLM_F_REQUEST | _NLM_F_DUMP):
        if kind != _SOCK_DIAG_BY_FAMILY or len(answer) < _INET_ANSWER.size:
            return
        family, *_, place, _, waiting, limit, _, inode = _INET_ANSWER.unpack_from(answer)
        # Family, port and address; the destination of a listener is empty.
        yield bytes([family]) + place[:2] + place[4:20], inode, Backlog(waiting, limit)
