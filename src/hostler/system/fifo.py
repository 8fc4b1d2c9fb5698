"""Named pipes that operators write commands into."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hostler.errors import ConfigurationError


def open_fifo(path: Path) -> int:
    """Make a named pipe, in the place of one that is there, and open it for reading without blocking.

    It is open for writing as well, so that it does not end with each writer.

    Raises:
        ConfigurationError: it cannot be made, or something else is there.
    """
    try:
        remove_fifo(path)
        os.mkfifo(path, 0o600)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except FileExistsError:
        raise ConfigurationError(f"{path} is there, and no named pipe; remove it, or name another path") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: no named pipe can be made: {error.strerror}") from None


def read_fifo(fd: int) -> bytes:
    """Read what was written since the last time."""
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


def remove_fifo(path: Path, fd: int = -1) -> None:
    """Remove a named pipe, if it is one; with a descriptor, only if it is that one's, not a successor's."""
    try:
        found = path.lstat()
        is_ours = fd < 0 or os.path.samestat(found, os.fstat(fd))
        if stat.S_ISFIFO(found.st_mode) and is_ours:
            path.unlink()
    except FileNotFoundError:
        return
