"""Real clients of HTTP/2: h2spec, curl, nghttp, h2load, httpx."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import FindPeer
from tests.e2e.certificates import Authority
from tests.e2e.gate import Gate
from tests.e2e.harness import PATIENCE, RunningServer, StartServer, free_port
from tests.interop.apps.teller import content
from tests.interop.chromium import OPTIONS
from tests.interop.h2spec import run_h2spec

APPS = {
    "wsgi": ("tests.interop.apps.teller:wsgi_app", "--threads", "4"),
    "asgi": ("tests.interop.apps.teller:asgi_app", "--interface", "asgi"),
}
MIB = 1024 * 1024

# In clear text, what does not begin with the preface of HTTP/2 is HTTP/1, and is answered so: h2spec wants no answer.
IN_CLEAR_TEXT = ("Sends invalid connection preface",)


@pytest.fixture(params=list(APPS))
def server(request: pytest.FixtureRequest, hostler_server: StartServer, gate: Gate) -> RunningServer:
    return hostler_server(*APPS[request.param], env=gate.env)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


# It is compiled once.
@pytest.mark.timeout(360)
def test_h2spec_finds_nothing(server: RunningServer) -> None:
    verdict = run_h2spec(server.port)
    assert verdict.tests > 100
    assert verdict.failures == IN_CLEAR_TEXT, verdict.text
    assert server.get("/").status == 200


def test_curl_gets_what_it_asks_for(server: RunningServer, find_peer: FindPeer, tmp_path: Path) -> None:
    curl = [find_peer("curl"), "--silent", "--show-error", "--http2-prior-knowledge"]
    told: dict[str, Any] = json.loads(run(*curl, f"{server.url}/some/where?a=b", "-H", "X-Hay: sweet"))
    assert (told["path"], told["query"], told["fields"]["x-hay"]) == ("/some/where", "a=b", "sweet")
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(range(256)) * 40_000)
    told = json.loads(run(*curl, f"{server.url}/digest", "--data-binary", f"@{upload}"))
    assert told["sha256"] == hashlib.sha256(upload.read_bytes()).hexdigest()
    download = tmp_path / "download"
    run(*curl, f"{server.url}/large?{5 * MIB}", "-o", str(download))
    assert hashlib.sha256(download.read_bytes()).digest() == hashlib.sha256(b"".join(content(5 * MIB))).digest()
    assert "HTTP/2 200" in run(*curl, "--head", f"{server.url}/large?5")


def test_curl_that_would_upgrade_is_spoken_http_1_with(server: RunningServer, find_peer: FindPeer) -> None:
    """`Upgrade: h2c` has gone from HTTP/2 (RFC 9113 3.1)."""
    head = run(find_peer("curl"), "--silent", "--http2", "--include", f"{server.url}/")
    assert head.startswith("HTTP/1.1 200 OK\n")


def test_nghttp_gets_several_pages_at_once(server: RunningServer, find_peer: FindPeer) -> None:
    pages = [f"{server.url}/large?{size}" for size in (1, 100_000, 2_000_000)]
    statistics = run(find_peer("nghttp"), "--null-out", "--stat", *pages)
    statuses = re.findall(r"\s(\d{3})\s+\S+\s+/large\?\d+", statistics)
    assert statuses == ["200"] * 3


def test_h2load_sees_no_failure(server: RunningServer, find_peer: FindPeer) -> None:
    report = run(find_peer("h2load"), "-n", "5000", "-c", "8", "-m", "16", f"{server.url}/large?100")
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in report
    assert "status codes: 5000 2xx" in report


def test_httpx_asks_many_things_at_once(server: RunningServer) -> None:
    with httpx.Client(http1=False, http2=True, base_url=server.url, timeout=PATIENCE) as client:
        for _ in range(20):
            answer = client.get("/some/where")
            assert (answer.http_version, answer.json()["path"]) == ("HTTP/2", "/some/where")
        assert client.post("/digest", content=b"x" * MIB).json()["size"] == MIB


# Over TLS

PAGE = """
PAGE = b"<!doctype html><title>page</title><body><script>document.body.textContent = 'spoken: ' + " \
    b"performance.getEntriesByType('navigation')[0].nextHopProtocol</script>"

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return [PAGE]
"""


@pytest.fixture
def secure(hostler_server: StartServer, tmp_path: Path) -> RunningServer:
    """A page that says what its browser spoke, at an https address."""
    authority = Authority(tmp_path)
    certificate = authority.issue("localhost", "127.0.0.1")
    (tmp_path / "page.py").write_text(PAGE)
    options = ("--certificate", str(certificate.chain), "--chdir", str(tmp_path))
    server = hostler_server("page:app", *options, bind=f"https://127.0.0.1:{free_port()}")
    server.tls, server.tls_name = authority.client_context(), "localhost"
    return server


@pytest.mark.timeout(360)
def test_h2spec_finds_nothing_over_tls(secure: RunningServer) -> None:
    verdict = run_h2spec(secure.port, "--tls", "--insecure")
    assert verdict.tests > 100
    assert verdict.failures == (), verdict.text


def test_curl_chooses_http_2_in_the_handshake(secure: RunningServer, find_peer: FindPeer) -> None:
    curl = [find_peer("curl"), "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_version}"]
    url = f"https://127.0.0.1:{secure.port}/"
    assert (run(*curl, url), run(*curl, "--http1.1", url)) == ("2", "1.1")


@pytest.mark.timeout(120)
def test_browser_speaks_http_2(secure: RunningServer, find_peer: FindPeer, tmp_path: Path) -> None:
    command = [
        find_peer("chromium"),
        *OPTIONS,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--ignore-certificate-errors",
    ]
    page = run(*command, "--dump-dom", f"https://127.0.0.1:{secure.port}/")
    assert "spoken: h2" in page
