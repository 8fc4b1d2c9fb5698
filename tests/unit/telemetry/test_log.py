"""The server log."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.errors import ConfigurationError, PrivilegeError
from hostler.telemetry.log import LOGGER_NAME, ServerLog, install_log, is_colour_wanted, open_log, reopen_log


@pytest.fixture(autouse=True)
def _former_logger() -> Iterator[None]:
    logger = logging.getLogger(LOGGER_NAME)
    state = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = state


def test_line_has_time_pid_level_and_message(capfd: pytest.CaptureFixture[str]) -> None:
    install_log(open_log("-", {}), "info")
    logging.getLogger(LOGGER_NAME).info("serving %s", "shop")
    line = capfd.readouterr().err
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \[{os.getpid()}\] INFO  serving shop\n", line)


def test_lines_of_one_message_cannot_be_taken_for_others(capfd: pytest.CaptureFixture[str]) -> None:
    install_log(open_log("-", {}), "info")
    logging.getLogger(LOGGER_NAME).info("first\n2026-11-20 14:00:00 [1] INFO  forged")
    assert "\n    2026-11-20" in capfd.readouterr().err


def test_level_decides_what_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    install_log(open_log("-", {}), "warning")
    logging.getLogger(LOGGER_NAME).info("chatter")
    logging.getLogger(LOGGER_NAME).warning("trouble")
    written = capfd.readouterr().err
    assert "chatter" not in written
    assert "WARN  trouble" in written


def test_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'loud'"):
        install_log(open_log("-", {}), "loud")


def test_only_one_log_is_installed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        install_log(open_log(str(tmp_path / name), {}), "info")
    logging.getLogger(LOGGER_NAME).info("once")
    assert (tmp_path / "a").read_text() == ""
    assert (tmp_path / "b").read_text().count("once") == 1


def test_reopened_log_goes_to_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = open_log(str(path), {})
    install_log(log, "info")
    logging.getLogger(LOGGER_NAME).info("before")
    path.rename(tmp_path / "log.1")
    logging.getLogger(LOGGER_NAME).info("between")
    fd = log.fd
    reopen_log(log)
    logging.getLogger(LOGGER_NAME).info("after")
    assert log.fd == fd
    assert "after" in path.read_text()
    assert "between" in (tmp_path / "log.1").read_text()


def test_log_that_cannot_be_reopened_stays(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    log = open_log(str(directory / "log"), {})
    install_log(log, "info")
    directory.rename(tmp_path / "moved")
    reopen_log(log)
    assert "former log file stays" in (tmp_path / "moved" / "log").read_text()


def test_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrivilegeError, match=str(tmp_path)):
        open_log(str(tmp_path / "no" / "log"), {})


def test_colour_is_for_levels_and_only_when_wanted() -> None:
    record = logging.LogRecord("hostler", logging.ERROR, "", 0, "trouble", (), None)
    assert "\x1b[31mERROR\x1b[0m trouble" in ServerLog("-", is_coloured=True).format(record)
    assert "\x1b" not in ServerLog("-").format(record)


def test_colour_needs_a_terminal_that_wants_it() -> None:
    leader, terminal = os.openpty()
    assert is_colour_wanted(terminal, {"TERM": "xterm"})
    assert not is_colour_wanted(terminal, {"TERM": "xterm", "NO_COLOR": "1"})
    assert not is_colour_wanted(terminal, {"TERM": "dumb"})
    os.close(terminal)
    os.close(leader)
    with Path(os.devnull).open() as file:
        assert not is_colour_wanted(file.fileno(), {"TERM": "xterm"})


def test_broken_log_does_not_stop_the_server() -> None:
    log = ServerLog("-")
    log.fd = 9999
    log.emit(logging.LogRecord("hostler", logging.ERROR, "", 0, "trouble", (), None))
