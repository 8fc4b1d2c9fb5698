"""The guestbook and the chat of examples/, started as their READMEs and `make demo` start them."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.e2e.asgi import LOOPS
from tests.e2e.harness import PATIENCE, ROOT, RunningServer, StartServer, free_port, start_group

GUESTBOOK = ROOT / "examples" / "guestbook"
CHAT = ROOT / "examples" / "chat"
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


# The chat.


@pytest.fixture(params=LOOPS)
def chat(hostler_server: StartServer, request: pytest.FixtureRequest) -> RunningServer:
    return hostler_server(None, "--loop", request.param, cwd=CHAT)


def come_in(server: RunningServer, name: str, origin: str | None = None) -> ClientConnection:
    place = f"ws://{server.host}:{server.port}/ws?{urlencode({'name': name})}"
    return connect(place, origin=None if origin is None else Origin(origin), open_timeout=PATIENCE, proxy=None)


def read_message(websocket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(websocket.recv(PATIENCE))
    return message


def read_events(server: RunningServer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reads the stream as a browser does: an event ends with an empty line."""
    with server.connect() as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: test\r\n\r\n")
        with connection.makefile("rb") as stream:
            kind = ""
            for line in stream:
                # The sizes of chunks stand on lines of their own, between those of events.
                name, _, value = line.decode().rstrip().partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)


def test_chat_passes_on_what_is_said_and_keeps_it_for_those_who_come_later(chat: RunningServer) -> None:
    with come_in(chat, "Ada") as ada, come_in(chat, "Ada") as other:
        assert read_message(ada) == {"kind": "welcome", "name": "Ada", "lines": []}
        assert read_message(other)["name"] == "Ada 2"
        assert read_message(ada)["kind"] == "joined"
        other.send(json.dumps({"text": " <b>Hello</b> "}))
        said = read_message(ada)
        assert (said["kind"], said["name"], said["text"]) == ("said", "Ada 2", "<b>Hello</b>")
        assert read_message(other) == said
        with come_in(chat, "Bodil") as late:
            assert read_message(late)["lines"] == [said]


def test_event_stream_tells_who_is_there_and_the_time(chat: RunningServer) -> None:
    events = read_events(chat)
    kind, served = next(events)
    assert (kind, served["worker"]) == ("served", f"process {chat.children()[0]}")
    assert next(events) == ("online", {"names": []})
    with come_in(chat, "Ada"):
        assert ("online", {"names": ["Ada"]}) in iter(events)
    assert ("online", {"names": []}) in iter(events)
    assert any(kind == "clock" for kind, _ in events)
    events.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize(
    "name, origin, status", [("", None, 422), ("Ada", "https://elsewhere.example", 403), (" \t", None, 422)]
)
def test_handshake_without_a_name_or_from_another_site_is_denied(
    chat: RunningServer, name: str, origin: str | None, status: int
) -> None:
    with pytest.raises(InvalidStatus) as denied:
        come_in(chat, name, origin=origin)
    assert denied.value.response.status_code == status
    with come_in(chat, "Ada", origin=chat.url):
        pass


@pytest.mark.parametrize("message", ["no JSON", "[1]", b"\xff", "[" * 4000])
def test_message_of_another_form_ends_the_connection_and_nothing_else(
    chat: RunningServer, message: str | bytes
) -> None:
    with come_in(chat, "Bodil") as bodil, come_in(chat, "Ada") as ada:
        assert read_message(ada)["kind"] == "welcome"
        ada.send(message)
        with pytest.raises(ConnectionClosedError) as closed:
            read_message(ada)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003
        assert [read_message(bodil)["kind"] for _ in range(3)] == ["welcome", "joined", "left"]
    assert "ERROR" not in chat.log()


def test_half_a_surrogate_pair_harms_nobody(chat: RunningServer) -> None:
    with come_in(chat, "Ada") as ada:
        read_message(ada)
        ada.send('{"text": "\\ud83d"}')
        assert read_message(ada)["text"] == "?"


def test_chat_asks_its_clients_to_come_again_when_it_reloads(chat: RunningServer) -> None:
    with come_in(chat, "Ada") as ada:
        read_message(ada)
        chat.signal(signal.SIGHUP)
        with pytest.raises(ConnectionClosedError) as closed:
            read_message(ada)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    with come_in(chat, "Ada") as ada:
        assert read_message(ada)["kind"] == "welcome"


def test_chat_hands_over_its_page_and_files(chat: RunningServer) -> None:
    page = chat.get("/")
    assert page.body == (CHAT / "chat" / "page.html").read_bytes()
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for path in re.findall(r'(?:src|href)="(static/[^"]+)"', page.text):
        assert chat.get(f"/{path}").status == 200
