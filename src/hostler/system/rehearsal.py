"""A listener that nobody else can reach, and requests over it."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from pathlib import Path

from hostler.contracts import Listener

# More than one request is never under way.
_BACKLOG = 1
# A status line is shorter; a server of ours sends no other.
_MOST = 4096


class PrivateListener:
    """A unix socket in a directory that only this user may enter, for as long as the context lasts."""

    def __init__(self, parent: str) -> None:
        """Open it below `parent`."""
        self._directory = Path(tempfile.mkdtemp(prefix="hostler-", dir=parent))
        self._path = str(self._directory / "s")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.bind(self._path)
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)

    @property
    def listener(self) -> Listener:
        """The listener as an engine needs it."""
        return Listener(self._socket.fileno(), "unix", "localhost", 80, f"unix:{self._path}")

    def get(self, path: str, deadline: float) -> int:
        """Make a GET request and read the answer to its end; return its status.

        Args:
            path: what is asked for.
            deadline: point in time, of the monotonic clock, at which patience ends.

        Raises:
            OSError: there was no answer in time, or none that could be read.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as stream:
            stream.settimeout(_remaining(deadline))
            stream.connect(self._path)
            head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: hostler-warm-up\r\nConnection: close\r\n\r\n"
            stream.sendall(head.encode("ascii"))
            status = b""
            while True:
                stream.settimeout(_remaining(deadline))
                data = stream.recv(65_536)
                if not data:
                    return _parse_status(status)
                status += data[: _MOST - len(status)]

    def close(self) -> None:
        """Remove it."""
        self._socket.close()
        shutil.rmtree(self._directory, ignore_errors=True)


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it took too long")
    return left


def _parse_status(answer: bytes) -> int:
    version, _, rest = answer.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ConnectionError("the connection ended without an answer")
    return int(rest[:3])
