"""Usable cores under affinity and container quotas, from imitated control-group trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostler.system.cpu import cgroup_quota, usable_cores


def tree(root: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    (root / "cgroup").write_text(membership)
    for name, content in files.items():
        path = root / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root / "fs", root / "cgroup"


@pytest.mark.parametrize(
    "membership,files,quota",
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "100000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 1.0),
        ("0::/not/mounted\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "100000"}, 0.5),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("7:memory:/a\n", {"cpu.max": "100000 100000"}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/\n", {}, None),
    ],
)
def test_quota_is_the_tightest(tmp_path: Path, membership: str, files: dict[str, str], quota: float | None) -> None:
    assert cgroup_quota(*tree(tmp_path, membership, files)) == quota


def test_no_control_groups_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path, tmp_path / "missing") is None


def test_cores_are_those_of_the_affinity_without_a_quota(tmp_path: Path) -> None:
    assert usable_cores(tmp_path, tmp_path / "missing") == len(os.sched_getaffinity(0))


def test_quota_below_one_core_is_one_worker(tmp_path: Path) -> None:
    assert usable_cores(*tree(tmp_path, "0::/\n", {"cpu.max": "10000 100000"})) == 1
