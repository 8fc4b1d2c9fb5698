"""Reports that a process writes about itself when a signal asks for it, into memory that its supervisor reads.

Theory: the report goes into a memory file (memfd) that supervisor and child share. A pipe could fill up, and the writer
is a signal handler that must never wait. There are two signals, for two parts. The kernel runs the first one's handler
at once, in C, whatever the interpreter is doing: it writes the stacks of all threads without taking any lock. The
second needs the interpreter, so it comes when the main thread runs Python again, and if it does not, there is still the
first. Both are real-time signals, of which the lower number is delivered first; both let system calls go on that they
interrupt. (One signal whose handler in C calls that in Python would not: faulthandler's chaining gives up SA_RESTART.)
They are sent to the main thread: of two for a process the kernel gives the second to another thread, and what that
thread does with it does not make the main thread look.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
import sys
from collections.abc import Callable

# Real-time signals are free for such things: nothing sends them by itself, and applications rarely take one.
REPORT_SIGNALS: tuple[int, ...] = (signal.SIGRTMIN + 5, signal.SIGRTMIN + 6) if sys.platform.startswith("linux") else ()
# Between the first part, which is text, and the second.
SEPARATOR = b"\0"
# Above what both parts are bounded to; the writer runs application code, which may write there what it likes.
MAX_REPORT = 8 * 1024 * 1024


def open_report() -> int:
    """Open memory for a report; -1 where the system has no such thing."""
    if not REPORT_SIGNALS:
        return -1
    try:
        fd = os.memfd_create("hostler-report", os.MFD_CLOEXEC)
    except OSError:
        return -1
    # So that a report begins at the beginning after the former one was cut off.
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    return fd


def clear_report(fd: int) -> None:
    """Forget the former report; before a new one is asked for."""
    os.ftruncate(fd, 0)


def read_report(fd: int) -> tuple[str, bytes]:
    """Return both parts as far as they are there."""
    data = os.pread(fd, MAX_REPORT, 0)
    first, _, second = data.partition(SEPARATOR)
    return first.decode("utf-8", "replace"), second


def answer_reports(fd: int, write_second: Callable[[], bytes], tell: Callable[[], object]) -> None:
    """Write reports from now on, whenever the signals come; after fork, in the main thread.

    Args:
        fd: where to.
        write_second: makes the second part; in the main thread, between two steps of whatever runs there.
        tell: called when both parts are written.
    """
    if fd < 0:
        return

    def report(_number: int, _frame: object) -> None:
        os.write(fd, SEPARATOR + write_second())
        tell()

    at_once, in_time = REPORT_SIGNALS
    faulthandler.register(at_once, fd, all_threads=True)
    signal.signal(in_time, report)
    signal.siginterrupt(in_time, False)
