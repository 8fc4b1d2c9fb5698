"""The server log: one line per happening, for people, written whole and reopened on request."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from hostler.errors import ConfigurationError, PrivilegeError
from hostler.telemetry.log_tail import LogCopy

LOGGER_NAME = "hostler"
STANDARD_ERROR = "-"
# SGR codes: dim, none, yellow, red.
_COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
# Names that leave the messages in one column.
_NAMES = {logging.WARNING: "WARN", logging.CRITICAL: "CRIT"}
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class ServerLog(logging.Handler):
    """A `logging` handler on a descriptor of its own, or on standard error.

    Each record is one write to a descriptor opened for appending, so the lines of many processes never mix. The number
    of the descriptor never changes: reopening puts the new file in its place, also for threads that are writing.

    Attributes:
        fd: where it writes.
        copy: who gets a copy of each record, if anybody.
    """

    def __init__(
        self,
        file: str = STANDARD_ERROR,
        *,
        is_coloured: bool = False,
        owner: tuple[int, int] | None = None,
        formatter: logging.Formatter | None = None,
    ) -> None:
        """Open the log.

        Args:
            file: a path, or "-" for standard error.
            is_coloured: whether levels are coloured.
            formatter: makes lines of records; None for lines for people.
            owner: user and group who shall own the file, so that unprivileged workers can reopen it.

        Raises:
            PrivilegeError: the file cannot be opened.
        """
        super().__init__()
        self._path = None if file == STANDARD_ERROR else Path(file).absolute()
        self._owner = owner
        self.fd = 2 if self._path is None else self._open(self._path)
        self.copy: LogCopy | None = None
        self.setFormatter(formatter or LineFormatter(is_coloured=is_coloured))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a log that cannot be written to must not stop the server."""
        line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        self._write(record, line)
        if self.copy is not None:
            self.copy.send(line)

    def _write(self, record: logging.LogRecord, line: bytes) -> None:  # noqa: ARG002 - for logs of other kinds
        with contextlib.suppress(OSError):
            os.write(self.fd, line)

    def reopen(self) -> None:
        """Open the file anew, after somebody has moved it away.

        Raises:
            PrivilegeError: it cannot be opened; the former one stays.
        """
        if self._path is None:
            return
        fd = self._open(self._path)
        os.dup2(fd, self.fd, inheritable=False)
        os.close(fd)

    def _open(self, path: Path) -> int:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise PrivilegeError(f"cannot write the log file {path}: {error.strerror}") from None
        if self._owner is not None and os.geteuid() == 0 and stat.S_ISREG(os.fstat(fd).st_mode):
            os.fchown(fd, *self._owner)
        return fd


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (RFC 3339, UTC), `level`, `pid`, `message`, and `details` of several lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record; an exception that it carries is among the details."""
        import json  # lines for people need none

        message, _, details = record.getMessage().partition("\n")
        if record.exc_info:
            details = "\n".join(filter(None, (details, self.formatException(record.exc_info))))
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "pid": record.process,
            "message": message,
            "details": details or None,
        }
        return json.dumps(fields)


class LineFormatter(logging.Formatter):
    """`2026-11-20 14:00:00 [pid] INFO  message`, then the details on lines of their own."""

    def __init__(self, *, is_coloured: bool) -> None:
        super().__init__("%(asctime)s [%(process)d] %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
        self._is_coloured = is_coloured

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that `logging` calls
        """Format the first line."""
        message = record.getMessage().replace("\n", "\n    ")
        level = f"{_NAMES.get(record.levelno, record.levelname):<5}"
        if self._is_coloured and record.levelno in _COLOURS:
            level = f"\x1b[{_COLOURS[record.levelno]}m{level}\x1b[0m"
        return f"{record.asctime} [{record.process}] {level} {message}"


def parse_level(level: str) -> int:
    """Return the number of a level name.

    Raises:
        ConfigurationError: there is no such level.
    """
    number = _LEVELS.get(level.lower())
    if number is None:
        raise ConfigurationError(f"log level {level!r} is not one of {', '.join(_LEVELS)}")
    return number


def is_colour_wanted(fd: int, environment: Mapping[str, str]) -> bool:
    """Return whether a terminal that understands colours is there, and nobody has asked for none (no-color.org)."""
    try:
        is_terminal = os.isatty(fd)
    except OSError:
        return False
    return is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def open_log(
    file: str,
    environment: Mapping[str, str],
    owner: tuple[int, int] | None = None,
    formatter: logging.Formatter | None = None,
) -> ServerLog:
    """Open a log on standard error or in a file.

    Args:
        file: a path, or "-" for standard error.
        environment: says whether colours are wanted on a terminal.
        owner: user and group of the file.
        formatter: makes lines of records; None for lines for people.

    Raises:
        PrivilegeError: the file cannot be opened.
    """
    is_coloured = file == STANDARD_ERROR and is_colour_wanted(2, environment)
    return ServerLog(file, is_coloured=is_coloured, owner=owner, formatter=formatter)


def install_log(log: ServerLog, level: str) -> None:
    """Send what the server has to say to `log` from now on, from `level` upwards; a former log of ours is taken off.

    Raises:
        ConfigurationError: there is no such level.
    """
    number = parse_level(level)
    target = logger()
    for former in list(target.handlers):
        target.removeHandler(former)
    target.addHandler(log)
    target.setLevel(number)
    # The application's own logging must neither repeat nor swallow our lines.
    target.propagate = False


def reopen_log(log: ServerLog) -> None:
    """Reopen a log; where that fails the former file stays, and the log says so."""
    try:
        log.reopen()
    except PrivilegeError as error:
        logger().error("the former log file stays in use: %s", error)


def logger() -> logging.Logger:
    """Return the logger of the server."""
    return logging.getLogger(LOGGER_NAME)
