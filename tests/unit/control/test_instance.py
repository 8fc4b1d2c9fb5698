"""Names of instances, and their sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hostler.control.instance import (
    Whereabouts,
    clean_name,
    derive_name,
    find_socket,
    find_whereabouts,
    is_owned,
    list_sockets,
    open_named,
)
from hostler.errors import BindError, PrivilegeError
from hostler.system.local_socket import LocalListener


@pytest.mark.parametrize(
    "name, target, directory, expected",
    [
        (None, "app:app", "/srv/shop", "shop"),
        ("the shop", "app:app", "/srv/shop", "the-shop"),
        (None, "shop.wsgi:application", "/", "shop.wsgi-application"),
        ("../../etc/passwd", "a", "/", "etc-passwd"),
        ("...", "a", "/", "app"),
        ("x" * 500, "a", "/", "x" * 48),
    ],
)
def test_name_is_one_that_a_file_can_have(name: str | None, target: str, directory: str, expected: str) -> None:
    assert derive_name(name, target, Path(directory)) == expected
    assert clean_name(expected) == expected


def test_sockets_are_where_the_user_has_them() -> None:
    user = find_whereabouts(None, {"XDG_RUNTIME_DIR": "/run/user/7"}, 7)
    assert (user.directory, user.mode, user.others) == (Path("/run/user/7/hostler"), 0o700, (Path("/run/hostler"),))
    assert find_whereabouts(None, {}, 7).directory == Path("/tmp/hostler-7")
    assert find_whereabouts(None, {"XDG_RUNTIME_DIR": "relative"}, 7).directory == Path("/tmp/hostler-7")
    assert find_whereabouts(None, {"XDG_RUNTIME_DIR": "/run/user/0"}, 0).directory == Path("/run/hostler")
    assert find_whereabouts(Path("/there"), {}, 0) == Whereabouts(Path("/there"), 0o711)


def test_second_instance_of_a_name_gets_a_number(tmp_path: Path) -> None:
    here = Whereabouts(tmp_path / "run", 0o711)
    made = [open_named(here, "shop", None) for _ in range(3)]
    assert [each.path.name for each in made] == ["shop.sock", "shop-2.sock", "shop-3.sock"]
    made[1].close()
    again = open_named(here, "shop", None)
    assert again.path.name == "shop-2.sock"
    assert [each.name for each in list_sockets(here)] == ["shop-2.sock", "shop-3.sock", "shop.sock"]
    assert find_socket(here, "shop-3") == made[2].path
    for each in (made[0], made[2], again):
        each.close()
    assert find_socket(here, "shop-3") is None


def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    here = Whereabouts(tmp_path / "run", 0o711)
    open_named(here, "shop", None).close()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "run/shop.sock"))
    heir = open_named(here, "shop", None)
    assert heir.path.name == "shop.sock"
    heir.close()


def test_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "shop.sock").write_text("precious")
    tmp_path.chmod(0o700)
    with pytest.raises(BindError, match="not a socket"):
        open_named(Whereabouts(tmp_path, 0o700), "shop", None)
    assert (tmp_path / "shop.sock").read_text() == "precious"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_directory_that_others_may_write_in_is_not_trusted(tmp_path: Path, mode: int) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    with pytest.raises(PrivilegeError, match=r"control\.directory"):
        open_named(Whereabouts(shared, 0o700), "shop", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_directory_of_somebody_else_is_not_trusted(tmp_path: Path) -> None:
    theirs = tmp_path / "hostler-1000"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 65534, 65534)
    with pytest.raises(PrivilegeError):
        open_named(Whereabouts(theirs, 0o700), "shop", None)


def test_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PrivilegeError):
        open_named(Whereabouts(tmp_path / "link", 0o700), "shop", None)


def test_directory_of_a_user_must_be_his(tmp_path: Path) -> None:
    own = str(os.geteuid())
    assert is_owned(tmp_path, own)
    assert not is_owned(tmp_path, str(os.geteuid() + 1))
    assert not is_owned(tmp_path, f"{own}x")
    assert not is_owned(tmp_path / "nowhere", own)
    (tmp_path / "link").symlink_to(tmp_path)
    assert not is_owned(tmp_path / "link", own)


def test_directory_gets_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0o077)
    try:
        made = open_named(Whereabouts(tmp_path / "a/b", 0o711), "shop", None)
    finally:
        os.umask(former)
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o711
    made.close()


def test_path_that_no_socket_can_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="longer than 107 bytes"):
        LocalListener(tmp_path / ("x" * 120), None)
