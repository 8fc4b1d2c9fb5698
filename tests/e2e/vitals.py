"""What a process uses, from /proc: descriptors, memory, threads, its title."""

from __future__ import annotations

from pathlib import Path

KIB = 1024
MIB = 1024 * KIB


def count_descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def count_threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def resident_bytes(pid: int) -> int:
    """How much of a process is in memory: counted exactly, where VmRSS of /proc/PID/status may lag behind."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Rss":
            return int(value.split()[0]) * KIB
    raise AssertionError(f"no Rss in /proc/{pid}/smaps_rollup")


def read_title(pid: int) -> str:
    """A process's title, as `ps` shows it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
