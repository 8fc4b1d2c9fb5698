"""The pid file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hostler.errors import BindError, PrivilegeError
from hostler.system.pidfile import PidFile


def test_file_holds_our_pid_and_goes(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "pid")
    assert file.path.read_text() == f"{os.getpid()}\n"
    file.remove()
    assert not file.path.exists()


def test_living_owner_is_named(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "pid")
    with pytest.raises(BindError, match=str(os.getpid())):
        PidFile(tmp_path / "pid")
    file.remove()


def test_stale_file_is_taken_over_even_if_its_number_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1\n and more")
    file = PidFile(tmp_path / "pid")
    assert file.path.read_text() == f"{os.getpid()}\n"
    file.remove()


def test_file_of_a_successor_stays(tmp_path: Path) -> None:
    first = PidFile(tmp_path / "pid")
    first.path.unlink()
    second = PidFile(tmp_path / "pid")
    first.remove()
    assert second.path.exists()
    second.remove()


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "pid").symlink_to(tmp_path / "target")
    with pytest.raises(PrivilegeError):
        PidFile(tmp_path / "pid")
    assert (tmp_path / "target").read_text() == "precious"


def test_inherited_lock_changes_the_number_only_when_asked(tmp_path: Path) -> None:
    former = PidFile(tmp_path / "pid")
    os.pwrite(former.fd, b"1234567\n", 0)
    heir = PidFile(tmp_path / "pid", os.dup(former.fd))
    assert heir.path.read_text() == "1234567\n"
    heir.remove()
    assert heir.path.exists(), "it was still the other's"


def test_who_has_handed_over_leaves_the_file(tmp_path: Path) -> None:
    former = PidFile(tmp_path / "pid")
    os.pwrite(former.fd, b"1234567\n", 0)
    former.remove()
    assert (tmp_path / "pid").exists()
