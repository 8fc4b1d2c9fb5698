"""The guestbook of examples/, started as its README and `make demo` start it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.harness import ROOT, RunningServer, StartServer, free_port, start_group

GUESTBOOK = ROOT / "examples" / "guestbook"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def guestbook(hostler_server: StartServer, tmp_path: Path) -> RunningServer:
    return hostler_server(None, cwd=GUESTBOOK, env={"GUESTBOOK_DATABASE": str(tmp_path / "book.sqlite3")})


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningServer]:
    port = free_port()
    command = Path(sys.executable).with_name("hostler")
    with start_group(
        [str(ROOT / "scripts" / "demo"), str(command), "127.0.0.1", str(port)],
        f"127.0.0.1:{port}",
        env={"GUESTBOOK_DATABASE": str(tmp_path / "book.sqlite3")},
    ) as server:
        yield server


def read_fact(page: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt><dd>([^<]*)</dd>", page)
    assert found, f"no {label} on the page"
    return found[1]


def test_page_shows_what_serves_it(guestbook: RunningServer) -> None:
    answer = guestbook.get("/", {"X-Request-Id": "seen-before", "X-Curious": "<yes>"})
    assert answer.status == 200
    assert re.search(r"Served by <strong>hostler", answer.text)
    assert read_fact(answer.text, "Worker") in {f"process {pid}" for pid in guestbook.children()}
    assert read_fact(answer.text, "Request id") == "seen-before"
    assert read_fact(answer.text, "Protocol") == "HTTP/1.1"
    assert read_fact(answer.text, "X-Curious") == "&lt;yes&gt;"


def test_signature_is_kept_escaped_and_seen_by_all_workers(guestbook: RunningServer) -> None:
    form = urlencode({"name": "Ada <b>", "message": "<script>alert(1)</script>"}).encode()
    answer = guestbook.post("/", form, FORM)
    assert (answer.status, answer.headers["Location"]) == (303, "/#entries")
    for _ in range(4):
        page = guestbook.get("/").text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "<script>alert" not in page


@pytest.mark.parametrize(
    "form", [{"name": "", "message": "x"}, {"name": "x", "message": " "}, {"name": "x" * 61, "message": "x"}]
)
def test_incomplete_signature_is_refused(guestbook: RunningServer, form: dict[str, str]) -> None:
    answer = guestbook.post("/", urlencode(form).encode(), FORM)
    assert answer.status == 422
    assert 'role="alert"' in answer.text


def test_other_views_answer(guestbook: RunningServer) -> None:
    assert guestbook.get("/stream?lines=3&ms=0").text.count("of 3, from worker") == 3
    assert json.loads(guestbook.get("/slow?ms=1").text)["protocol"] == "HTTP/1.1"
    assert guestbook.get("/nowhere").status == 404
    assert guestbook.request("DELETE", "/").status == 405
    style = guestbook.get("/static/style.css")
    assert style.body == (GUESTBOOK / "guestbook" / "static" / "style.css").read_bytes()
    assert guestbook.get("/static/..%2fapp.py").status == 404


def test_demo_serves_without_a_terminal_and_stops_when_asked(demo: RunningServer) -> None:
    demo.wait_ready()
    assert demo.url in demo.stdout.text
    assert demo.get("/").status == 200
    assert demo.stop() == 0
