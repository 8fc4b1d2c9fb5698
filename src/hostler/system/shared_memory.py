"""Memory that processes share by a descriptor: a file without a name that never shrinks.

It is read and written here by system calls, not through a map: there is nothing to map again when it grows, no process
can make another end with SIGBUS, and no map is inherited by children. The kernel copies aligned words whole.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile


def make_shared_memory(name: str, size: int) -> int:
    """Return the descriptor of `size` zero bytes, closed on exec. A page takes memory once it is written.

    Args:
        name: for people who look at /proc.
        size: bytes to begin with.

    Raises:
        OSError: there is no memory.
    """
    fd = _make_file(name)
    try:
        os.ftruncate(fd, size)
        _forbid_shrinking(fd)
    except OSError:
        os.close(fd)
        raise
    return fd


def _make_file(name: str) -> int:
    if not sys.platform.startswith("linux"):
        with tempfile.TemporaryFile(prefix=name) as file:
            return os.dup(file.fileno())
    return os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _forbid_shrinking(fd: int) -> None:
    """A process that has it mapped would end with SIGBUS where the file ends too early."""
    if sys.platform.startswith("linux"):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)


def grow_shared_memory(fd: int, size: int) -> None:
    """Make it `size` bytes long, if it is shorter.

    Raises:
        OSError: there is no memory.
    """
    if shared_memory_size(fd) < size:
        os.ftruncate(fd, size)


def shared_memory_size(fd: int) -> int:
    """Return how many bytes it is long."""
    return os.fstat(fd).st_size


def read_shared_memory(fd: int, offset: int, length: int) -> bytes:
    """Return `length` bytes; beyond the end there are zeros. Never blocks."""
    return os.pread(fd, length, offset).ljust(length, b"\0")


def write_shared_memory(fd: int, offset: int, data: bytes) -> None:
    """Write bytes where the memory has them already."""
    os.pwrite(fd, data, offset)
