"""Control groups, in a directory that looks like one; the real ones are in the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.errors import PrivilegeError
from hostler.system.cgroup import SUPERVISOR_GROUP, WORKER_GROUP, check_control, find_own_group, make_worker_group


def make_group(path: Path, *controls: str) -> Path:
    """Make a directory with control files, as the kernel would."""
    path.mkdir(exist_ok=True)
    for name in ("cgroup.procs", "cgroup.subtree_control", *controls):
        (path / name).write_text("")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A group with those that we make in it, whose files only the kernel could make."""
    base = make_group(tmp_path / "hostler.service")
    make_group(base / SUPERVISOR_GROUP)
    make_group(base / WORKER_GROUP, "memory.max", "pids.max", "cgroup.max.depth")
    return base


def test_supervisor_moves_beside_the_workers_whose_group_bears_the_limits(base: Path) -> None:
    group = make_worker_group({"memory.max": "2G", "pids.max": "100", "cgroup.max.depth": "1"}, base)
    assert group.path == base / WORKER_GROUP
    assert (base / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (group.path / "memory.max").read_text() == "2G"
    assert (base / SUPERVISOR_GROUP / "cgroup.procs").read_text() == "0"
    group.join()
    assert (group.path / "cgroup.procs").read_text() == "0"


def test_reload_finds_the_group_that_the_start_has_made(base: Path) -> None:
    group = make_worker_group({"memory.max": "1G"}, base / SUPERVISOR_GROUP)
    assert group.path == base / WORKER_GROUP


def test_control_that_the_kernel_does_not_have_is_told_and_not_made(base: Path) -> None:
    with pytest.raises(PrivilegeError, match=r"cannot write '5' to .*/memory.low: No such file"):
        make_worker_group({"memory.low": "5"}, base)
    assert not (base / WORKER_GROUP / "memory.low").exists()


def test_group_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PrivilegeError, match=r"cannot make the control group .*Delegate=yes"):
        make_worker_group({"memory.max": "1"}, tmp_path / "file")
    with pytest.raises(PrivilegeError, match="not mounted"):
        make_worker_group({"memory.max": "1"}, None)


def test_own_group_is_found_in_the_unified_hierarchy(tmp_path: Path) -> None:
    groups, mounts = tmp_path / "cgroup", tmp_path / "mounts"
    groups.write_text("4:memory:/old\n0::/system.slice/app.service\n")
    mounts.write_text("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    assert find_own_group(groups, mounts) == Path("/sys/fs/cgroup/system.slice/app.service")
    mounts.write_text("proc /proc proc rw 0 0\n")
    assert find_own_group(groups, mounts) is None
    assert find_own_group(tmp_path / "missing", mounts) is None


@pytest.mark.parametrize("name", ["memory", "../x.y", "memory.max/..", "Memory.max", ""])
def test_names_that_are_no_controls_are_told(name: str) -> None:
    with pytest.raises(ValueError, match="a control of cgroup v2"):
        check_control(name)
