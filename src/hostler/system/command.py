"""Programs that are run for a while: started, waited for, ended when they take too long."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

SHELL = "/bin/sh"


def run_command(arguments: Sequence[str], variables: Mapping[str, str], timeout: float | None) -> str:
    """Run a program and wait for its end. What it prints goes where ours goes; its input is empty.

    Args:
        arguments: the program and its arguments, without a shell.
        variables: environment variables beside our own.
        timeout: seconds that it may take, after which it is killed with all that it has started; None for any time.

    Returns:
        Why it failed, to read on from its name ("exited with status 1"); empty if it did not.
    """
    import subprocess  # only those who have commands pay for it

    try:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, env={**os.environ, **variables}, start_new_session=True
        )
    except OSError as error:
        return f"could not be run: {error.strerror}"
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        kill_group(process.pid)
        process.wait()
        return f"took longer than {timeout:g} s and was killed"
    except BaseException:
        kill_group(process.pid)
        raise
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with status {code}" if code else ""


def start_command(line: str) -> int:
    """Start a command line of the shell without waiting for it; whoever reaps children reaps it.

    Returns:
        Its process id.

    Raises:
        OSError: it cannot be started.
    """
    return os.posix_spawn(SHELL, [SHELL, "-c", line], os.environ, setsigmask=())


def kill_group(leader: int) -> None:
    """Kill a process that leads a group, and the group; nothing if they are gone."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def lead_group() -> None:
    """Become the leader of a session and group of our own, which can be killed as a whole."""
    os.setsid()


def become_command(arguments: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Run a program in the place of this process; its input is empty.

    Raises:
        OSError: it cannot be run.
    """
    # The interpreter ignores it, and programs expect to end on it.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.execvpe(arguments[0], list(arguments), {**os.environ, **variables})
