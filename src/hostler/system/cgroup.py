"""A control group (cgroup v2) for the workers, beside the supervisor's.

Theory: version 2 forbids processes in a group whose children share out memory or processors. So the supervisor moves
into a child of the group that it was started in, and the workers get another, which bears the limits. That takes a
group of our own that we may write to: a systemd service with `Delegate=yes`, a container with its own cgroup
namespace, or root.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hostler.errors import PrivilegeError

SUPERVISOR_GROUP = "hostler-supervisor"
WORKER_GROUP = "hostler-workers"
OWN_GROUPS = Path("/proc/self/cgroup")
MOUNTS = Path("/proc/self/mounts")

_CONTROL = re.compile(r"(?P<controller>[a-z]+)\.[a-z0-9_.A-Z]+", re.ASCII)
# Files that every group has, whatever controllers there are.
_CORE = "cgroup"


def check_control(name: str) -> None:
    """Check the name of a control file, such as "memory.max".

    Raises:
        ValueError: it is none.
    """
    if _CONTROL.fullmatch(name) is None:
        raise ValueError('a control of cgroup v2 is such as "memory.max" or "cpu.max"')


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """The control group of the workers.

    Attributes:
        path: its directory.
    """

    path: Path

    def join(self) -> None:
        """Move this process into the group; before it gives up its rights.

        Raises:
            PrivilegeError: the kernel refused.
        """
        _write(self.path / "cgroup.procs", "0")

    def remove(self) -> None:
        """Remove the group if it is empty."""
        try:
            self.path.rmdir()
        except OSError:
            return  # somebody still lives in it, or it is gone


def find_own_group(own_groups: Path = OWN_GROUPS, mounts: Path = MOUNTS) -> Path | None:
    """Return the directory of our own control group, version 2; None where there is none."""
    try:
        entries = own_groups.read_text().splitlines()
        mounted = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return None
    roots = [Path(fields[1]) for fields in mounted if fields[2] == "cgroup2"]
    inner = [entry.split(":", 2)[2] for entry in entries if entry.startswith("0::")]
    return roots[0] / inner[0].lstrip("/") if roots and inner else None


def make_worker_group(limits: Mapping[str, str], own: Path | None) -> WorkerGroup:
    """Make the workers' group with its limits, and move ourselves beside it. A group that is there gets the new limits.

    Args:
        limits: control files and what to write there, such as {"memory.max": "2G"}.
        own: the group that we are in.

    Raises:
        PrivilegeError: there is no group to be written to, or the kernel refused a limit.
    """
    if own is None:
        raise PrivilegeError("process.cgroup needs Linux with cgroup v2, which is not mounted here; leave it out")
    base = own.parent if own.name == SUPERVISOR_GROUP else own
    group = WorkerGroup(base / WORKER_GROUP)
    _make(base / SUPERVISOR_GROUP)
    _make(group.path)
    _write(base / SUPERVISOR_GROUP / "cgroup.procs", "0")
    controllers = sorted({name.split(".")[0] for name in limits} - {_CORE})
    if controllers:
        _write(base / "cgroup.subtree_control", " ".join(f"+{each}" for each in controllers))
    for name, value in limits.items():
        _write(group.path / name, value)
    return group


def _make(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise PrivilegeError(
            f"cannot make the control group {path}: {error.strerror}; "
            "process.cgroup needs root, or a systemd service with Delegate=yes"
        ) from None


def _write(path: Path, value: str) -> None:
    # Not created: a control that the kernel does not offer is an error.
    try:
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise PrivilegeError(f"cannot write {value!r} to {path}: {error.strerror} (process.cgroup)") from None
