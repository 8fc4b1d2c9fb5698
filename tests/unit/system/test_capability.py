"""Capabilities: their names, and that a process has what it was left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hostler.errors import PrivilegeError
from hostler.system.capability import NUMBERS, forbid_new_privileges, limit_capabilities, parse_capabilities
from hostler.system.process import SystemProcesses, exit_of
from hostler.system.user import Identity, drop_privileges

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
LAST = Path("/proc/sys/kernel/cap_last_cap")


def test_names_become_numbers_in_either_spelling() -> None:
    assert parse_capabilities(["net_bind_service", "CAP_SYS_NICE"]) == frozenset({10, 23})
    assert parse_capabilities([]) is None
    assert parse_capabilities(["none"]) == frozenset()


@pytest.mark.parametrize("names", [["fly"], ["none", "chown"], [""]])
def test_unknown_names_are_told(names: list[str]) -> None:
    with pytest.raises(ValueError, match="there is no capability"):
        parse_capabilities(names)


def test_every_capability_of_this_kernel_is_known() -> None:
    assert len(NUMBERS) > int(LAST.read_text())


def status_in_child(body: Callable[[], bool]) -> int | None:
    _, status = os.waitpid(SystemProcesses().start(lambda: 0 if body() else 1), 0)
    return exit_of(status).code


def sets() -> dict[str, int]:
    """Return our capability sets, such as {"CapEff": ..., "CapBnd": ...}."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: int(bits, 16) for name, _, bits in (line.partition(":\t") for line in lines) if name[:3] == "Cap"}


@AS_ROOT
def test_other_user_keeps_what_is_named_and_nothing_else() -> None:
    kept = frozenset({NUMBERS["net_bind_service"], NUMBERS["sys_nice"]})

    def become() -> bool:
        drop_privileges(Identity(54321, 54321, None, capabilities=kept))
        wanted = 1 << 10 | 1 << 23
        found = sets()
        os.setpriority(os.PRIO_PROCESS, 0, -5)
        only = (found["CapEff"], found["CapPrm"], found["CapBnd"]) == (wanted, wanted, wanted)
        return only and found["CapInh"] == found["CapAmb"] == 0 and os.getuid() == 54321

    assert status_in_child(become) == 0


@AS_ROOT
def test_root_without_capabilities_cannot_read_what_is_not_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    os.chown(secret, 54321, 54321)
    secret.chmod(0o600)

    def become() -> bool:
        drop_privileges(Identity(None, None, None, capabilities=frozenset()))
        try:
            secret.read_text()
        except PermissionError:
            return sets()["CapEff"] == 0
        return False

    assert status_in_child(become) == 0


@AS_ROOT
def test_what_we_do_not_have_cannot_be_kept() -> None:
    def become() -> bool:
        limit_capabilities(frozenset())
        try:
            limit_capabilities(frozenset({NUMBERS["chown"]}))
        except PrivilegeError as error:
            return "cannot keep the capabilities chown" in str(error)
        return False

    assert status_in_child(become) == 0


def test_no_new_privileges_is_told_by_the_kernel() -> None:
    def become() -> bool:
        forbid_new_privileges()
        return "NoNewPrivs:\t1" in Path("/proc/self/status").read_text()

    assert status_in_child(become) == 0
