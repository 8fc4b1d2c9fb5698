"""Listening sockets: bound once, handed to workers, unlinked if still ours.

Theory: descriptors are kept as numbers, not as socket objects, so that no destructor in a forked child closes a number
that has been given to something else. A unix socket is made under a lock on its directory: look whether the present one
has a living owner, remove it if not, bind. Never take a living one's place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hostler.contracts import Listener
from hostler.errors import BindError, PrivilegeError
from hostler.system.address import AbstractAddress, Address, InheritedAddress, TcpAddress, UnixAddress
from hostler.system.user import resolve_group, resolve_user


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A listener, and for a socket file what shows later that the file is still ours.

    Attributes:
        listener: what the engine gets.
        path: the socket file that we made, or None.
        inode: device and inode of that file.
    """

    listener: Listener
    path: Path | None = None
    inode: tuple[int, int] = (0, 0)


def bind(
    address: Address, *, backlog: int, reuse_port: bool = False, inherited: Mapping[str, int] | None = None
) -> BoundSocket:
    """Open a listening socket.

    Args:
        address: where.
        backlog: length of the kernel's queue of connections not yet accepted.
        reuse_port: let several sockets share a TCP port.
        inherited: descriptors by name, for `InheritedAddress` with a name.

    Raises:
        BindError: the address is taken or unusable.
        PrivilegeError: this user may not.
    """
    match address:
        case TcpAddress():
            return _bind_tcp(address, backlog, reuse_port=reuse_port)
        case UnixAddress():
            return _bind_unix(address, backlog)
        case AbstractAddress():
            return _bind_abstract(address, backlog)
        case InheritedAddress():
            return adopt(_inherited_descriptor(address, inherited or {}), str(address))


def close(bound: BoundSocket) -> None:
    """Close a listener of ours and remove its file if it is still ours."""
    unlink(bound)
    os.close(bound.listener.fd)


def move(bound: BoundSocket, path: Path) -> BoundSocket:
    """Give a socket's file another place in its directory; who had it before keeps the connections that it has.

    Raises:
        OSError: that cannot be done.
    """
    if bound.path is None:
        return bound
    with _locked_directory(path):
        bound.path.rename(path)
    return replace(bound, path=path)


def unlink(bound: BoundSocket) -> None:
    """Remove the socket file, unless somebody has put another in its place."""
    if bound.path is None:
        return
    try:
        with _locked_directory(bound.path):
            if _inode(bound.path) == bound.inode:
                bound.path.unlink()
    except OSError:
        # The directory is gone or no longer ours to write in; the next start finds a stale socket and replaces it.
        return


def adopt(fd: int, address: str) -> BoundSocket:
    """Use a listening socket that we were started with.

    Raises:
        BindError: the descriptor is not open, or is not a listening stream socket.
    """
    problem = f"{address}: descriptor {fd} is not a listening stream socket"
    try:
        sock = socket.socket(fileno=os.dup(fd))
    except OSError as error:
        raise BindError(f"{problem} ({error.strerror}); check what starts this program") from None
    with sock:
        is_listening = _is_listening(sock)
        if not is_listening or sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            raise BindError(f"{problem}; check what starts this program")
        os.set_blocking(fd, False)
        os.set_inheritable(fd, False)
        return BoundSocket(_describe(sock, fd))


def _is_listening(sock: socket.socket) -> bool:
    try:
        return sock.type == socket.SOCK_STREAM and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def _inherited_descriptor(address: InheritedAddress, inherited: Mapping[str, int]) -> int:
    if address.descriptor >= 0:
        return address.descriptor
    if address.name not in inherited:
        known = ", ".join(sorted(inherited)) or "none"
        raise BindError(f"{address}: no socket of that name was handed over (LISTEN_FDNAMES: {known})")
    return inherited[address.name]


def _bind_tcp(address: TcpAddress, backlog: int, *, reuse_port: bool) -> BoundSocket:
    family, target = _resolve(address)
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # A restart must not wait for TIME_WAIT; accepted connections inherit TCP_NODELAY from the listener on Linux.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address.v6_only))
        sock.bind(target)
        return _listening(sock, backlog)
    except OSError as error:
        sock.close()
        raise _explain(str(address), error) from None


def _resolve(address: TcpAddress) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Turn a name into one address, IPv4 first where it has both: a listener is one socket."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise BindError(f"{address}: the host name cannot be resolved ({error}); name an address") from None
    family, _, _, _, target = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, (str(target[0]), int(target[1]))


def _bind_unix(address: UnixAddress, backlog: int) -> BoundSocket:
    uid = resolve_user(address.user) if address.user is not None else -1
    gid = resolve_group(address.group) if address.group is not None else -1
    try:
        with _locked_directory(address.path):
            _remove_stale(address.path)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                _bind_unix_file(sock, address, uid, gid)
                bound = _listening(sock, backlog)
            except OSError:
                sock.close()
                raise
    except OSError as error:
        raise _explain(str(address), error) from None
    return BoundSocket(bound.listener, address.path, _inode(address.path) or (0, 0))


def _bind_unix_file(sock: socket.socket, address: UnixAddress, uid: int, gid: int) -> None:
    """Bind closed to everybody and open up afterwards: nobody may connect before mode and owner are right."""
    former = os.umask(0o177)
    try:
        sock.bind(str(address.path))
    finally:
        os.umask(former)
    if (uid, gid) != (-1, -1):
        os.chown(address.path, uid, gid)
    address.path.chmod(address.mode)


def _bind_abstract(address: AbstractAddress, backlog: int) -> BoundSocket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.bind("\0" + address.name)
        return _listening(sock, backlog)
    except OSError as error:
        sock.close()
        raise _explain(str(address), error) from None


def _listening(sock: socket.socket, backlog: int) -> BoundSocket:
    sock.listen(backlog)
    sock.setblocking(False)
    listener = _describe(sock, sock.fileno())
    sock.detach()
    return BoundSocket(listener)


def _describe(sock: socket.socket, fd: int) -> Listener:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return Listener(fd, "unix", "localhost", 80, _unix_name(name))
    host, port = str(name[0]), int(name[1])
    kind: Literal["tcp"] = "tcp"
    server_name = os.uname().nodename if host in ("0.0.0.0", "::") else host
    return Listener(fd, kind, server_name, port, str(TcpAddress(host, port)))


def _unix_name(name: str | bytes) -> str:
    if isinstance(name, bytes):
        return "unix:@" + name[1:].decode("utf-8", "replace")
    return f"unix:{name}"


@contextmanager
def _locked_directory(path: Path) -> Iterator[None]:
    """Hold the lock under which socket files of one directory are made and removed.

    It is taken on the directory itself, so that no lock file is left behind.
    """
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_stale(path: Path) -> None:
    """Remove a socket file whose owner is gone; lock held.

    Raises:
        BindError: the owner lives, or the file is no socket.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(f"unix:{path}: a file that is not a socket is in the way; remove it or choose another path")
    if _has_owner(path):
        raise BindError(f"unix:{path}: another server is listening there; stop it or choose another path")
    path.unlink()


def _has_owner(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        # A full queue answers EAGAIN at once, which also means that somebody lives there.
        probe.setblocking(False)
        return probe.connect_ex(str(path)) not in (errno.ECONNREFUSED, errno.ENOENT)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _explain(address: str, error: OSError) -> BindError | PrivilegeError:
    if error.errno == errno.EADDRINUSE:
        return BindError(f"{address} is in use by another program; stop it or choose another address")
    if error.errno == errno.EADDRNOTAVAIL:
        return BindError(f"{address}: this machine has no such address; choose one that it has")
    if error.errno in (errno.EACCES, errno.EPERM):
        return PrivilegeError(f"{address}: this user may not listen there; choose another address or start as root")
    return BindError(f"{address}: cannot listen there: {error.strerror or error}")


def accept_connection(fd: int) -> socket.socket | None:
    """Accept a connection at a listener that does not block; None if none waits.

    Raises:
        OSError: it cannot be.
    """
    listener = socket.socket(fileno=fd)
    try:
        return listener.accept()[0]
    except BlockingIOError:
        return None
    finally:
        listener.detach()
