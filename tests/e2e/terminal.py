"""Runs a program as a person does: in a session of its own, on a terminal, with keys that send signals."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.e2e.harness import PATIENCE, ServerError, Transcript

INTERRUPT = b"\x03"  # Ctrl-C


class Terminal:
    """A program on a pseudo-terminal of its own; use as a context manager.

    Args:
        arguments: the program and its arguments.
        cwd: where to start it.
        env: its whole environment.

    Attributes:
        output: what the terminal shows.
    """

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.output = Transcript()
        self._keyboard, theirs = pty.openpty()
        setsid = shutil.which("setsid")
        if setsid is None:
            raise ServerError("there is no setsid; it is part of util-linux")
        # It makes the session and takes the terminal on: the keys' signals then go to the program and its children.
        self._process = subprocess.Popen(
            [setsid, "--ctty", *arguments], cwd=cwd, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        threading.Thread(target=self._follow, name="terminal", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in list_session(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self.output.wait_end()
        os.close(self._keyboard)

    @property
    def pid(self) -> int:
        """The program's process id, which is its session's number too."""
        return self._process.pid

    def press(self, keys: bytes) -> None:
        """Type something."""
        os.write(self._keyboard, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, as a person does who drags the window."""
        fcntl.ioctl(self._keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the program to end and return its exit status; negative: minus the signal that ended it."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServerError(f"still running after {timeout:g} s; the terminal shows:\n{self.output.text}") from None

    def _follow(self) -> None:
        # The kernel says EIO once nobody has the other side open.
        with contextlib.suppress(OSError):
            while chunk := os.read(self._keyboard, 65536):
                self.output.append(chunk.decode(errors="replace"))
        self.output.end()


def list_session(number: int) -> list[int]:
    """List the processes of a session, those left out that have ended and were not waited for."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            state, _parent, _group, session, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(session) == number and state not in "ZX":
                found.append(int(entry.name))
    return found
