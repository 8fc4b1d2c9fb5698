"""`hostler top` on a real terminal."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
from pathlib import Path

import pytest

from tests.e2e.harness import RunningServer, StartServer, wait_until
from tests.e2e.operator import environ, operate
from tests.e2e.terminal import INTERRUPT, Terminal

APP = "tests.e2e.apps.operated:app"
LEFT = "\x1b[?1049l"


def open_top(server: RunningServer, directory: Path, *options: str, term: str = "xterm") -> Terminal:
    command = [sys.executable, "-m", "hostler", "top", "--interval", "200ms", *options]
    return Terminal(command, directory, environ(server, {"TERM": term}))


def last_picture(terminal: Terminal) -> list[str]:
    """The lines of the last whole picture, without what moves the cursor."""
    whole = [each for each in terminal.output.text.split("\x1b[H") if "\x1b[J" in each]
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", whole[-1] if whole else "").split("\r\n")


@pytest.fixture(name="server")
def fixture_server(hostler_server: StartServer) -> RunningServer:
    return hostler_server(APP, "--workers", "2")


def test_it_shows_workers_and_requests_and_ends_at_a_key(server: RunningServer, tmp_path: Path) -> None:
    with open_top(server, tmp_path) as top, server.connect() as stream:
        top.output.wait_for("2 wanted, 2 ready")
        stream.sendall(f"GET /wait?{tmp_path}/never HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        top.output.wait_for("/wait")
        for _ in range(20):
            server.get("/")
        wait_until(lambda: re.search(r"requests [1-9][\d.]*/s", top.output.text) is not None, "a rate")
        wait_until(lambda: any(re.match(r"\d +\d+ busy ", line) for line in last_picture(top)), "the busy worker")
        top.press(b"q")
        assert top.wait() == 0
        assert LEFT in top.output.wait_end()


def test_keys_do_what_they_say(server: RunningServer, tmp_path: Path) -> None:
    with open_top(server, tmp_path) as top:
        top.output.wait_for("2 ready")
        top.press(b"+")
        top.output.wait_for("3 workers are wanted now, 2 were before")
        top.output.wait_for("3 wanted, 3 ready")
        # Faster than they are looked at: none is lost.
        top.press(b"-r")
        top.output.wait_for("2 workers are wanted now, 3 were before")
        top.output.wait_for("last reload reloaded")
        top.press(b"o")
        top.output.wait_for("ordered by requests")
        top.press(b"s")
        top.output.wait_for("q back")
        assert "in serve_wsgi" in top.output.text
        top.press(b"\x1b[B\x1b[B")
        top.press(b"q")
        drawn = top.output.text.count("REQ/S")
        wait_until(lambda: top.output.text.count("REQ/S") > drawn, "the view again")
        top.press(b"q")
        assert top.wait() == 0


def test_key_shows_the_slowest_requests_in_place_of_those_in_progress(server: RunningServer, tmp_path: Path) -> None:
    with open_top(server, tmp_path) as top:
        top.output.wait_for("t slowest")
        assert "TOOK" not in top.output.text
        server.get("/once")
        top.press(b"t")
        top.output.wait_for("TOOK")
        top.output.wait_for("/once")
        assert "t in progress" in top.output.text
        count = top.output.text.count("t slowest")
        top.press(b"t")
        wait_until(lambda: top.output.text.count("t slowest") > count, "requests in progress again")


def test_picture_follows_the_size_of_the_terminal(server: RunningServer, tmp_path: Path) -> None:
    with open_top(server, tmp_path, "--interval", "1h") as top:
        top.output.wait_for("2 ready")
        top.resize(60, 12)
        wait_until(lambda: fits(last_picture(top), 60, 12), "a small picture")
        top.resize(120, 30)
        wait_until(lambda: fits(last_picture(top), 120, 30), "a larger one")


def fits(picture: list[str], columns: int, rows: int) -> bool:
    return len(picture) == rows and max(map(len, picture)) <= columns


@pytest.mark.parametrize("ending", ["interrupt", "terminate", "server"])
def test_terminal_is_left_as_it_was(server: RunningServer, tmp_path: Path, ending: str) -> None:
    with open_top(server, tmp_path) as top:
        before = termios.tcgetattr(top._keyboard)[3] & ~(termios.ICANON | termios.ECHO)
        top.output.wait_for("2 ready")
        if ending == "interrupt":
            top.press(INTERRUPT)
        elif ending == "terminate":
            os.kill(top.pid, signal.SIGTERM)
        else:
            server.stop()
        assert top.wait() == {"interrupt": 130, "terminate": 143, "server": 0}[ending]
        after = termios.tcgetattr(top._keyboard)[3]
        assert after & termios.ICANON
        assert after & termios.ECHO
        assert after & ~(termios.ICANON | termios.ECHO) == before
        assert top.output.wait_end().endswith("the server has ended\r\n" if ending == "server" else LEFT)


def test_dumb_terminal_gets_one_picture_after_the_other(server: RunningServer, tmp_path: Path) -> None:
    with open_top(server, tmp_path, term="dumb") as top:
        top.output.wait_for("2 wanted, 2 ready", count=3)
        assert "\x1b" not in top.output.text
        top.press(INTERRUPT)
        assert top.wait() == 130


def test_without_a_terminal_it_prints_once(server: RunningServer) -> None:
    done = operate(server, "top", "--interval", "100ms")
    assert done.returncode == 0
    assert done.stdout.count("2 wanted, 2 ready") == 1
    assert "\x1b" not in done.stdout


def test_two_can_look_at_one_server(server: RunningServer, tmp_path: Path) -> None:
    with open_top(server, tmp_path) as one, open_top(server, tmp_path) as other:
        for top in (one, other):
            top.output.wait_for("2 ready")
            top.press(b"q")
            assert top.wait() == 0
