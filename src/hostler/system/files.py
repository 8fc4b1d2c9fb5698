"""Files as the system describes them."""

from __future__ import annotations

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
