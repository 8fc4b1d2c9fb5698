"""A Flask service (examples/flask_api) in production form."""

from __future__ import annotations

import hashlib
import json
import string

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import ROOT, RunningServer, StartServer
from tests.interop.conftest import read_until
from tests.interop.visitor import Upload, Visitor

SERVICE = ROOT / "examples" / "flask_api"
HELD_SERVICE = "tests.interop.apps.flask_inventory:build_app()"
JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024


@pytest.fixture
def service(hostler_server: StartServer) -> RunningServer:
    """The service, named by its hostler.toml."""
    return hostler_server(None, cwd=SERVICE)


@pytest.fixture
def held(hostler_server: StartServer, gate: Gate) -> RunningServer:
    """The service with routes that a test can hold."""
    return hostler_server(HELD_SERVICE, cwd=SERVICE, env=gate.env)


def alphabet(size: int) -> bytes:
    return (string.ascii_lowercase * (size // 26 + 1)).encode()[:size]


def test_json_goes_in_and_out(service: RunningServer) -> None:
    sent = {"horse": "Grani ä", "stall": 3, "fed": None, "weights": [1.5, -2]}
    answer = service.post("/echo", json.dumps(sent, ensure_ascii=False).encode(), JSON)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.text) == {"received": sent}


@pytest.mark.parametrize("body, content_type, status", [(b"{", "application/json", 400), (b"{}", "text/plain", 415)])
def test_what_is_no_json_is_refused(service: RunningServer, body: bytes, content_type: str, status: int) -> None:
    assert service.post("/echo", body, {"Content-Type": content_type}).status == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 429, 503])
def test_error_of_the_application_is_its_own_page(held: RunningServer, status: int) -> None:
    answer = held.get(f"/refuse/{status}")
    assert answer.status == status
    assert f"<title>{status} " in answer.text


def test_wrong_method_names_the_right_ones(service: RunningServer) -> None:
    answer = service.request("DELETE", "/echo")
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert service.request("OPTIONS", "/echo").status == 200


def test_exception_is_a_500_with_the_traceback_in_the_log(service: RunningServer) -> None:
    assert service.get("/crash").status == 500
    assert 'raise RuntimeError("the stable door was left open")' in service.stderr.wait_for("RuntimeError:")
    assert service.get("/").status == 200


def test_development_shows_the_exception_of_a_view_in_the_browser(hostler_server: StartServer) -> None:
    server = hostler_server(None, cwd=SERVICE, command=("dev",))
    answer = server.get("/crash")
    assert answer.status == 500
    assert "<h1>RuntimeError: the stable door was left open</h1>" in answer.text
    assert "500" in server.stdout.wait_for("/crash")


def test_development_leaves_flask_alone_where_it_is_told_to(hostler_server: StartServer) -> None:
    server = hostler_server(None, cwd=SERVICE, command=("dev",), env={"FLASK_DEBUG": "0"})
    answer = server.get("/crash")
    assert answer.status == 500
    assert "stable door" not in answer.text


def test_stream_with_context_arrives_in_pieces(held: RunningServer, gate: Gate) -> None:
    with held.connect() as stream:
        stream.sendall(b"GET /drip?word=hay HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        early = read_until(stream, b"first hay\n")
        gate.wait("drip")
        assert b"last" not in early
        gate.release("drip")
        assert b"last hay\n" in read_until(stream, b"\r\n0\r\n\r\n")


def test_stream_for_an_old_client_ends_with_the_connection(service: RunningServer) -> None:
    head, _, body = service.exchange(b"GET /stream?lines=3 HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert body == b"line 1\nline 2\nline 3\n"
    assert b"chunked" not in head


@pytest.mark.parametrize("size", [0, 1, 65_536, 20 * MIB + 7])
def test_send_file_delivers_the_file(service: RunningServer, size: int) -> None:
    answer = service.get(f"/file?size={size}")
    assert answer.status == 200
    assert answer.headers["Content-Length"] == str(size)
    assert answer.body == alphabet(size)


def test_send_file_delivers_ranges_and_knows_what_has_not_changed(service: RunningServer) -> None:
    answer = service.get("/file?size=200000", {"Range": "bytes=100000-100025"})
    assert (answer.status, answer.headers["Content-Range"]) == (206, "bytes 100000-100025/200000")
    assert answer.body == alphabet(100_026)[100_000:]
    assert service.get("/file?size=200000", {"Range": "bytes=200000-"}).status == 416
    assert service.request("HEAD", "/file?size=200000").headers["Content-Length"] == "200000"


def test_upload_of_several_sizes(service: RunningServer) -> None:
    for size in (0, 1, 300_000, 5 * MIB):
        content = alphabet(size)
        answer = Visitor(service.url).upload("/upload", Upload("any", "hay.bin", content))
        (file,) = json.loads(answer.text)["files"]
        assert file == {"name": "hay.bin", "size": size, "sha256": hashlib.sha256(content).hexdigest()}


def test_session_lives_in_a_cookie(service: RunningServer) -> None:
    regular, newcomer = Visitor(service.url), Visitor(service.url)
    assert [json.loads(regular.open("/visits").text)["visits"] for _ in range(3)] == [1, 2, 3]
    assert json.loads(newcomer.open("/visits").text)["visits"] == 1
    (cookie,) = regular.cookies
    cookie.value = "forged"
    assert json.loads(regular.open("/visits").text)["visits"] == 1
