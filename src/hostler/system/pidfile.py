"""The pid file: one supervisor per file, held by a lock and not by the number in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hostler.errors import BindError, PrivilegeError


class PidFile:
    """A file with our pid, locked for as long as we live.

    The lock, not the number, says whether the file is stale: the kernel lets go of it however the owner ends, and a
    number can be somebody else's by now.
    """

    def __init__(self, path: Path, fd: int = -1) -> None:
        """Create or take over the file; one whose lock we have inherited has the other's pid until `write`.

        Args:
            path: where.
            fd: the descriptor of the supervisor that has started us in an upgrade, or -1.

        Raises:
            BindError: a living process holds it.
            PrivilegeError: the file cannot be written.
        """
        self.path = path
        self.fd = fd
        if fd < 0:
            self.fd = _lock(path)
            self.write()

    def write(self) -> None:
        """Write our pid. Who reads meanwhile finds one number or the other."""
        line = b"%d\n" % os.getpid()
        os.pwrite(self.fd, line, 0)
        os.ftruncate(self.fd, len(line))

    def close(self) -> None:
        """Let go of the lock without removing the file; after fork, in children."""
        os.close(self.fd)

    def remove(self) -> None:
        """Remove the file if it is still ours, and let go of it."""
        if _is_same_file(self.path, self.fd) and os.pread(self.fd, 32, 0) == b"%d\n" % os.getpid():
            self.path.unlink(missing_ok=True)
        self.close()


def _lock(path: Path) -> int:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise PrivilegeError(f"cannot write the pid file {path}: {error.strerror}") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise BindError(f"the pid file {path} belongs to a running process (pid {owner}); stop it first") from None
        # The former owner may have removed the file between our open and our lock.
        if _is_same_file(path, fd):
            return fd
        os.close(fd)


def _is_same_file(path: Path, fd: int) -> bool:
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
