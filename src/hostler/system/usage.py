"""What a process uses of the machine, as /proc tells it: memory, processor time, threads, descriptors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# Fields of /proc/PID/stat behind the name, which ends at the last parenthesis: proc(5) numbers them from 3 there.
_USER_TIME, _SYSTEM_TIME, _THREADS, _STARTED, _VIRTUAL, _RESIDENT = 14 - 3, 15 - 3, 20 - 3, 22 - 3, 23 - 3, 24 - 3


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process uses.

    Attributes:
        resident: bytes of memory that are present, shared ones included.
        proportional: bytes of memory where each shared page counts for its share; None where we may not look.
        cpu: seconds of processor time so far, of all its threads.
        threads: threads.
        age: seconds since it was started.
        virtual: bytes of memory that it has addresses for.
    """

    resident: int
    proportional: int | None
    cpu: float
    threads: int
    age: float
    virtual: int = 0


def read_usage(pid: int, *, proportional: bool = True) -> Usage | None:
    """Read what a process uses.

    Args:
        pid: the process.
        proportional: read that, too; the kernel walks through all of the memory for it, a millisecond per 100 MB or so.

    Returns:
        What it uses, or None: it is gone, or the system does not tell.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        numbers = [int(fields[at]) for at in (_USER_TIME, _SYSTEM_TIME, _THREADS, _STARTED, _VIRTUAL, _RESIDENT)]
        uptime = float((_PROC / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    user, system, threads, started, virtual, resident = numbers
    ticks = os.sysconf("SC_CLK_TCK")
    return Usage(
        resident=resident * os.sysconf("SC_PAGE_SIZE"),
        proportional=_read_proportional(pid) if proportional else None,
        cpu=(user + system) / ticks,
        threads=threads,
        age=max(0.0, uptime - started / ticks),
        virtual=virtual,
    )


def _read_proportional(pid: int) -> int | None:
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None
