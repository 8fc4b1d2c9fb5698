"""The terminal that a person looks at: keys as they are pressed, a picture that is renewed in place."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence

# ECMA-48 and the private modes that every terminal emulator has taken over from xterm.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_CLEAR_LINE = "\x1b[K"
_CLEAR_REST = "\x1b[J"
# Longer ones before those that they begin with.
_KEYS = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
    b"\x1b": "escape",
    b" ": "page down",
}


def is_screen(variables: Mapping[str, str]) -> bool:
    """Tell whether somebody sits at a terminal that can renew a picture in place."""
    try:
        is_terminal = os.isatty(0) and os.isatty(1)
    except OSError:
        return False
    return is_terminal and variables.get("TERM", "dumb") != "dumb"


class Screen:
    """The terminal while it shows a picture; made by `open_screen`."""

    def __init__(self, wakeup: int) -> None:
        """Begin; `wakeup` is readable when a signal has come, such as that of a new size."""
        self._wakeup = wakeup
        self._pressed = b""

    def size(self) -> tuple[int, int]:
        """Return the columns and lines that there are now."""
        try:
            columns, rows = os.get_terminal_size(1)
        except OSError:
            columns = rows = 0
        # A terminal that does not know its size says nought.
        return columns or 80, rows or 24

    def show(self, lines: Sequence[str]) -> None:
        """Show lines from the top, which must fit; what was there before goes, without a flicker."""
        _, rows = self.size()
        picture = f"{_CLEAR_LINE}\n".join(lines[:rows])
        data = f"{_HOME}{picture}{_CLEAR_LINE}{_CLEAR_REST}".encode("utf-8", "replace")
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[os.write(1, data) :]

    def wait_key(self, timeout: float) -> str | None:
        """Wait for a key.

        Returns:
            Its name or character; None when the time (seconds) is over, or the terminal has another size; "q" when
            the terminal is gone.
        """
        if not self._pressed:
            ready, _, _ = select.select([0, self._wakeup], [], [], timeout)
            if self._wakeup in ready:
                os.read(self._wakeup, 64)
            if 0 not in ready:
                return None
            self._pressed = os.read(0, 64)
        return self._take_key() if self._pressed else "q"

    def _take_key(self) -> str:
        """Take the first of the keys that were pressed, the longest one that is known."""
        for code, name in _KEYS.items():
            if self._pressed.startswith(code):
                self._pressed = self._pressed[len(code) :]
                return name
        key, self._pressed = self._pressed[:1], self._pressed[1:]
        return key.decode("ascii", "replace")


@contextlib.contextmanager
def open_screen() -> Iterator[Screen]:
    """Show a picture for as long as the block lasts, and leave the terminal as it was, however it ends."""
    former = termios.tcgetattr(0)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP)}
    former_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _leave)
        tty.setcbreak(0)
        sys.stdout.flush()
        os.write(1, _ENTER.encode())
        yield Screen(reader)
    finally:
        with contextlib.suppress(OSError):
            os.write(1, _LEAVE.encode())
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, former)
        signal.set_wakeup_fd(former_wakeup)
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        os.close(reader)
        os.close(writer)


def _leave(number: int, _frame: object) -> None:
    """Signal handler: end as the signal would have, but put the terminal back first."""
    raise SystemExit(128 + number)
