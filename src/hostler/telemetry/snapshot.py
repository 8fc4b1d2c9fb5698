"""All that metrics are made of, at one moment: the scoreboard, what processes use, and how many connections wait."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hostler.system.backlog import Backlog, ListenQueue, find_backlogs
from hostler.system.usage import Usage, read_usage
from hostler.telemetry.reading import Reading
from hostler.telemetry.scoreboard import Scoreboard


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at one moment.

    Attributes:
        reading: the scoreboard.
        version: Hostler's.
        python: the interpreter's.
        supervisor: what the supervisor uses, if that can be read.
        usage: what workers use, by process id.
        backlogs: the kernel's queues, by address.
    """

    reading: Reading
    version: str
    python: str
    supervisor: Usage | None = None
    usage: Mapping[int, Usage] = field(default_factory=dict)
    backlogs: Mapping[str, Backlog] = field(default_factory=dict)


class Observer:
    """Makes snapshots of one server; from any process that has the scoreboard."""

    def __init__(
        self,
        scoreboard: Scoreboard,
        version: str,
        supervisor: int,
        queues: Sequence[ListenQueue],
        *,
        usage: Callable[[int], Usage | None] = read_usage,
    ) -> None:
        """Observe a server.

        Args:
            scoreboard: its scoreboard.
            version: its version.
            supervisor: the process id of its supervisor.
            queues: its listeners.
            usage: reads what a process uses.
        """
        self._scoreboard = scoreboard
        self._version = version
        self._supervisor = supervisor
        self._queues = queues
        self._usage = usage

    def observe(self) -> Snapshot:
        """Make a snapshot. Never waits for anybody."""
        reading = self._scoreboard.read()
        read = {worker.pid: self._usage(worker.pid) for worker in reading.workers if worker.pid}
        return Snapshot(
            reading=reading,
            version=self._version,
            python=platform.python_version(),
            supervisor=self._usage(self._supervisor),
            usage={pid: usage for pid, usage in read.items() if usage is not None},
            backlogs=find_backlogs(self._queues),
        )
