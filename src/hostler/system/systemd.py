"""What systemd and we tell each other: sockets handed over, readiness, watchdog."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

# sd_listen_fds(3): the first descriptor handed over.
LISTEN_FDS_START = 3
# What our children must not inherit: they would speak for the service.
PRIVATE_VARIABLES = (
    "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "_HOSTLER_BEQUEST",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PassedSockets:
    """Descriptors that systemd has opened for us, with their names ("unknown" when they have none)."""

    descriptors: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    by_name: Mapping[str, int] = field(default_factory=dict)


def passed_sockets(environment: Mapping[str, str], pid: int) -> PassedSockets:
    """Read LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES; what is meant for another process is not ours."""
    if environment.get("LISTEN_PID") != str(pid):
        return PassedSockets()
    count = environment.get("LISTEN_FDS", "")
    if not count.isdecimal():
        return PassedSockets()
    descriptors = tuple(range(LISTEN_FDS_START, LISTEN_FDS_START + int(count)))
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    padded = tuple((names[index] if index < len(names) else "") or "unknown" for index in range(len(descriptors)))
    # The first of several sockets with one name answers to it.
    by_name = dict(reversed(list(zip(padded, descriptors, strict=True))))
    return PassedSockets(descriptors, padded, by_name)


class Notifier:
    """Tells the service manager how we are, where there is one (NOTIFY_SOCKET), and pings its watchdog.

    Each message is sent over a socket of its own, so no descriptor has to be kept from children.
    """

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        self._pid = pid
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.is_managed = bool(address)
        self.watchdog_interval = _watchdog_interval(environment, pid) if address else None

    def ready(self, status: str) -> None:
        """Tell that we serve: READY=1."""
        self._send(f"READY=1\nMAINPID={self._pid}\nSTATUS={status}")

    def hand_over(self, pid: int) -> None:
        """Tell which process is the service from now on, and say no more: it speaks for itself (sd_notify(3))."""
        self._send(f"MAINPID={pid}")
        self._address = ""

    def reloading(self) -> None:
        """Tell that a reload has begun; `ready` ends it."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reloading")

    def stopping(self) -> None:
        """Tell that we drain."""
        self._send("STOPPING=1\nSTATUS=Draining")

    def status(self, status: str) -> None:
        """Show one line in `systemctl status`."""
        self._send(f"STATUS={status}")

    def ping(self) -> None:
        """Tell the watchdog that the loop turns."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            # A manager that does not read must not stop us.
            sock.setblocking(False)
            try:
                sock.sendto(message.encode(), self._address)
            except OSError:
                # Nobody to tell: a manager that went away or a queue that is full is no reason to stop serving.
                return


def _watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Return the seconds between pings: half of what the manager allows, as sd_watchdog_enabled(3) advises."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    allowed = environment.get("WATCHDOG_USEC", "")
    return int(allowed) / 2_000_000 if allowed.isdecimal() and int(allowed) > 0 else None
