"""uWSGI's ways to tell a running server what to do: its meanings of signals, the master FIFO, and touch files.

Theory: `Control` takes part in the supervisor's loop and turns each of them into a command. It looks at files once in a
second, as uWSGI does, and only if there are any. What is watched is read anew when a reload has ended.

A file that is missing is not watched until it is there; that it has appeared is no touch.
"""

from __future__ import annotations

import logging
import select
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostler.compat.uwsgi.option import Facts
from hostler.compat.uwsgi.rule_hook import DRAIN_HOOK
from hostler.errors import HostlerError
from hostler.supervisor.model import Command, Concluded
from hostler.supervisor.shell import Clock, Supervisor
from hostler.system.command import start_command
from hostler.system.fifo import open_fifo, read_fifo, remove_fifo
from hostler.system.process import close_descriptors

# uWSGI's check-interval.
TOUCH_INTERVAL = 1.0
# Options that make uWSGI have a master, without which SIGTERM ends it.
_MASTERLY = (
    "master", "touch-reload", "touch-exec", "touch-logreopen", "touch-logrotate", "fs-reload", "master-fifo", "stats",
    "logger", "req-logger", "log-syslog", "log-master", "log-maxsize", "cheaper", "cheap", "idle", "cron", "spooler",
    "mule", "timer", "attach-daemon", "smart-attach-daemon", "py-autoreload", "subscribe-to", "enable-metrics",
    "notify-socket",
)  # fmt: skip

# What a byte in the FIFO stands for.
FIFO_COMMANDS: Mapping[str, Command] = {
    "+": Command.MORE,
    "-": Command.FEWER,
    "c": Command.RELOAD,
    "l": Command.REOPEN_LOGS,
    "L": Command.REOPEN_LOGS,
    "q": Command.DRAIN,
    "Q": Command.STOP,
    "r": Command.RELOAD,
    "R": Command.RELOAD,
    "w": Command.RELOAD,
    "W": Command.RELOAD,
}
# What else uWSGI knows, and why it does nothing here.
FIFO_REMARKS: Mapping[str, str] = {
    "B": "there is no Emperor to ask",
    "C": "workers go by themselves; see cheap and idle",
    "E": "there is no Emperor",
    "f": "the supervisor does not load the application; reload instead",
    "P": "the pid file is right already",
    "S": "there are no subscriptions",
}


def has_master(facts: Facts) -> bool:
    """Tell whether uWSGI would have a master process."""
    return any(name in facts.given for name in _MASTERLY)


def is_ended_by_term(facts: Facts) -> bool:
    """Tell whether SIGTERM ends the server; otherwise it reloads."""
    hooks = (" ".join(each.text.split()) for each in facts.all("hook-master-start"))
    return not has_master(facts) or facts.is_on("die-on-term") or DRAIN_HOOK in hooks


def map_signals(facts: Facts) -> Mapping[int, Command]:
    """Give what signals mean. Where uWSGI stops at once, requests in progress are finished first."""
    is_ended = is_ended_by_term(facts)
    reload = Command.DRAIN if facts.is_on("exit-on-reload") else Command.RELOAD
    return {
        signal.SIGHUP: reload,
        signal.SIGINT: Command.INTERRUPT,
        signal.SIGTERM: Command.DRAIN if is_ended else reload,
        signal.SIGQUIT: reload if is_ended and has_master(facts) else Command.STOP,
    }


@dataclass(slots=True)
class Touch:
    """A file that is looked at.

    Attributes:
        path: where.
        act: what is done when it has changed.
        mark: the time of its last change; None while it is not there.
    """

    path: Path
    act: Callable[[], None]
    mark: int | None = None

    def look(self) -> bool:
        """Tell whether it has changed since the last look."""
        former, self.mark = self.mark, find_mark(self.path)
        return former is not None and self.mark is not None and self.mark != former


def find_mark(path: Path) -> int | None:
    """Give the time of the last change; None if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


class Control:
    """Implements `supervisor.shell.Attendant`."""

    def __init__(self, get_facts: Callable[[], Facts], clock: Clock, workers: Mapping[int, int] | None = None) -> None:
        """Look at nothing yet.

        Args:
            get_facts: gives what was read last.
            clock: for the time between two looks.
            workers: the slots of the workers that are alive, by process id.
        """
        self._workers: Mapping[int, int] = {} if workers is None else workers
        self._get_facts = get_facts
        self._clock = clock
        self._supervisor: Supervisor | None = None
        self._log = logging.getLogger("hostler")
        self._fd = -1
        self._pipe: Path | None = None
        self._slot = 0
        self._touches: list[Touch] = []
        self._next_look = 0.0

    # The supervisor's loop.

    def attach(self, supervisor: Supervisor) -> None:
        """See `Attendant`."""
        self._supervisor = supervisor
        self._open_pipe()
        self._watch()

    def watched(self) -> Iterable[tuple[int, int]]:
        """See `Attendant`."""
        return [(self._fd, select.POLLIN)] if self._fd >= 0 else []

    def descriptors(self) -> Iterable[int]:
        """See `Attendant`."""
        return [self._fd] if self._fd >= 0 else []

    def deadline(self) -> float | None:
        """See `Attendant`."""
        return self._next_look if self._touches else None

    def turn(self, ready: Mapping[int, int]) -> None:
        """See `Attendant`."""
        if self._fd in ready:
            for letter in read_fifo(self._fd).decode("latin-1"):
                self._take_letter(letter)
        if self._touches and self._clock.now() >= self._next_look:
            self._next_look = self._clock.now() + TOUCH_INTERVAL
            for touch in [each for each in self._touches if each.look()]:
                self._log.info("%s was touched", touch.path)
                touch.act()

    def reload_began(self) -> None:
        """See `Attendant`."""

    def concluded(self, conclusion: Concluded) -> None:  # noqa: ARG002 - the file may have changed in any case
        """See `Attendant`."""
        self._watch()

    def child_reported(self, number: int) -> None:
        """See `Attendant`."""

    def child_ended(self, number: int) -> None:
        """See `Attendant`."""

    def close(self) -> None:
        """Remove the pipe."""
        self._close_pipe()

    # Signals.

    def map_calls(self) -> Mapping[int, Callable[[], None]]:
        """Give what is done at the signals of uWSGI that are no command."""
        return {
            signal.SIGUSR1: self.log_status,
            signal.SIGTSTP: self.switch_pause,
            # Of uWSGI's workers, or not its own: they must not end the supervisor, nor mean what they mean elsewhere.
            **dict.fromkeys((signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU), lambda: None),
        }

    def switch_pause(self) -> None:
        """Pause, or resume if it is paused."""
        assert self._supervisor is not None
        self._supervisor.pause(is_paused=not self._supervisor.is_paused)

    def log_status(self) -> None:
        """Say how the server is."""
        workers = sorted((slot, pid) for pid, slot in self._workers.items())
        shown = ", ".join(f"worker {slot} is process {pid}" for slot, pid in workers)
        self._log.info("status: %s; see also hostler status", shown or "no worker")

    def command(self, command: Command) -> None:
        """Give the supervisor a command."""
        assert self._supervisor is not None
        if command is Command.RELOAD and self._get_facts().is_on("exit-on-reload"):
            command = Command.DRAIN
        self._supervisor.command(command)

    # The FIFO.

    def _list_pipes(self) -> list[Path]:
        facts = self._get_facts()
        return [facts.home / each.text for each in facts.all("master-fifo")]

    def _open_pipe(self) -> None:
        pipes = self._list_pipes()
        if not pipes:
            return
        self._pipe = pipes[self._slot] if self._slot < len(pipes) else pipes[0]
        self._fd = open_fifo(self._pipe)

    def _close_pipe(self) -> None:
        if self._pipe is not None and self._fd >= 0:
            remove_fifo(self._pipe, self._fd)
            close_descriptors((self._fd,))
        self._fd, self._pipe = -1, None

    def _take_letter(self, letter: str) -> None:
        if letter in FIFO_COMMANDS:
            self.command(FIFO_COMMANDS[letter])
        elif letter == "s":
            self.log_status()
        elif letter == "p":
            self.switch_pause()
        elif letter.isascii() and letter.isdecimal():
            self._choose_pipe(int(letter))
        elif letter in FIFO_REMARKS:
            self._log.warning("%s in the FIFO: %s", letter, FIFO_REMARKS[letter])

    def _choose_pipe(self, slot: int) -> None:
        """Close this FIFO and open another, so that whoever writes to the former one reaches nobody."""
        self._close_pipe()
        self._slot = slot
        try:
            self._open_pipe()
        except HostlerError as error:
            self._log.error("the FIFO is gone: %s", error)
            return
        self._log.info("the active FIFO is %s", self._pipe)

    # Touch files.

    def _watch(self) -> None:
        """Look at the files that are named now; those that were watched keep their mark."""
        former = {touch.path: touch.mark for touch in self._touches}
        self._touches = list(self._list_touches())
        for touch in self._touches:
            touch.mark = former.get(touch.path, find_mark(touch.path))
        self._next_look = self._clock.now() + TOUCH_INTERVAL

    def _list_touches(self) -> Iterator[Touch]:
        facts = self._get_facts()
        names = {"touch-logreopen": Command.REOPEN_LOGS, "touch-logrotate": Command.REOPEN_LOGS}
        if facts.is_on("exit-on-reload"):
            names |= dict.fromkeys(("touch-reload", "touch-chain-reload", "fs-reload"), Command.DRAIN)
        for name, command in names.items():
            for each in facts.all(name):
                yield Touch(facts.home / each.text, lambda command=command: self.command(command))  # type: ignore[misc]
        for each in facts.all("touch-exec"):
            path, _, program = each.text.partition(" ")
            yield Touch(facts.home / path, lambda program=program: self._start(program))  # type: ignore[misc]

    def _start(self, program: str) -> None:
        try:
            start_command(program)
        except OSError as error:
            self._log.error("%s cannot be started: %s", program, error.strerror)
