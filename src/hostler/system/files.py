"""Files as the system describes them."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a file is written, touched or replaced.

    Attributes:
        changed: time of the last change, in nanoseconds; compared, never counted with.
        inode: device and number of the file.
    """

    changed: int
    inode: tuple[int, int]


def read_stamp(path: str) -> Stamp | None:
    """Return a file's stamp, or None where there is none that we may see."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return Stamp(found.st_mtime_ns, (found.st_dev, found.st_ino))


@dataclass(frozen=True, slots=True)
class LogFile:
    """What there is to know of a log file.

    Attributes:
        size: bytes.
        changed: when it was last written to, seconds since the epoch.
    """

    size: int
    changed: float


def read_log_file(path: Path) -> LogFile | None:
    """Return a regular file's size and time of change, or None where there is no such file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return LogFile(found.st_size, found.st_mtime) if stat.S_ISREG(found.st_mode) else None


def put_aside(path: Path, keep: int) -> None:
    """Rename a file to `PATH.1`, what has that name to `PATH.2`, and so on; the oldest beyond `keep` is lost.

    Raises:
        OSError: the directory does not let us. What was renamed until then stays renamed, and nothing else is lost.
    """
    for number in range(keep - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
