"""Hostler behind the real nginx, over TCP and over a unix socket, as deployment guides set it up."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FindPeer
from tests.e2e.gate import Gate
from tests.e2e.harness import PATIENCE, RunningServer, StartServer, free_port, wait_until
from tests.interop.conftest import DJANGO_SITE, PASSWORD, StartNginx, read_until
from tests.interop.nginx import Nginx, Upstream
from tests.interop.visitor import Visitor
from tests.interop.vitals import MIB, peak_bytes

PROBE = "tests.interop.apps.probe:app"

# Of 50 MiB that pass through, no part that grows with it may be in memory.
LARGEST_GROWTH = 16 * MIB
WANTED_REQUESTS = 10_000
WRK_REQUESTS = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)


class Stack:
    """nginx in front, Hostler behind."""

    def __init__(self, nginx: Nginx, server: RunningServer) -> None:
        self.nginx = nginx
        self.server = server
        self.visitor = Visitor(nginx.url)

    def environ(self, path: str = "/environ", headers: dict[str, str] | None = None) -> dict[str, Any]:
        """What the application is told of a request through nginx."""
        told: dict[str, Any] = json.loads(self.visitor.open(path, headers=headers).body)
        return told


@pytest.fixture
def upstreams() -> Iterator[dict[str, Upstream]]:
    """An address of each kind; that of the unix socket is short, as the kernel wants it."""
    directory = Path(tempfile.mkdtemp(prefix="interop-"))
    yield {
        "tcp": Upstream(f"127.0.0.1:{free_port()}"),
        "unix": Upstream(f"unix:{directory}/app.sock?mode=660"),
    }
    shutil.rmtree(directory)


@pytest.fixture(params=["tcp", "unix"])
def stack(
    request: pytest.FixtureRequest,
    hostler_server: StartServer,
    nginx: StartNginx,
    upstreams: dict[str, Upstream],
    gate: Gate,
) -> Stack:
    upstream = upstreams[request.param]
    return Stack(nginx(upstream), hostler_server(PROBE, "--threads", "4", bind=upstream.bind, env=gate.env))


@pytest.fixture
def tcp(hostler_server: StartServer, nginx: StartNginx, upstreams: dict[str, Upstream]) -> Stack:
    """Over TCP, two workers, nginx not trusted: the application sees the connections that nginx makes."""
    upstream = upstreams["tcp"]
    server = hostler_server(PROBE, "--workers", "2", "--trust", "192.0.2.0/24", bind=upstream.bind)
    return Stack(nginx(upstream), server)


def test_get_and_post_pass_through(stack: Stack) -> None:
    told = stack.environ("/some/where?a=1&b=%C3%A4")
    assert (told["PATH_INFO"], told["QUERY_STRING"]) == ("/some/where", "a=1&b=%C3%A4")
    assert (told["REQUEST_METHOD"], told["SERVER_PROTOCOL"]) == ("GET", "HTTP/1.1")
    answer = json.loads(stack.visitor.open("/digest", b"hay" * 1000, {"Content-Type": "text/plain"}).body)
    assert answer == {"size": 3000, "sha256": hashlib.sha256(b"hay" * 1000).hexdigest(), "content_length": "3000"}


def test_nginx_without_settings_speaks_http_1_0(stack: Stack) -> None:
    assert stack.environ("/plain/environ")["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert len(stack.visitor.open(f"/plain/large?{3 * MIB}").body) == 3 * MIB
    # A stream of unknown length: its end is the end of the connection.
    answer = json.loads(stack.visitor.open("/plain/digest", b"hay").body)
    assert answer["size"] == 3


@pytest.mark.parametrize("path", ["/digest", "/live/digest"], ids=["buffered-by-nginx", "passed-on-as-it-comes"])
def test_upload_of_50_mib_arrives_whole_and_stays_out_of_memory(stack: Stack, path: str, upload_content: bytes) -> None:
    (worker,) = stack.server.children()
    before = peak_bytes(worker)
    answer = json.loads(stack.visitor.open(path, upload_content, {"Content-Type": "image/png"}).body)
    assert (answer["size"], answer["sha256"]) == (len(upload_content), hashlib.sha256(upload_content).hexdigest())
    assert peak_bytes(worker) - before < LARGEST_GROWTH


@pytest.mark.parametrize("path", ["/digest", "/live/digest"])
def test_chunked_upload_arrives_whole(stack: Stack, path: str, upload_content: bytes) -> None:
    content = upload_content[: 2 * MIB + 3]
    connection = http.client.HTTPConnection("127.0.0.1", stack.nginx.http_port, timeout=PATIENCE)
    blocks = (content[start : start + 60_000] for start in range(0, len(content), 60_000))
    connection.request("POST", path, blocks, {"Content-Type": "image/png"}, encode_chunked=True)
    with connection.getresponse() as answer:
        told = json.loads(answer.read())
    connection.close()
    assert (told["size"], told["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_stream_arrives_in_pieces(stack: Stack, gate: Gate) -> None:
    with stack.nginx.connect() as stream:
        stream.sendall(b"GET /live/drip HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        early = read_until(stream, b"first\n")
        gate.wait("drip")
        assert b"last" not in early
        gate.release("drip")
        assert b"last\n" in read_until(stream, b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", ["/large", "/live/large"])
def test_large_response_arrives_whole(stack: Stack, path: str) -> None:
    answer = stack.visitor.open(f"{path}?{40 * MIB + 5}")
    assert len(answer.body) == 40 * MIB + 5
    assert answer.body[65_536 * 300] == 300 % 251


def test_head_and_not_modified_have_no_body_and_leave_the_connection_usable(stack: Stack) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stack.nginx.http_port, timeout=PATIENCE)
    seen = []
    for method, headers in [("HEAD", {}), ("GET", {}), ("GET", {"If-None-Match": '"v1"'}), ("GET", {})] * 3:
        connection.request(method, "/cached", headers=headers)
        with connection.getresponse() as answer:
            seen.append((answer.status, answer.headers["ETag"], answer.read()))
    connection.close()
    assert seen == [(200, '"v1"', b""), (200, '"v1"', b"fresh\n"), (304, '"v1"', b""), (200, '"v1"', b"fresh\n")] * 3
    assert "error" not in stack.nginx.error_log()


def test_application_sees_scheme_host_and_request_id_through_a_trusted_nginx(stack: Stack) -> None:
    secure = Visitor(stack.nginx.secure_url, stack.nginx.tls)
    told = json.loads(secure.open("/environ").body)
    assert told["wsgi.url_scheme"] == "https"
    assert told["HTTP_HOST"] == f"localhost:{stack.nginx.https_port}"
    assert told["hostler.request_id"] == told["HTTP_X_REQUEST_ID"]
    assert stack.environ()["wsgi.url_scheme"] == "http"


def test_address_is_the_client_s_and_not_what_it_makes_up(stack: Stack) -> None:
    # Another address of this machine, which is not trusted, as a visitor's is not.
    source = ("127.0.0.2", 0)
    connection = http.client.HTTPConnection("127.0.0.1", stack.nginx.http_port, PATIENCE, source)
    made_up = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Request-Id": "made-up"}
    connection.request("GET", "/environ", headers=made_up)
    with connection.getresponse() as answer:
        told = json.loads(answer.read())
    connection.close()
    assert told["HTTP_X_FORWARDED_FOR"] == "198.51.100.7, 127.0.0.2"
    assert told["REMOTE_ADDR"] == "127.0.0.2"
    assert told["wsgi.url_scheme"] == "http"
    assert told["hostler.request_id"] != "made-up"


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_access_log_names_the_client_and_not_nginx(
    hostler_server: StartServer, nginx: StartNginx, upstreams: dict[str, Upstream], kind: str
) -> None:
    upstream = upstreams[kind]
    server = hostler_server(PROBE, "--access-log", "-", bind=upstream.bind)
    front = nginx(upstream)
    connection = http.client.HTTPConnection("127.0.0.1", front.http_port, PATIENCE, ("127.0.0.2", 0))
    connection.request("GET", "/cached?hay=1", headers={"User-Agent": "visitor"})
    with connection.getresponse() as answer:
        answer.read()
    connection.close()
    log = server.stdout.wait_for('"GET /cached?hay=1 HTTP/1.1" 200 6 "-" "visitor"')
    assert log.splitlines()[-1].startswith("127.0.0.2 - - [")


def test_redirect_leads_back_to_the_address_outside(stack: Stack) -> None:
    secure = Visitor(stack.nginx.secure_url, stack.nginx.tls)
    answer = secure.open("/redirect")
    assert (answer.status, answer.url) == (200, f"{stack.nginx.secure_url}/there")


def test_application_below_a_prefix_knows_it(stack: Stack) -> None:
    secure = Visitor(stack.nginx.secure_url, stack.nginx.tls)
    told = json.loads(secure.open("/shop/environ").body)
    assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == ("/shop", "/environ")
    assert secure.open("/shop/redirect").url == f"{stack.nginx.secure_url}/shop/there"


def test_django_admin_below_a_prefix(
    hostler_server: StartServer, nginx: StartNginx, upstreams: dict[str, Upstream], site_env: dict[str, str]
) -> None:
    upstream = upstreams["tcp"]
    hostler_server("stable.wsgi:application", bind=upstream.bind, cwd=DJANGO_SITE, env=site_env)
    front = nginx(upstream)
    visitor = Visitor(front.secure_url, front.tls)
    page = visitor.send_form("/shop/admin/login/", username="groom", password=PASSWORD, next="/shop/admin/")
    assert page.url == f"{front.secure_url}/shop/admin/"
    assert 'href="/shop/admin/horses/horse/add/"' in page.text


def test_untrusted_nginx_is_not_believed(tcp: Stack) -> None:
    told = json.loads(Visitor(tcp.nginx.secure_url, tcp.nginx.tls).open("/environ").body)
    assert told["wsgi.url_scheme"] == "http"
    assert told["REMOTE_ADDR"] == "127.0.0.1"
    assert [name for name in told if "FORWARDED" in name] == []
    assert told["hostler.request_id"] != told.get("HTTP_X_REQUEST_ID")


def test_nginx_on_a_unix_socket_is_not_believed_where_only_a_network_is_trusted(
    hostler_server: StartServer, nginx: StartNginx, upstreams: dict[str, Upstream]
) -> None:
    upstream = upstreams["unix"]
    hostler_server(PROBE, "--trust", "127.0.0.1", bind=upstream.bind)
    front = nginx(upstream)
    told = json.loads(Visitor(front.secure_url, front.tls).open("/environ").body)
    assert told["wsgi.url_scheme"] == "http"
    assert [name for name in told if "FORWARDED" in name] == []


def test_connections_to_the_server_are_kept_and_used_again(tcp: Stack) -> None:
    ports = {tcp.environ()["REMOTE_PORT"] for _ in range(60)}
    assert len(ports) == 1


def test_connection_of_its_own_per_request_where_nginx_is_told_so(tcp: Stack) -> None:
    ports = {tcp.environ("/plain/environ")["REMOTE_PORT"] for _ in range(10)}
    assert len(ports) == 10


def test_failing_application_is_a_500_and_no_gateway_error(stack: Stack) -> None:
    assert [stack.visitor.open("/crash").status for _ in range(3)] == [500, 500, 500]
    assert stack.visitor.open("/environ").status == 200
    assert "upstream prematurely closed" not in stack.nginx.error_log()


def test_ten_thousand_requests_pass_without_an_error(tcp: Stack, find_peer: FindPeer) -> None:
    wrk = find_peer("wrk")
    done = 0
    while done < WANTED_REQUESTS:
        load = subprocess.run(
            [wrk, "-t1", "-c32", "-d2s", f"{tcp.nginx.url}/cached"],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout
        assert "Non-2xx" not in load, load
        assert "Socket errors" not in load, load
        found = WRK_REQUESTS.search(load)
        assert found, load
        assert int(found[1]) > 0, load
        done += int(found[1])
    assert "[error]" not in tcp.nginx.error_log()


class Callers:
    """Clients that call without pause until they are told to stop; each answer is looked at."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self.good = 0
        self.bad: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(index,)) for index in range(count)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until that many more calls have ended well, or one has not."""
        with self._changed:
            wanted = self.good + count
            assert self._changed.wait_for(lambda: self.good >= wanted or bool(self.bad), PATIENCE)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _call(self, index: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        body = b"x" * 5000
        while not self._stop.is_set():
            # POST is what nobody may repeat: if it is lost it is lost.
            method = "GET" if index % 2 else "POST"
            try:
                connection.request(method, "/digest", body if method == "POST" else None)
                with connection.getresponse() as answer:
                    text = answer.read()
                outcome = "" if answer.status == 200 and json.loads(text) else f"{method}: {answer.status} {text!r}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                outcome = f"{method}: {error!r}"
                connection.close()
            with self._changed:
                self.good += not outcome
                self.bad += [outcome] if outcome else []
                self._changed.notify_all()
        connection.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_reload_under_load_behind_nginx_loses_no_request(
    hostler_server: StartServer, nginx: StartNginx, upstreams: dict[str, Upstream], kind: str
) -> None:
    upstream = upstreams[kind]
    server = hostler_server(PROBE, "--workers", "2", "--graceful-timeout", "5s", bind=upstream.bind)
    front = nginx(upstream)
    callers = Callers(front.http_port, 8)
    try:
        for _ in range(12):
            callers.wait_for(100)
            old = set(server.children())
            server.signal(signal.SIGHUP)
            wait_until(lambda old=old: not old & set(server.children()), "the old workers are gone")  # type: ignore[misc]
        callers.wait_for(100)
    finally:
        callers.stop()
    assert callers.bad == [], front.error_log()
    assert "[error]" not in front.error_log()


def test_django_admin_behind_nginx_with_tls(
    hostler_server: StartServer, nginx: StartNginx, upstreams: dict[str, Upstream], site_env: dict[str, str]
) -> None:
    upstream = upstreams["unix"]
    hostler_server("stable.wsgi:application", bind=upstream.bind, cwd=DJANGO_SITE, env=site_env)
    front = nginx(upstream)
    visitor = Visitor(front.secure_url, front.tls)
    page = visitor.send_form("/admin/login/", username="groom", password=PASSWORD, next="/admin/")
    assert "Site administration" in page.text
    assert page.url == f"{front.secure_url}/admin/"


def test_unix_socket_has_the_mode_that_was_asked_for(
    hostler_server: StartServer, upstreams: dict[str, Upstream]
) -> None:
    server = hostler_server(PROBE, bind=upstreams["unix"].bind)
    assert Path(server.socket_path).stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(server.socket_path)
