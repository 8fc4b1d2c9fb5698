"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores(cgroup_root: Path = CGROUP_ROOT, own_cgroups: Path = OWN_CGROUPS) -> int:
    """Return the cores that affinity and container quota leave, at least one.

    A quota of 1.5 cores counts as two: a worker too many costs memory, one too few leaves half a core idle.
    """
    cores = float(_affinity())
    quota = cgroup_quota(cgroup_root, own_cgroups)
    if quota is not None:
        cores = min(cores, quota)
    return max(1, math.ceil(cores))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(cgroup_root: Path = CGROUP_ROOT, own_cgroups: Path = OWN_CGROUPS) -> float | None:
    """Return the smallest processor quota of our control group and its parents, in cores, or None without one."""
    try:
        lines = own_cgroups.read_text().splitlines()
    except OSError:
        return None
    quotas: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quotas += _quotas_upwards(cgroup_root, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            quotas += _quotas_upwards(cgroup_root / "cpu", path, _quota_v1)
    return min(quotas, default=None)


def _quotas_upwards(root: Path, path: str, read: Callable[[Path], float | None]) -> list[float]:
    """Read the quota of a group and of all groups above it: the tightest one holds."""
    # In a container the path may name a group outside of what is mounted; the root is then our own group.
    group = root / path.lstrip("/")
    groups = [group, *group.parents]
    found = [read(each) for each in groups if each == root or root in each.parents]
    return [quota for quota in found if quota is not None]


def _quota_v2(group: Path) -> float | None:
    # cgroup v2 cpu.max: "$MAX $PERIOD", where $MAX may be "max".
    try:
        limit, period = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) / int(period)


def _quota_v1(group: Path) -> float | None:
    # cgroup v1: a quota of -1 is none.
    try:
        limit = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return None if limit <= 0 or period <= 0 else limit / period
