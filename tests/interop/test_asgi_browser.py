"""A real browser, headless Chromium, with a WebSocket and an EventSource."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FindPeer
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import StartServer
from tests.interop.chromium import Browser

APP = "tests.interop.apps.asgi_page:app"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def browser(find_peer: FindPeer, tmp_path: Path) -> Iterator[Browser]:
    with Browser(find_peer("chromium"), tmp_path / "profile") as opened:
        yield opened


def test_page_talks_and_listens(browser: Browser, hostler_server: StartServer, loop: str, tmp_path: Path) -> None:
    # Its events have no end.
    server = hostler_server(APP, *asgi_options(loop, "--graceful-timeout", "500ms"))
    (worker,) = server.children()
    browser.open(f"{server.url}/")
    lines = browser.evaluate("until('talk', 'welcome')")
    # A browser offers compression by itself.
    assert lines[0].startswith('open, protocol "stable", extensions "permessage-deflate')
    assert lines[1] == f"welcome to worker {worker}"
    browser.evaluate("socket.send('\\u2602 yah'); socket.send(new Uint8Array(100000));")
    browser.evaluate("until('talk', 'hay \\u2602')")
    browser.evaluate("until('talk', '200000 bytes')")
    assert browser.evaluate("until('events', '3: ')") == [f"{number}: from worker {worker}" for number in (1, 2, 3)]
    browser.evaluate("socket.send('bye')")
    assert browser.evaluate("until('talk', 'closed')")[-1] == "closed, code 4001, clean true"
    browser.screenshot(tmp_path / "talk.png")
    assert (tmp_path / "talk.png").read_bytes().startswith(b"\x89PNG")
    assert browser.complaints() == []
    assert server.stop() == 0


def test_page_goes_on_after_a_reload(browser: Browser, hostler_server: StartServer, loop: str) -> None:
    """The WebSocket is closed with 1012 and opened again; the events go on behind the last that was seen."""
    server = hostler_server(APP, *asgi_options(loop, "--graceful-timeout", "500ms"))
    (old,) = server.children()
    browser.open(f"{server.url}/")
    browser.evaluate(f"until('talk', 'worker {old}')")
    browser.evaluate("until('events', '3: ')")
    server.signal(signal.SIGHUP)
    lines = browser.evaluate("until('talk', 'closed')")
    assert lines[2] == "closed, code 1012, clean true"
    told = browser.evaluate("until('events', '6: ')")
    assert "lost, trying again" in told
    (new,) = server.children()
    assert new != old
    assert told[-3:] == [f"{number}: from worker {new}" for number in (4, 5, 6)]
    assert browser.evaluate(f"until('talk', 'worker {new}')")[-1] == f"welcome to worker {new}"
