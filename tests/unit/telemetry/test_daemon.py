"""The server log at syslog and at the journal, of which a socket of ours plays the part."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.config.destination import File, Journal, Syslog, parse_destination
from hostler.system.address import TcpAddress, UnixAddress
from hostler.telemetry.daemon import open_server_log
from hostler.telemetry.log import install_log, logger


@pytest.fixture(autouse=True)
def fixture_restored_logger() -> Iterator[None]:
    """Leave the logger as it was."""
    target = logger()
    state = (list(target.handlers), target.level, target.propagate)
    yield
    for handler in target.handlers:
        handler.close()
    target.handlers[:], target.level, target.propagate = state


class Daemon:
    """A datagram socket that gathers what comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = self._bind()

    def _bind(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(self.path))
        made.settimeout(10)
        return made

    def packet(self) -> bytes:
        """Return the next datagram, or what the file holds that came in its place."""
        data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
        for fd in descriptors:
            size = os.fstat(fd).st_size
            data = os.pread(fd, size, 0)
            os.close(fd)
        return data

    def stop(self) -> None:
        """Go away."""
        self._socket.close()
        self.path.unlink()

    def start(self) -> None:
        """Come back at the same place."""
        self._socket = self._bind()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "socket")
    yield daemon
    if daemon.path.exists():
        daemon.stop()


def test_destinations_are_read() -> None:
    assert parse_destination("/var/log/x") == File("/var/log/x")
    assert parse_destination("journald:") == Journal("")
    assert parse_destination("journald:/run/x") == Journal("/run/x")
    assert parse_destination("syslog:") == Syslog(UnixAddress(Path("/dev/log")), 16, "hostler")
    assert parse_destination("syslog:udp://[::1]:514?facility=daemon&tag=shop") == Syslog(
        TcpAddress("::1", 514), 3, "shop"
    )
    assert parse_destination("syslog:unix:/run/log?facility=local7").facility == 23  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text, fault",
    [
        ("journald:x", "comes nothing"),
        ("syslog:tcp://x:1", "not an address"),
        ("syslog:udp://x", "not an address"),
        ("syslog:udp://x:99999", "not an address"),
        ("syslog:?facility=fun", "write facility= and one of kern"),
        ("syslog:?tag=a b", "letters, digits"),
        ("syslog:?colour=red", "'colour=red' is not known"),
    ],
)
def test_destinations_that_cannot_be_are_told(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_destination(text)


def test_syslog_gets_a_datagram_for_each_line_with_its_severity(daemon: Daemon) -> None:
    install_log(open_server_log(f"syslog:unix:{daemon.path}?facility=daemon&tag=shop", {}), "info")
    logger().error("the shop burns\n  on the first floor")
    head = rf"<27>[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d shop\[{os.getpid()}\]: "
    assert re.fullmatch(f"{head}the shop burns", daemon.packet().decode())
    assert re.fullmatch(f"{head}      on the first floor", daemon.packet().decode())
    logger().info("all is well")
    assert daemon.packet().startswith(b"<30>")


def test_journal_gets_fields_and_lines_as_they_are(daemon: Daemon) -> None:
    install_log(open_server_log(f"journald:{daemon.path}", {}), "info")
    logger().warning("one line")
    fields = dict(line.split(b"=", 1) for line in daemon.packet().splitlines())
    assert (fields[b"MESSAGE"], fields[b"PRIORITY"], fields[b"SYSLOG_IDENTIFIER"]) == (b"one line", b"4", b"hostler")
    logger().warning("two\nlines")
    assert daemon.packet().startswith(b"MESSAGE\n" + (9).to_bytes(8, "little") + b"two\nlines\n")


def test_entry_that_is_too_large_for_a_datagram_comes_in_a_file(daemon: Daemon) -> None:
    install_log(open_server_log(f"journald:{daemon.path}", {}), "info")
    logger().warning("x" * 2_000_000)
    assert len(daemon.packet()) > 2_000_000


def test_daemon_that_is_away_leaves_lines_to_standard_error_and_is_found_again(
    daemon: Daemon, capfd: pytest.CaptureFixture[str]
) -> None:
    install_log(open_server_log(f"journald:{daemon.path}", {}), "info")
    daemon.stop()
    logger().warning("nobody home")
    assert "nobody home" in capfd.readouterr().err
    daemon.start()
    logger().warning("back again")
    assert b"back again" in daemon.packet()
    assert capfd.readouterr().err == ""


def test_records_for_machines_are_an_object_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    install_log(open_server_log("-", {}, style="json"), "info")
    logger().error("the shop burns\nTraceback\n  here")
    try:
        raise LookupError("gone")
    except LookupError:
        logging.getLogger("hostler").exception('a "quote"')
    first, second = map(json.loads, capfd.readouterr().err.splitlines())
    assert (first["level"], first["pid"], first["message"]) == ("error", os.getpid(), "the shop burns")
    assert first["details"] == "Traceback\n  here"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert second["message"] == 'a "quote"'
    assert "LookupError: gone" in second["details"]
