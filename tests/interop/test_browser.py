"""A real browser, headless Chromium, uses what Hostler serves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FindPeer
from tests.e2e.harness import PATIENCE, ROOT, RunningServer, StartServer
from tests.interop.chromium import OPTIONS, Browser
from tests.interop.conftest import DJANGO_SITE, PASSWORD

GUESTBOOK = ROOT / "examples" / "guestbook"
SLOW_AND_QUICK = "document.getElementById('verdict').textContent"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def browser(find_peer: FindPeer, tmp_path: Path) -> Iterator[Browser]:
    with Browser(find_peer("chromium"), tmp_path / "profile") as opened:
        yield opened


@pytest.fixture
def guestbook(hostler_server: StartServer, tmp_path: Path) -> RunningServer:
    return hostler_server(None, cwd=GUESTBOOK, env={"GUESTBOOK_DATABASE": str(tmp_path / "book.sqlite3")})


def test_page_is_rendered(find_peer: FindPeer, guestbook: RunningServer, tmp_path: Path) -> None:
    # As anybody would look at a page from a script; --dump-dom prints the document after its scripts have run.
    command = [find_peer("chromium"), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, f"{guestbook.url}/"], capture_output=True, text=True, timeout=2 * PATIENCE, check=True
    )
    assert "Served by <strong>hostler" in done.stdout
    assert "<title>The guestbook" in done.stdout
    assert done.stdout.rstrip().endswith("</html>")


def test_style_and_script_of_the_page_are_taken(browser: Browser, guestbook: RunningServer) -> None:
    browser.open(f"{guestbook.url}/")
    assert browser.complaints() == []
    assert browser.evaluate("document.styleSheets[0].cssRules.length > 10")
    assert browser.evaluate("document.querySelector('img').naturalWidth > 0")
    assert browser.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "http/1.1"


def test_form_is_sent_and_its_redirect_followed(browser: Browser, guestbook: RunningServer) -> None:
    browser.open(f"{guestbook.url}/")
    assert "1 entry" in browser.text()
    browser.submit({"name": "Ada ä", "message": "Sat well.\n<b>Not bold</b>"}, "form button")
    assert "2 entries" in browser.text()
    assert "Sat well.\n<b>Not bold</b>" in browser.text()
    assert browser.evaluate("location.href") == f"{guestbook.url}/#entries"
    assert browser.complaints() == []


def test_quick_calls_do_not_wait_for_slow_ones(browser: Browser, guestbook: RunningServer) -> None:
    browser.open(f"{guestbook.url}/")
    # The page's own demonstration; its promise ends when all answers are there.
    browser.evaluate("run()")
    assert "40 quick answers" in browser.evaluate(SLOW_AND_QUICK)
    order = browser.evaluate("[...document.querySelectorAll('#tiles li')].map(tile => tile.className)")
    assert len(order) == 42
    # Far more arrive in 1.5 s; on a machine that is busy with other things a few must.
    assert order.index("slow") >= 5


def test_stream_reaches_a_script_in_pieces_while_other_calls_go_on(browser: Browser, guestbook: RunningServer) -> None:
    browser.open(f"{guestbook.url}/")
    read_first = "fetch('stream?lines=2&ms=1500').then(async answer => { const reader = answer.body.getReader();"
    first = browser.evaluate(
        f"{read_first} const piece = await reader.read();"
        " const other = await (await fetch('api/served')).json();"
        " let rest = ''; for (;;) { const next = await reader.read(); if (next.done) break;"
        " rest += new TextDecoder().decode(next.value); }"
        " return [new TextDecoder().decode(piece.value), other.protocol, rest]; })"
    )
    assert first[0].startswith("1 of 2")
    assert first[1] == "HTTP/1.1"
    assert first[2].startswith("2 of 2")


def test_development_shows_what_is_broken_and_goes_on_once_it_is_mended(
    browser: Browser, hostler_server: StartServer, tmp_path: Path
) -> None:
    module = tmp_path / "shop.py"
    module.write_text("import json\nimport no_such_thing\n")
    server = hostler_server("shop:app", cwd=tmp_path, command=("dev",))
    browser.open(f"{server.url}/")
    assert "No module named 'no_such_thing'" in browser.evaluate("document.querySelector('h1').innerText")
    # The line that failed, from the file as it is; nothing of what Hostler or Python did to get there.
    assert "import no_such_thing" in browser.text()
    assert "import_module" not in browser.text()
    browser.forget_events()
    module.write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [b'open again']\n"
    )
    browser.wait_for_event("Page.loadEventFired")
    assert "open again" in browser.text()


def test_django_admin_is_used_as_a_person_would(
    browser: Browser, hostler_server: StartServer, site_env: dict[str, str]
) -> None:
    server = hostler_server(None, cwd=DJANGO_SITE, env=site_env)
    browser.open(f"{server.url}/admin/")
    browser.submit({"username": "groom", "password": PASSWORD}, "[type=submit]")
    assert "Site administration" in browser.text()
    # The site has no icon; its style sheets and scripts must all be there.
    assert [complaint for complaint in browser.complaints() if "/favicon.ico" not in complaint] == []
    browser.open(f"{server.url}/admin/horses/horse/add/")
    browser.submit({"name": "Falada", "stall": "4"}, "[name=_save]")
    assert "was added successfully" in browser.text()
    assert browser.complaints() == []
