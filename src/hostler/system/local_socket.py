"""Unix sockets between processes of one machine: a listener for few, connections that know who is at the other end.

Descriptors are kept as numbers, as in `sockets`: a forked child closes them by number, and no destructor does it again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from hostler.errors import BindError, PrivilegeError
from hostler.system.address import MAX_SOCKET_PATH, UnixAddress
from hostler.system.sockets import BoundSocket, bind, close, move

# Connections that may wait until the supervisor's loop comes round (arbitrary; it comes round in milliseconds).
BACKLOG = 64
Socket = socket.socket
# asm-generic/socket.h (Linux 4.13); the standard library has no name for it.
_SO_PEERGROUPS = 59
_CREDENTIALS = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection, as the kernel knows it from when the connection was made.

    Attributes:
        pid: its process, or 0 where that is not visible from here.
        uid: its user.
        groups: its groups, the primary one first.
    """

    pid: int
    uid: int
    groups: tuple[int, ...]


class LocalListener:
    """A listening unix socket of ours; never blocks."""

    def __init__(self, path: Path, group: str | None) -> None:
        """Make the socket file, for our own user, and for a group if one is named.

        Raises:
            BindError: somebody listens there, or it cannot be.
            PrivilegeError: this user may not.
        """
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            raise BindError(f"the socket path {path} is longer than {MAX_SOCKET_PATH} bytes; choose a shorter one")
        address = UnixAddress(path, 0o600 if group is None else 0o660, group=group)
        self._bound: BoundSocket = bind(address, backlog=BACKLOG)
        self.path = path

    @property
    def fd(self) -> int:
        """The descriptor that is readable when somebody connects."""
        return self._bound.listener.fd

    def accept(self) -> LocalConnection | None:
        """Return the next connection, or None when nobody waits (or no descriptor is left, which passes)."""
        listener = socket.socket(fileno=self.fd)
        try:
            connection, _ = listener.accept()
        except OSError:
            return None
        finally:
            listener.detach()
        connection.setblocking(False)
        return LocalConnection(connection.detach())

    def take_place(self, path: Path) -> None:
        """Have this path from now on, in the place of who listens there; does nothing where that cannot be."""
        with contextlib.suppress(OSError):
            self._bound = move(self._bound, path)
            self.path = path

    def close(self) -> None:
        """Close it, and remove the socket file if it is still ours."""
        close(self._bound)


class LocalConnection:
    """One accepted connection; never blocks."""

    def __init__(self, fd: int) -> None:
        """Take over a connected, non-blocking descriptor."""
        self.fd = fd

    def receive(self, size: int) -> bytes | None:
        """Return what has arrived, b"" at the end, or None when there is nothing yet."""
        try:
            return os.read(self.fd, size)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send(self, data: bytes | bytearray) -> int:
        """Write what the socket takes now.

        Returns:
            How many bytes; -1 when the other side is gone.
        """
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            return -1

    def peer(self) -> Peer | None:
        """Return who is there, or None where the system does not tell."""
        return _read_peer(self.fd)

    def close(self) -> None:
        """Close it."""
        os.close(self.fd)


def connect(path: Path, timeout: float) -> socket.socket:
    """Connect to a unix socket, blocking.

    Args:
        path: the socket file.
        timeout: seconds for this and for each later operation.

    Raises:
        OSError: nobody listens there, or we may not.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def listener_pid(connection: socket.socket) -> int:
    """Return the process that listens at the other end of a connection of ours, or 0 where that is not known."""
    peer = _read_peer(connection.fileno())
    return peer.pid if peer is not None else 0


def _read_peer(fd: int) -> Peer | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    connection = socket.socket(fileno=fd)
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(raw)
        return Peer(pid, uid, (gid, *_read_groups(connection)))
    finally:
        connection.detach()


def _read_groups(connection: socket.socket) -> tuple[int, ...]:
    try:
        # The most that Python asks for. Who is in more groups is refused (ERANGE), and is then in none, to be safe.
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError:
        return ()
    return struct.unpack(f"{len(raw) // 4}I", raw)


def is_living(path: Path) -> bool:
    """Tell whether somebody listens at a socket file."""
    try:
        connect(path, 0).close()
    except BlockingIOError:
        return True
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def open_private_directory(path: Path, mode: int) -> None:
    """Make a directory for sockets, or see that the one that is there is safe.

    Args:
        path: the directory.
        mode: its permissions when it is made.

    Raises:
        PrivilegeError: it cannot be made, or is somebody else's, who could then pose as us.
    """
    try:
        _make_directory(path, mode)
        facts = path.lstat()
    except OSError as error:
        raise PrivilegeError(f"cannot make the directory {path}: {error.strerror or error}") from None
    is_ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid in (0, os.geteuid())
    if not is_ours or stat.S_IMODE(facts.st_mode) & 0o022:
        raise PrivilegeError(f"others may write in {path}, or it is theirs; name another one (control.directory)")


def _make_directory(path: Path, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    # Beyond what the umask allows.
    path.chmod(mode)
