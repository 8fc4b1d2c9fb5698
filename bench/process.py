"""What a tree of processes has used, read from `/proc`: processor time and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One process at one moment.

    Attributes:
        pid: its number.
        parent: the number of its parent.
        ticks: user and system time of the process and of its reaped children, in clock ticks.
    """

    pid: int
    parent: int
    ticks: int


def parse_stat(text: str) -> ProcessStat:
    """Read one `/proc/PID/stat`; the name of a program may itself hold spaces and parentheses (proc(5))."""
    before, _, after = text.rpartition(")")
    if not before:
        raise BenchError(f"not the text of /proc/PID/stat: {text[:60]!r}")
    fields = after.split()
    # Counted from the state, which is field 3 of proc(5): 4 is the parent, 14 to 17 are utime, stime, cutime, cstime.
    return ProcessStat(
        pid=int(before.partition(" ")[0]), parent=int(fields[1]), ticks=sum(int(field) for field in fields[11:15])
    )


def parse_pss(text: str) -> int:
    """Read the proportional set size, in bytes, from one `/proc/PID/smaps_rollup`."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise BenchError("smaps_rollup has no line 'Pss:'; a kernel from 4.14 on is needed")


def parse_busy_ticks(text: str, cpu: int) -> int:
    """Read from `/proc/stat` the ticks in which one processor was not idle."""
    for line in text.splitlines():
        name, *fields = line.split()
        if name == f"cpu{cpu}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
            return user + nice + system + irq + softirq + steal
    raise BenchError(f"this machine has no processor {cpu}; choose others with --server-cpu and --load-cpu")


def select_tree(root: int, processes: Iterable[ProcessStat]) -> list[ProcessStat]:
    """Choose the process `root` and all its descendants."""
    children: dict[int, list[ProcessStat]] = {}
    chosen: list[ProcessStat] = []
    for process in processes:
        children.setdefault(process.parent, []).append(process)
        if process.pid == root:
            chosen.append(process)
    for process in chosen:  # grows while it is walked
        chosen.extend(children.get(process.pid, []))
    return chosen


def load_tree(root: int) -> dict[int, int]:
    """Read the ticks that each process of a tree has used so far, reaped children included, by process number."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found.append(parse_stat((entry / "stat").read_text(errors="replace")))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended between the listing and the reading
    return {process.pid: process.ticks for process in select_tree(root, found)}


def load_sizes(pids: Iterable[int]) -> dict[int, int]:
    """Read the proportional set size of each process, in bytes; one that ended in between is left out."""
    sizes = {}
    for pid in pids:
        try:
            sizes[pid] = parse_pss((PROC / str(pid) / "smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return sizes


def find_worker(before: dict[int, int], after: dict[int, int], sizes: dict[int, int]) -> int:
    """Find the process that used most ticks in between, among those whose sizes are known.

    Args:
        before: ticks by process at the start of the work.
        after: the same at its end.
        sizes: memory by process.

    Errors:
        BenchError: there is none.
    """
    if not sizes:
        raise BenchError("the server ended during the measurement")
    return max(sizes, key=lambda pid: after[pid] - before.get(pid, 0))


def load_busy_seconds(cpu: int) -> float:
    """Read how long one processor has not been idle since the machine started, in seconds."""
    return parse_busy_ticks((PROC / "stat").read_text(), cpu) / TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree of processes has used between two moments.

    Attributes:
        cpu: processor time of all processes, in seconds.
        foreign_share: what others used of the tree's processor meanwhile, from 0 to 1.
        sizes: proportional set size of each process at the end, in bytes.
        worker: the process that did the work.
    """

    cpu: float
    foreign_share: float
    sizes: dict[int, int]
    worker: int


class Meter:
    """Measures a tree of processes on one processor, from now on."""

    def __init__(self, pid: int, cpu: int) -> None:
        self._pid = pid
        self._cpu = cpu
        self._started = time.monotonic()
        self._busy = load_busy_seconds(cpu)
        self._before = load_tree(pid)

    def stop(self) -> Usage:
        """Read what has been used.

        Errors:
            BenchError: the tree has ended.
        """
        after = load_tree(self._pid)
        busy = load_busy_seconds(self._cpu) - self._busy
        elapsed = time.monotonic() - self._started
        sizes = load_sizes(after)
        # A reaped child moves into the figure of its parent, so the sum over the tree never loses anybody's time.
        cpu = (sum(after.values()) - sum(self._before.values())) / TICKS_PER_SECOND
        return Usage(cpu, max(0.0, (busy - cpu) / elapsed), sizes, find_worker(self._before, after, sizes))
