"""What a process under test has used at most, from /proc."""

from __future__ import annotations

from pathlib import Path

KIB = 1024
MIB = 1024 * KIB


def peak_bytes(pid: int) -> int:
    """How much of a process was in memory at its highest (VmHWM), exact to a few pages per thread."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * KIB
    raise AssertionError(f"no VmHWM in /proc/{pid}/status")
