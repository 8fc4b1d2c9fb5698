"""What the kernel knows of a process: memory, processor time, threads (Linux; elsewhere nothing is known)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Vitals:
    """How a process is.

    Attributes:
        memory: resident memory in bytes.
        cpu: seconds of processor time that it has used.
        threads: how many it has.
    """

    memory: int
    cpu: float
    threads: int


@dataclass(frozen=True, slots=True)
class ThreadFacts:
    """A thread as the kernel sees it.

    Attributes:
        number: identifies it.
        name: its name there.
        state: one letter: R, S, D, T, Z.
        waits_in: the kernel's function that it waits in; "" when that is not known, or it does not wait.
    """

    number: int
    name: str
    state: str
    waits_in: str


def read_vitals(pid: int) -> Vitals | None:
    """Read how a process is; None when that is not known. proc_pid_stat(5), fields counted from the state."""
    fields = _read_stat(_PROC / str(pid) / "stat")
    if fields is None:
        return None
    user, system, threads, pages = int(fields[11]), int(fields[12]), int(fields[17]), int(fields[21])
    return Vitals(pages * os.sysconf("SC_PAGE_SIZE"), (user + system) / os.sysconf("SC_CLK_TCK"), threads)


def read_threads(pid: int) -> list[ThreadFacts]:
    """List the threads of a process, the first one first; empty when they are not known."""
    try:
        numbers = sorted(int(each.name) for each in (_PROC / str(pid) / "task").iterdir())
    except OSError:
        return []
    return [facts for number in numbers if (facts := _read_thread(pid, number)) is not None]


def _read_thread(pid: int, number: int) -> ThreadFacts | None:
    path = _PROC / str(pid) / "task" / str(number)
    fields = _read_stat(path / "stat")
    if fields is None:
        return None
    name, waits_in = _read_text(path / "comm"), _read_text(path / "wchan")
    return ThreadFacts(number, name, fields[0], "" if waits_in == "0" else waits_in)


def _read_stat(path: Path) -> list[str] | None:
    """Return the fields behind the name, which may hold anything."""
    return _read_text(path).rpartition(")")[2].split() or None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
