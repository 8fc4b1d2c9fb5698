"""Log files that grow too large or too old: put aside by the supervisor, and begun anew by all who write to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostler.config import Config
from hostler.config.destination import File, parse_destination
from hostler.supervisor.model import Command, Concluded
from hostler.supervisor.shell import Clock, Supervisor
from hostler.system.files import put_aside, read_log_file

# Seconds between two looks: a file may grow beyond its bound by what is written meanwhile (arbitrary).
INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Rotation:
    """What is to be done with the log files.

    Attributes:
        files: their paths.
        size: bytes beyond which a file is put aside; 0 for no such bound.
        period: seconds of a period, counted from the epoch; a file of an earlier one is put aside. 0 for none.
        keep: how many are kept.
    """

    files: tuple[str, ...]
    size: int
    period: float
    keep: int

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.files) and (self.size > 0 or self.period > 0)

    def is_due(self, size: int, written: float, now: float) -> bool:
        """Tell whether a file is to be put aside.

        Args:
            size: its size, bytes.
            written: when it was last written to before the look that is compared with, seconds since the epoch.
            now: the time, likewise. A clock that was set back puts nothing aside.
        """
        if size == 0:
            return False
        return (self.size > 0 and size > self.size) or (self.period > 0 and written // self.period < now // self.period)


def plan_rotation(config: Config) -> Rotation:
    """Find the log files of a configuration, each once."""
    log = config.log
    places = [parse_destination(log.file)] if log.file != "-" else []
    if log.access not in {"", "-"}:
        places.append(parse_destination(log.access))
    files = dict.fromkeys(place.path for place in places if isinstance(place, File))
    return Rotation(tuple(files), log.rotate_size, log.rotate_period, log.rotate_keep)


class LogRotation:
    """Implements `supervisor.shell.Attendant`: looks at the log files in turn, without threads."""

    def __init__(
        self, clock: Clock, read_time: Callable[[], float], first: Rotation, plan: Callable[[], Rotation]
    ) -> None:
        """Note how the files are before anybody writes to them: what was written yesterday belongs to yesterday.

        Args:
            clock: what turns are counted on.
            read_time: gives the time of day, seconds since the epoch.
            first: what is wanted at first.
            plan: says what is wanted; asked at each look, as a reload may change it.
        """
        self._clock = clock
        self._read_time = read_time
        self._plan = plan
        self._next = clock.now()
        # Until when each file's lines are known to be of one period.
        self._seen = {path: found.changed for path in first.files if (found := read_log_file(Path(path))) is not None}
        self._failed: set[str] = set()
        self._supervisor: Supervisor

    def attach(self, supervisor: Supervisor) -> None:
        """See `Attendant`."""
        self._supervisor = supervisor

    def watched(self) -> Iterable[tuple[int, int]]:
        """See `Attendant`: there is nothing to wait for."""
        return ()

    def descriptors(self) -> Iterable[int]:
        """See `Attendant`."""
        return ()

    def deadline(self) -> float | None:
        """See `Attendant`."""
        return self._next if self._plan().is_wanted else None

    def turn(self, ready: Mapping[int, int]) -> None:  # noqa: ARG002 - no descriptors
        """Put aside what is due, and have everybody open their logs anew."""
        rotation = self._plan()
        if not rotation.is_wanted or self._clock.now() < self._next:
            return
        self._next = self._clock.now() + INTERVAL
        due = [path for path in rotation.files if self._is_due(rotation, path)]
        moved = [path for path in due if self._put_aside(path, rotation.keep)]
        if moved:
            self._supervisor.command(Command.REOPEN_LOGS)

    def _is_due(self, rotation: Rotation, path: str) -> bool:
        found = read_log_file(Path(path))
        if found is None:
            return False
        now = self._read_time()
        written = self._seen.get(path, found.changed)
        self._seen[path] = now
        return rotation.is_due(found.size, written, now)

    def _put_aside(self, path: str, keep: int) -> bool:
        try:
            put_aside(Path(path), keep)
        except OSError as error:
            if path not in self._failed:
                self._failed.add(path)
                log = logging.getLogger("hostler")
                log.log(logging.ERROR, "cannot put the log file %s aside: %s", path, error.strerror)
            return False
        self._failed.discard(path)
        return True

    def reload_began(self) -> None:
        """See `Attendant`."""

    def concluded(self, conclusion: Concluded) -> None:
        """See `Attendant`."""

    def child_reported(self, number: int) -> None:
        """See `Attendant`."""

    def child_ended(self, number: int) -> None:
        """See `Attendant`."""
