"""The server log at the daemons that gather logs: syslog, and the journal of systemd."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from hostler.config.destination import File, Journal, Syslog, parse_destination
from hostler.system.address import UnixAddress
from hostler.system.datagram import DatagramSender, host_name
from hostler.telemetry.log import STANDARD_ERROR, JsonFormatter, LineFormatter, ServerLog, open_log

JOURNAL_SOCKET = "/run/systemd/journal/socket"
# RFC 5424 6.2.1; our levels from the most severe.
_SEVERITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
# What rsyslog accepts by default, as for the access log.
_LONGEST = 8192
# A kernel without room, and a daemon that is behind: neither is waited for.
_BUSY = frozenset({errno.EAGAIN, errno.ENOBUFS})


def open_server_log(
    place: str,
    environment: Mapping[str, str],
    owner: tuple[int, int] | None = None,
    style: Literal["text", "json"] = "text",
) -> ServerLog:
    """Open the server's log, wherever it goes.

    Args:
        place: as `config.destination` reads it.
        environment: says whether colours are wanted on a terminal.
        owner: user and group of a file.
        style: lines for people, or JSON.

    Raises:
        PrivilegeError: the file cannot be opened.
    """
    formatter = JsonFormatter() if style == "json" else None
    destination = parse_destination(place)
    if isinstance(destination, File):
        return open_log(destination.path, environment, owner, formatter)
    return DaemonLog(destination, formatter or MessageFormatter())


class DaemonLog(ServerLog):
    """A log whose records go to a daemon; to standard error where that does not take them, rather than nowhere."""

    def __init__(self, destination: Journal | Syslog, formatter: logging.Formatter) -> None:
        """Send to `destination` what `formatter` makes of a record, where it makes lines."""
        super().__init__(STANDARD_ERROR, formatter=formatter)
        self._destination = destination
        address = (
            destination.address
            if isinstance(destination, Syslog)
            else UnixAddress(Path(destination.socket or JOURNAL_SOCKET))
        )
        self._datagrams = DatagramSender(address)

    def reopen(self) -> None:
        """Connect anew."""
        self._datagrams.close()

    def close(self) -> None:
        """Close the socket."""
        self._datagrams.close()
        super().close()

    def _write(self, record: logging.LogRecord, line: bytes) -> None:
        packets = (
            build_syslog_packets(record, line, self._destination)
            if isinstance(self._destination, Syslog)
            else [build_journal_entry(record)]
        )
        sent = [self._send(packet) for packet in packets]
        if not all(sent):
            super()._write(record, line)

    def _send(self, packet: bytes) -> bool:
        error = self._datagrams.send([packet])
        if error is not None and error.errno == errno.EMSGSIZE:
            error = self._datagrams.send_as_file(packet) if isinstance(self._destination, Journal) else error
        elif error is not None and error.errno not in _BUSY:
            # The daemon was restarted: what failed has closed the socket to the former one.
            error = self._datagrams.send([packet])
        return error is None


def find_severity(level: int) -> int:
    """Return the severity of syslog and of the journal for a level."""
    return next(severity for least, severity in _SEVERITIES if level >= least)


def build_syslog_packets(record: logging.LogRecord, line: bytes, destination: Syslog) -> list[bytes]:
    """Make a datagram for each line, in the framing of RFC 3164: syslog has no lines within a message.

    Args:
        record: gives time, severity and process.
        line: the text, of one or several lines.
        destination: says how they are labelled, and whether the daemon is on another machine.
    """
    priority = destination.facility * 8 + find_severity(record.levelno)
    # The day is padded with a space (RFC 3164 4.1.2).
    moment = time.localtime(record.created)
    stamp = f"{time.strftime('%b', moment)} {moment.tm_mday:2} {time.strftime('%H:%M:%S', moment)}"
    host = "" if isinstance(destination.address, UnixAddress) else f"{host_name()} "
    head = f"<{priority}>{stamp} {host}{destination.tag}[{record.process}]: ".encode()
    return [(head + each)[:_LONGEST] for each in line.rstrip(b"\n").split(b"\n")]


def build_journal_entry(record: logging.LogRecord) -> bytes:
    """Make an entry in the native protocol of the journal (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    fields = {
        "MESSAGE": record.getMessage(),
        "PRIORITY": str(find_severity(record.levelno)),
        "SYSLOG_IDENTIFIER": "hostler",
        "SYSLOG_PID": str(record.process),
        "HOSTLER_LOG": "server",
    }
    return b"".join(_build_field(name, value.encode("utf-8", "backslashreplace")) for name, value in fields.items())


def _build_field(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return name.encode() + b"=" + value + b"\n"
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


class MessageFormatter(LineFormatter):
    """The message alone: syslog has time, process and severity of its own."""

    def __init__(self) -> None:
        super().__init__(is_coloured=False)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that `logging` calls
        """Format the message; its further lines are set in."""
        return record.getMessage().replace("\n", "\n    ")
