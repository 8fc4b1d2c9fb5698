"""Linux capabilities: which of root's powers a process keeps (capabilities(7))."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from hostler.errors import PrivilegeError
from hostler.system.process import prctl

# linux/capability.h, in the order of the numbers.
_NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(_NAMES)}
# The word for the empty set, as an empty list means that nothing was asked for.
NONE = "none"

SETUID = NUMBERS["setuid"]
# linux/capability.h, _LINUX_CAPABILITY_VERSION_3: two 32-bit words a set.
_VERSION_3 = 0x20080522
# linux/prctl.h
_PR_CAPBSET_DROP = 24
_PR_SET_KEEPCAPS = 8
_PR_SET_NO_NEW_PRIVS = 38


def parse_capabilities(names: Iterable[str]) -> frozenset[int] | None:
    """Turn names such as "net_bind_service" or "CAP_NET_BIND_SERVICE" into numbers.

    Returns:
        The set; None when no name is given; the empty set for the one name "none".

    Raises:
        ValueError: a name is unknown, or "none" has company.
    """
    words = [name.lower().removeprefix("cap_") for name in names]
    if not words:
        return None
    if words == [NONE]:
        return frozenset()
    for name, word in zip(names, words, strict=True):
        if word not in NUMBERS:
            raise ValueError(f'there is no capability {name!r}; see capabilities(7), or "{NONE}" alone for none')
    return frozenset(NUMBERS[word] for word in words)


def keep_over_user_change() -> None:
    """Let capabilities outlive the change of the user that follows; `limit_capabilities` then takes most away."""
    prctl(_PR_SET_KEEPCAPS, 1)


def shrink_bounding_set(kept: frozenset[int]) -> None:
    """Take all but `kept` from what this process and what it executes can ever have again; before the change of user.

    Without the right to (CAP_SETPCAP), nothing changes: such a process can gain nothing but by setuid programs.
    """
    for number in range(len(_NAMES)):
        if number not in kept:
            prctl(_PR_CAPBSET_DROP, number)


def limit_capabilities(kept: frozenset[int]) -> None:
    """Have exactly these capabilities, effective and permitted; programs that are executed inherit none by themselves.

    Raises:
        PrivilegeError: we do not have all of them.
    """
    if not sys.platform.startswith("linux"):
        raise PrivilegeError("capabilities need Linux; leave out process.capabilities")
    import ctypes  # a tenth of a worker's imports, and few want this

    # struct __user_cap_header_struct: version, pid (0 is ourselves). struct __user_cap_data_struct, twice, the lower 32
    # numbers first: effective, permitted, inheritable.
    bits = sum(1 << number for number in kept)
    low, high = bits & 0xFFFF_FFFF, bits >> 32
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, sets) != 0:
        reason = os.strerror(ctypes.get_errno())
        names = ", ".join(sorted(_NAMES[number] for number in kept)) or NONE
        raise PrivilegeError(f"cannot keep the capabilities {names}: {reason}; start as root, or name fewer")


def forbid_new_privileges() -> None:
    """Make setuid programs and file capabilities powerless for us and our children (no_new_privs)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
