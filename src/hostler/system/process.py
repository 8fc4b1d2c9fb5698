"""Processes: fork, reap, signal, and the ties between a child and its supervisor."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from hostler.system.signals import all_blocked, reset_after_fork, signal_name
from hostler.system.usage import read_usage

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended.

    Attributes:
        code: the exit status, or None when a signal ended it.
        signal: the signal that ended it, or None.
    """

    code: int | None
    signal: int | None = None

    def __str__(self) -> str:
        """Say it as people do: "exited with status 3", "was killed by SIGKILL"."""
        if self.signal is not None:
            return f"was killed by {signal_name(self.signal)}"
        return f"exited with status {self.code}"


class ProcessTable(Protocol):
    """What the supervisor needs of the operating system's processes; the fake keeps the same contract."""

    def start(self, child_main: Callable[[], int]) -> int:
        """Start a process that runs `child_main` and ends with its result; return its pid.

        Raises:
            OSError: no process can be started now.
        """

    def send_signal(self, pid: int, number: int) -> None:
        """Send a signal; does nothing if the process is gone."""

    def signal_main_thread(self, pid: int, number: int) -> None:
        """Send a signal to the main thread of a process, where that can be; does nothing if the process is gone."""

    def memory(self, pid: int) -> int:
        """Return the resident bytes of a process; 0 where that is not known."""

    def reap(self) -> list[tuple[int, Exit]]:
        """Return the children that have ended since the last call, each once."""


class SystemProcesses:
    """The processes of the machine."""

    def start(self, child_main: Callable[[], int]) -> int:
        """Fork; see `ProcessTable.start`."""
        _flush_standard_streams()
        with all_blocked():
            pid = os.fork()
            if pid == 0:
                run_and_exit(lambda: _run_child(child_main))
        return pid

    def send_signal(self, pid: int, number: int) -> None:
        """Signal a child; see `ProcessTable.send_signal`."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return

    def signal_main_thread(self, pid: int, number: int) -> None:
        """Signal one thread, by glibc; to another C library it is a signal for any. See `ProcessTable`."""
        import ctypes  # only whoever asks for stacks pays for it

        libc = ctypes.CDLL(None)
        if hasattr(libc, "tgkill"):
            libc.tgkill(pid, pid, number)
        else:
            self.send_signal(pid, number)

    def memory(self, pid: int) -> int:
        """Ask the kernel, on Linux; see `ProcessTable.memory`."""
        usage = read_usage(pid, proportional=False)
        return 0 if usage is None else usage.resident

    def reap(self) -> list[tuple[int, Exit]]:
        """Collect ended children, also strangers that were handed to us; see `ProcessTable.reap`."""
        ended: list[tuple[int, Exit]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            ended.append((pid, exit_of(status)))


def exit_of(status: int) -> Exit:
    """Decode a wait status."""
    code = os.waitstatus_to_exitcode(status)
    return Exit(None, -code) if code < 0 else Exit(code)


def _run_child(child_main: Callable[[], int]) -> int:
    reset_after_fork()
    return child_main()


def run_and_exit(child_main: Callable[[], int]) -> NoReturn:
    """Run `child_main` and end this process with its result; after fork, in a child.

    Nothing of the parent's stack runs again: its `finally` clauses belong to the parent.
    """
    status = 1
    try:
        status = child_main()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the outer edge of a process: the last place that can say why it ends
        import traceback

        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        _flush_standard_streams()
        os._exit(status)


def _flush_standard_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # A closed or broken stream has nothing that could still be saved.
            continue


def signal_process(pid: int, number: int) -> None:
    """Send a signal to a process that need not be ours.

    Raises:
        OSError: there is no such process, or it is somebody else's.
    """
    os.kill(pid, number)


def own_pid() -> int:
    """Return our pid."""
    return os.getpid()


def parent_pid() -> int:
    """Return the pid of our parent, which changes when the parent ends."""
    return os.getppid()


def die_with_parent(number: int) -> None:
    """Let the kernel send us `number` when our parent ends. Linux only; elsewhere the lifeline alone tells.

    A change of user or group cancels it, so call it after that.
    """
    prctl(_PR_SET_PDEATHSIG, number)


def tie_to_parent(parent: int, number: int) -> None:
    """Let the kernel send us `number` when our parent ends, and end at once if it has ended already. After fork.

    Args:
        parent: the pid that our parent had when we were forked.
        number: the signal.

    Raises:
        SystemExit: the parent was gone before the kernel knew of the tie.
    """
    die_with_parent(number)
    if parent_pid() != parent:
        raise SystemExit(0)


def become_subreaper() -> bool:
    """Adopt the orphans of our descendants, so that we may reap them. Returns False where the kernel cannot."""
    return prctl(_PR_SET_CHILD_SUBREAPER, 1)


def prctl(option: int, value: int) -> bool:
    """Ask the kernel for something about this process; returns whether it gave a 0, or False where it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def fork_grandchild(child_main: Callable[[], int]) -> None:
    """Start a process that is not our child but our subreaper's: fork twice and let the one between end.

    Args:
        child_main: what the grandchild runs, once it has been adopted.

    Raises:
        OSError: no process can be started now.
    """
    _flush_standard_streams()
    between = os.fork()
    if between == 0:
        _fork_and_leave(child_main)
    _, status = os.waitpid(between, 0)
    if status != 0:
        raise OSError("no process could be started")


def _fork_and_leave(child_main: Callable[[], int]) -> NoReturn:
    between = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os._exit(1)
    if pid != 0:
        os._exit(0)
    wait_for_adoption(between)
    run_and_exit(child_main)


def wait_for_adoption(parent: int) -> None:
    """Wait until `parent` is no longer our parent, without polling."""
    while os.getppid() == parent:
        try:
            pidfd = os.pidfd_open(parent)
        except ProcessLookupError:
            continue
        # Readable once the process has ended, which the kernel says after it has handed its children over.
        select.select([pidfd], [], [])
        os.close(pidfd)


def open_process(pid: int) -> int:
    """Return a descriptor that stands for a process, for `wait_for_process`; -1 when that is not possible."""
    if pid <= 0 or not hasattr(os, "pidfd_open"):
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def wait_for_process(process: int, timeout: float | None) -> bool:
    """Wait for the end of a process and close its descriptor; returns False when the time (seconds) is over."""
    try:
        return bool(select.select([process], [], [], timeout)[0])
    finally:
        os.close(process)


def open_standard_descriptors() -> None:
    """Make sure that 0, 1 and 2 are open, so that no socket ever takes the place of standard error."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    # The interpreter has no streams where it found no descriptors; applications expect some.
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def close_descriptors(descriptors: Iterable[int]) -> None:
    """Close what a child has inherited and does not need; after fork."""
    for fd in descriptors:
        os.close(fd)


def set_umask(mask: int) -> None:
    """Set the mask for new files."""
    os.umask(mask)


def write_standard_error(text: str) -> None:
    """Write to standard error, past any buffer; a closed one must not stop the server."""
    try:
        os.write(2, text.encode("utf-8", "backslashreplace"))
    except OSError:
        return


def change_directory(path: Path) -> None:
    """Change the working directory."""
    os.chdir(path)


def change_root(path: Path) -> None:
    """Make a directory the root of all paths, and enter it; needs root."""
    os.chroot(path)
    os.chdir("/")


def become_daemon(output: Path) -> None:
    """Go to the background: leave the terminal and its session; the process that was started ends at once.

    Args:
        output: the file that standard output and standard error go to, which is appended to.

    Raises:
        OSError: the file cannot be opened.
    """
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        os._exit(0)
    os.setsid()
    # Whoever is not the first of a session cannot get a terminal again.
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (fd, 1), (fd, 2)):
        os.dup2(source, target)
    close_descriptors((nothing, fd))
