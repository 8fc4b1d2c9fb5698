"""Files that an operator touches to have the server reload."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from hostler.supervisor.model import Command, Concluded
from hostler.supervisor.shell import Clock, Supervisor
from hostler.system.files import Stamp, read_stamp

# What somebody who has touched a file waits for without wondering (arbitrary; uWSGI looks as often).
INTERVAL = 1.0


class TouchFiles:
    """Implements `supervisor.shell.Attendant`: looks at some files in turn, without threads."""

    def __init__(self, clock: Clock, list_files: Callable[[], Sequence[str]]) -> None:
        """Note how the files are now.

        Args:
            clock: what turns are counted on.
            list_files: gives the files; asked at each look, as a reload may change them.
        """
        self._clock = clock
        self._list_files = list_files
        self._stamps = {path: read_stamp(path) for path in list_files()}
        self._next = clock.now() + INTERVAL
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
        return self._next if self._list_files() else None

    def turn(self, ready: Mapping[int, int]) -> None:  # noqa: ARG002 - no descriptors
        """Reload if a file has changed."""
        if self._clock.now() < self._next:
            return
        self._next = self._clock.now() + INTERVAL
        former, self._stamps = self._stamps, {path: read_stamp(path) for path in self._list_files()}
        if any(_is_touched(former, path, stamp) for path, stamp in self._stamps.items()):
            self._supervisor.command(Command.RELOAD)

    def reload_began(self) -> None:
        """See `Attendant`."""

    def concluded(self, conclusion: Concluded) -> None:
        """See `Attendant`."""

    def child_reported(self, number: int) -> None:
        """See `Attendant`."""

    def child_ended(self, number: int) -> None:
        """See `Attendant`."""


def _is_touched(former: Mapping[str, Stamp | None], path: str, stamp: Stamp | None) -> bool:
    """Whether a file that we knew of has changed; one that is gone has not, one that has come has."""
    return path in former and stamp is not None and stamp != former[path]
