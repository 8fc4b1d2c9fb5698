"""Signals as a queue: the handler does nothing, the interpreter's wake-up descriptor carries the numbers."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from hostler.system.report import REPORT_SIGNALS

if TYPE_CHECKING:
    import asyncio  # only ASGI workers have a loop

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


def ignore_signal(number: int, frame: FrameType | None) -> None:
    """Signal handler: do nothing. The number has already gone to the wake-up descriptor."""


class SignalQueue:
    """The signals that arrived since the last look, as a descriptor that can be waited on.

    Theory: `signal.set_wakeup_fd` writes each number into a socket pair from the C handler, so that no signal is lost
    between a check and a wait, and no Python code runs in a handler. If the socket pair is full the number is dropped;
    by then thousands are waiting to be read.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        """Catch `numbers` from now on. Main thread only."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._replaced = {number: signal.signal(number, ignore_signal) for number in numbers}

    @property
    def fd(self) -> int:
        """The descriptor that is readable when a signal has arrived."""
        return self._reader.fileno()

    def receive(self) -> list[int]:
        """Return the numbers that arrived, in order."""
        received = b""
        while True:
            try:
                received += self._reader.recv(4096)
            except BlockingIOError:
                return list(received)

    def close(self, *, is_last: bool = False) -> None:
        """Put the former handlers back.

        Args:
            is_last: the process is about to end: what asks a supervisor for something is ignored from now on, instead
                of ending it before it can give its status.
        """
        signal.set_wakeup_fd(-1)
        for number, handler in self._replaced.items():
            former = signal.SIG_DFL if handler is None else handler
            signal.signal(number, signal.SIG_IGN if is_last and number in _REQUESTS else former)
        self.close_descriptors()

    def close_descriptors(self) -> None:
        """Close the descriptors only; after fork, in children."""
        self._reader.close()
        self._writer.close()


# What a child must not die of while it loads: a terminal sends INT and HUP to the whole group, and log rotation or a
# question of what it does may come at any time. Everything else that the supervisor catches has its default effect on a
# child that still loads.
_HARMLESS = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, *REPORT_SIGNALS)
_DEFAULTED = (
    signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip


# What a program must not die of before it has come to catch it: they ask a supervisor for something.
_REQUESTS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)


def ignore_requests() -> None:
    """Ignore signals that ask a supervisor for something, also in the program that this process is about to become."""
    for number in _REQUESTS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def all_blocked() -> Iterator[None]:
    """Hold all signals back around a fork: in the child they would go to the parent's wake-up descriptor."""
    former = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def reset_after_fork() -> None:
    """Forget the parent's signal state and let signals in again; after fork, in a child that loads."""
    signal.set_wakeup_fd(-1)
    for number in _HARMLESS:
        signal.signal(number, ignore_signal)
    for number in _DEFAULTED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def leave_word_on_crash(fd: int) -> None:
    """Write the Python stacks of all threads to `fd` when a signal of a crash ends us, SIGABRT among them."""
    faulthandler.enable(file=fd, all_threads=True)


def queue_for_engine(numbers: Iterable[int]) -> int:
    """Send `numbers` to a descriptor that the engine reads.

    A handler that the application installed itself stays: it runs as well, and the engine is told all the same. What
    the application ignored or left alone gets a handler that does nothing, since only signals with one reach the
    descriptor.

    Returns:
        The read end, for the engine; the write end stays open for as long as the process lives.
    """
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    read_fd, write_fd = reader.detach(), writer.detach()
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in numbers:
        if is_unclaimed(number):
            signal.signal(number, ignore_signal)
    return read_fd


def is_unclaimed(number: int) -> bool:
    """Return whether nobody has installed a handler of their own for the signal."""
    known = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler, ignore_signal, None)
    return signal.getsignal(number) in known


def set_handler(number: int, handler: Handler) -> None:
    """Run `handler` in the main thread when the signal arrives."""
    signal.signal(number, handler)


def end_process_after(seconds: float) -> None:
    """Let the kernel end this process after `seconds`, whatever its threads do then."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def signal_name(number: int) -> str:
    """Return "SIGTERM" for 15, and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def raise_own(number: int) -> None:
    """Send a signal to this very process."""
    os.kill(os.getpid(), number)


class LoopSignals:
    """Signals told to a running asyncio loop, which must run in the main thread.

    Theory: what nobody has claimed is the loop's, whose wake-up descriptor works whichever thread the kernel
    interrupts. What the application has claimed, by itself or with the loop, gets a handler that calls the
    application's and tells us as well; the descriptor that the loop has set for the others wakes it up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin without signals."""
        self._loop = loop
        self._unclaimed: list[int] = []
        self._former: dict[int, Handler | int | None] = {}

    def watch(self, number: int, tell: Callable[[], None], note: Callable[[int, object], None] | None = None) -> None:
        """Have the loop call `tell` when a signal arrives.

        Args:
            number: the signal.
            tell: called in the loop.
            note: called in the main thread at once, even while the loop is held up by the application.
        """
        if is_unclaimed(number):
            self._unclaimed.append(number)
            self._loop.add_signal_handler(number, tell)
            if note is not None:
                signal.signal(number, note)
        else:
            self._former[number] = former = signal.getsignal(number)
            signal.signal(number, self._chain(former, tell, note))
        # Calls that the application makes are better restarted than interrupted, as asyncio has it for its own signals.
        signal.siginterrupt(number, False)

    def _chain(
        self, former: Handler | int | None, tell: Callable[[], None], note: Callable[[int, object], None] | None
    ) -> Handler:
        def run_both(number: int, frame: FrameType | None) -> None:
            if note is not None:
                note(number, frame)
            self._loop.call_soon_threadsafe(tell)
            if callable(former):
                former(number, frame)

        return run_both

    def close(self) -> None:
        """Let signals do nothing from now on but what the application wants; before the loop is closed.

        A loop that is closed puts the defaults back, by which a second signal would end the process as it leaves.
        """
        with all_blocked():
            for number in self._unclaimed:
                self._loop.remove_signal_handler(number)
                signal.signal(number, ignore_signal)
            for number, former in self._former.items():
                signal.signal(number, former)
