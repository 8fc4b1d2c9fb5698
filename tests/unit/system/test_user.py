"""Users and groups."""

from __future__ import annotations

import os
import pwd

import pytest

from hostler.errors import PrivilegeError
from hostler.system.process import SystemProcesses, exit_of
from hostler.system.user import Identity, drop_privileges, resolve_group, resolve_identity, resolve_user

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_numbers_need_no_name() -> None:
    assert (resolve_user("54321"), resolve_group("54321")) == (54321, 54321)
    assert resolve_identity("54321", None) == Identity(54321, None, None)


def test_unknown_names_are_told() -> None:
    with pytest.raises(PrivilegeError, match="'nobody-at-all'"):
        resolve_user("nobody-at-all")
    with pytest.raises(PrivilegeError, match="'no-group'"):
        resolve_group("no-group")


def test_user_brings_their_own_group() -> None:
    entry = pwd.getpwuid(os.getuid())
    assert resolve_identity(entry.pw_name, None) == Identity(entry.pw_uid, entry.pw_gid, entry.pw_name)
    assert resolve_identity(entry.pw_name, "7") == Identity(entry.pw_uid, 7, entry.pw_name)
    assert resolve_identity(None, "7") == Identity(None, 7, None)
    assert resolve_identity(None, None) is None


def status_of(identity: Identity, check: str) -> int:
    def become() -> int:
        drop_privileges(identity)
        return 0 if eval(check) else 1

    _, status = os.waitpid(SystemProcesses().start(become), 0)
    code = exit_of(status).code
    assert code is not None
    return code


@AS_ROOT
def test_privileges_are_gone_for_good() -> None:
    identity = Identity(54321, 54322, None)
    assert status_of(identity, "os.getresuid() == (54321,) * 3 and os.getresgid() == (54322,) * 3") == 0
    assert status_of(identity, "os.getgroups() == [54322]") == 0


@AS_ROOT
def test_unprivileged_user_may_stay_who_they_are_but_not_change() -> None:
    def as_other(target: int) -> int:
        def become() -> int:
            drop_privileges(Identity(54321, 54321, None))
            try:
                drop_privileges(Identity(target, 54321, None))
            except PrivilegeError:
                return 5
            return 0

        _, status = os.waitpid(SystemProcesses().start(become), 0)
        code = exit_of(status).code
        assert code is not None
        return code

    assert as_other(54321) == 0
    assert as_other(54399) == 5
