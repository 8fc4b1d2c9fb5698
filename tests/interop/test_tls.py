"""HTTPS with real programs: curl, openssl, nginx in front, Chromium."""

from __future__ import annotations

import hashlib
import http.client
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import FindPeer
from tests.e2e.asgi import asgi_options
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.harness import PATIENCE, RunningServer, StartServer, free_port
from tests.interop.chromium import Browser
from tests.interop.nginx import PREAMBLE, Nginx, Upstream, make_certificate

APP = "tests.e2e.apps.tls:app"
PAGE = "tests.interop.apps.asgi_page:app"
MIB = 1024 * 1024

# A Hostler that wants to know who asks; only one of the places says it.
NGINX = (
    PREAMBLE
    + """\
    server {{
        listen 127.0.0.1:{http_port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_ssl_trusted_certificate %(authority)s;
        proxy_ssl_verify on;
        proxy_ssl_name shop.test;
        proxy_ssl_server_name on;
        proxy_next_upstream off;
        location / {{
            proxy_ssl_certificate %(chain)s;
            proxy_ssl_certificate_key %(key)s;
            proxy_ssl_session_reuse %(reuse)s;
            proxy_pass https://{upstream}/;
        }}
        location /nobody/ {{
            # Sessions are nginx's for one address: a resumed one would bring the certificate of the other place.
            proxy_ssl_session_reuse off;
            proxy_pass https://{upstream}/;
        }}
    }}
}}
"""
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that clients believe."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    """For shop.test and this machine."""
    return authority.issue("shop.test", "localhost", "127.0.0.1")


@pytest.fixture
def server(hostler_server: StartServer, authority: Authority, certificate: Certificate) -> RunningServer:
    """A server that asks for client certificates."""
    auth = ("--tls-client-auth", "optional", "--tls-client-ca", str(authority.file))
    bind = f"https://127.0.0.1:{free_port()}"
    return hostler_server(APP, "--certificate", str(certificate.chain), *auth, bind=bind)


def run(*command: str, stdin: bytes = b"") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=2 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode()


def told(text: str) -> dict[str, str]:
    """What the application was told, from its answer."""
    return dict(line.split("=", 1) for line in text.splitlines())


# curl


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_curl_verifies_and_is_verified(
    find_peer: FindPeer, server: RunningServer, authority: Authority, tmp_path: Path, protocol: str
) -> None:
    own = authority.issue("alice", file="curl")
    port = server.port
    curl = [find_peer("curl"), "--silent", "--show-error", "--noproxy", "*", protocol, "--cacert", str(authority.file)]
    curl += ["--resolve", f"shop.test:{port}:127.0.0.1"]
    url = f"https://shop.test:{port}"
    anonymous = told(run(*curl, "--tlsv1.3", f"{url}/"))
    assert (anonymous["SSL_PROTOCOL"], anonymous["SSL_CLIENT_VERIFY"]) == ("TLSv1.3", "NONE")
    known = told(run(*curl, "--tls-max", "1.2", "--cert", str(own.chain), "--key", str(own.key), f"{url}/"))
    assert (known["SSL_PROTOCOL"], known["SSL_CLIENT_S_DN"]) == ("TLSv1.2", "CN=alice,O=Shop\\, Ltd")
    upload, download = tmp_path / "upload", tmp_path / "download"
    upload.write_bytes(bytes(range(256)) * (5 * MIB // 256))
    run(*curl, "--data-binary", f"@{upload}", "--output", str(download), f"{url}/echo")
    assert hashlib.sha256(download.read_bytes()).digest() == hashlib.sha256(upload.read_bytes()).digest()
    reused = run(*curl, "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", f"{url}/", f"{url}/large")
    assert reused == "1 0 "


# openssl


def test_answer_of_ocsp_is_stapled_and_renewed_while_running(
    find_peer: FindPeer, hostler_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    issued = authority.issue("stapled.test", "127.0.0.1")
    server = hostler_server(
        APP, "--certificate", str(issued.chain), "--log-level", "info", bind=f"https://127.0.0.1:{free_port()}"
    )
    ask = [find_peer("openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", "-status"]
    ask += ["-CAfile", str(authority.file), "-verify_return_error"]
    assert "OCSP response: no response sent" in run(*ask)
    authority.vouch(issued, tmp_path / "answer")
    (tmp_path / "answer").rename(f"{issued.chain}.ocsp")
    server.stderr.wait_for("the certificates have changed")
    for version in ("-tls1_2", "-tls1_3"):
        shown = run(*ask, version)
        assert "OCSP Response Status: successful (0x0)" in shown
        assert "Cert Status: good" in shown


# nginx


@pytest.mark.parametrize("reuse", ["on", "off"])
def test_nginx_in_front_shows_its_certificate(
    find_peer: FindPeer,
    hostler_server: StartServer,
    authority: Authority,
    certificate: Certificate,
    tmp_path: Path,
    reuse: str,
) -> None:
    own = authority.issue("front.test", file="front")
    port = free_port()
    options = ("--certificate", str(certificate.chain), "--tls-client-auth", "required", "--workers", "2")
    hostler_server(APP, *options, "--tls-client-ca", str(authority.file), bind=f"https://127.0.0.1:{port}")
    text = NGINX % {"authority": authority.file, "chain": own.chain, "key": own.key, "reuse": reuse}
    nginx = Nginx(find_peer("nginx"), tmp_path, Upstream(f"127.0.0.1:{port}"), certificate.chain, text)
    with closing(nginx):
        for _ in range(20):
            status, body = get(nginx, "/")
            assert status == 200, nginx.error_log()
            seen = told(body)
            assert (seen["SSL_CLIENT_VERIFY"], seen["SSL_TLS_SNI"]) == ("SUCCESS", "shop.test")
            assert seen["SSL_CLIENT_S_DN"] == "CN=front.test,O=Shop\\, Ltd"
        assert get(nginx, "/large")[1].endswith("the end\n")
        assert "[error]" not in nginx.error_log()
        assert get(nginx, "/nobody/")[0] == 502


def get(nginx: Nginx, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", nginx.http_port, timeout=PATIENCE)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


# Chromium


@pytest.fixture
def browser(find_peer: FindPeer, tmp_path: Path) -> Iterator[Browser]:
    with Browser(find_peer("chromium"), tmp_path / "profile", "--ignore-certificate-errors") as opened:
        yield opened


@pytest.mark.timeout(120)
def test_page_talks_and_listens_over_tls(browser: Browser, hostler_server: StartServer, tmp_path: Path) -> None:
    # Its events have no end.
    options = ("--certificate", str(make_certificate(tmp_path / "own.pem")), "--graceful-timeout", "500ms")
    server = hostler_server(PAGE, *asgi_options("asyncio", *options), bind=f"https://127.0.0.1:{free_port()}")
    (worker,) = server.children()
    browser.open(f"https://127.0.0.1:{server.port}/")
    assert browser.evaluate("location.protocol") == "https:"
    assert browser.evaluate("until('talk', 'welcome')")[1] == f"welcome to worker {worker}"
    browser.evaluate("socket.send('\\u2602 yah'); socket.send(new Uint8Array(100000));")
    browser.evaluate("until('talk', 'hay \\u2602')")
    browser.evaluate("until('talk', '200000 bytes')")
    assert browser.evaluate("until('events', '3: ')") == [f"{number}: from worker {worker}" for number in (1, 2, 3)]
    browser.evaluate("socket.send('bye')")
    assert browser.evaluate("until('talk', 'closed')")[-1] == "closed, code 4001, clean true"
    assert browser.complaints() == []
    assert server.stop() == 0
