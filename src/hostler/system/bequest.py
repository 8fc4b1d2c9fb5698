"""What a supervisor leaves to the one that takes its place in an upgrade: descriptors, and what they are.

Theory: descriptors are inherited under their numbers; what they are is written into an environment variable, with the
pid of the heir, so that nobody takes it who only inherited the environment. The heir tells over a status pipe, in the
words of any other child, whether it serves or why it cannot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from hostler.system.channel import send_message
from hostler.system.systemd import LISTEN_FDS_START

VARIABLE = "_HOSTLER_BEQUEST"


@dataclass(frozen=True, slots=True)
class LeftSocket:
    """A listening socket.

    Attributes:
        fd: its descriptor.
        address: the address that was configured.
        slot: the worker slot that it belongs to, or 0.
        path: its socket file, or "".
        inode: device and inode of that file.
    """

    fd: int
    address: str
    slot: int = 0
    path: str = ""
    inode: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Bequest:
    """What is left.

    Attributes:
        status_fd: where the heir tells how it goes.
        sockets: the listeners.
        pid_file: the path of the pid file, or "".
        pid_file_fd: its descriptor, which holds the lock, or -1.
        workers: how many workers there are by now, 0 when that is not known.
        pid: the heir.
        control: the path of the control socket, or "".
        is_paused: whether requests are to wait until the server is resumed.
    """

    status_fd: int
    sockets: tuple[LeftSocket, ...] = ()
    pid_file: str = ""
    pid_file_fd: int = -1
    workers: int = 0
    pid: int = 0
    control: str = ""
    is_paused: bool = False

    def descriptors(self) -> list[int]:
        """Return all descriptors that are left."""
        every = [self.status_fd, self.pid_file_fd, *(each.fd for each in self.sockets)]
        return [fd for fd in every if fd >= 0]


def bequeath(bequest: Bequest, variables: Mapping[str, str], former: int, heir: int) -> dict[str, str]:
    """Return the environment of the heir.

    Args:
        bequest: what it is left.
        variables: our own environment.
        former: our pid.
        heir: its pid. What the service manager has addressed to us is addressed to it.
    """
    left = {**variables, VARIABLE: json.dumps(asdict(replace(bequest, pid=heir)))}
    for name in ("LISTEN_PID", "WATCHDOG_PID"):
        if variables.get(name) == str(former):
            left[name] = str(heir)
    return left


def read_bequest(variables: Mapping[str, str], pid: int) -> Bequest | None:
    """Return what we were left, or None: there is nothing, or it is not for us."""
    try:
        left = json.loads(variables.get(VARIABLE, ""))
        sockets = tuple(
            LeftSocket(each["fd"], each["address"], each["slot"], each["path"], (each["inode"][0], each["inode"][1]))
            for each in left["sockets"]
        )
        kept = (left["pid_file"], left["pid_file_fd"], left.get("workers", 0), left["pid"], left.get("control", ""))
        bequest = Bequest(left["status_fd"], sockets, *kept, is_paused=left.get("is_paused") is True)
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return bequest if bequest.pid == pid else None


def accept_bequest(variables: Mapping[str, str], pid: int) -> Bequest | None:
    """Take over what we were left: from here on it is closed when we start others."""
    bequest = read_bequest(variables, pid)
    if bequest is not None:
        for fd in bequest.descriptors():
            os.set_inheritable(fd, False)
    return bequest


def report_to_former(variables: Mapping[str, str], pid: int, message: str, details: str, status: int) -> None:
    """Tell the supervisor that has started us in an upgrade, if one has, why we end."""
    bequest = read_bequest(variables, pid)
    if bequest is None:
        return
    try:
        send_message(bequest.status_fd, {"event": "failed", "message": message, "details": details, "status": status})
    except OSError:
        # It is gone, or we have reported already.
        return


def sockets_of_manager(variables: Mapping[str, str], pid: int) -> list[int]:
    """Return the descriptors that the service manager has handed to us, which keep their numbers (sd_listen_fds(3))."""
    count = variables.get("LISTEN_FDS", "")
    if variables.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return []
    return list(range(LISTEN_FDS_START, LISTEN_FDS_START + int(count)))
