"""Hostler behind load balancers that speak the PROXY protocol: haproxy, and nginx passing on TCP connections."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import FindPeer, refuse_or_skip
from tests.e2e.harness import PATIENCE, StartServer, free_port
from tests.interop.balancer import HAPROXY, STREAM, STREAM_MODULE, Balancer
from tests.interop.nginx import make_certificate

TELLER = "tests.interop.apps.teller"
VISITOR = "127.0.0.2"
KINDS = {"haproxy": HAPROXY, "nginx": STREAM}

StartBalancer = Callable[..., Balancer]


@pytest.fixture
def balancer(
    find_peer: FindPeer, hostler_server: StartServer, certificate: Path, tmp_path: Path
) -> Iterator[StartBalancer]:
    """A function that starts Hostler and, before it, a load balancer."""
    started: list[Balancer] = []

    def start(kind: str, *options: str, app: str = "asgi_app", module: str = TELLER) -> Balancer:
        program = find_peer(kind)
        if kind == "nginx" and not STREAM_MODULE.exists():
            refuse_or_skip("nginx's module stream is not installed: `scripts/packages test` installs it")
        backend = free_port()
        address = f"127.0.0.1:{backend}?proxy_protocol=on"
        interface = ("--interface", "asgi") if app == "asgi_app" else ()
        hostler_server(f"{module}:{app}", "--bind", address, *interface, *options)
        started.append(Balancer(program, tmp_path, backend, certificate, KINDS[kind]))
        return started[-1]

    yield start
    for one in started:
        one.close()


def visitor(balancer: Balancer) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=VISITOR, verify=balancer.tls)
    return httpx.Client(transport=transport, timeout=PATIENCE, trust_env=False)


def told(client: httpx.Client, url: str) -> Any:  # noqa: ANN401 (JSON)
    return client.get(url, headers={"X-Forwarded-For": "198.51.100.7"}).json()


@pytest.mark.parametrize("app", ["wsgi_app", "asgi_app"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_application_knows_the_client(balancer: StartBalancer, kind: str, app: str) -> None:
    front = balancer(kind, app=app)
    with visitor(front) as client:
        for port in (front.ports.http, front.ports.v2):
            for _ in range(2):  # on one connection
                seen = told(client, f"http://127.0.0.1:{port}/x")
                assert (seen["client"], seen["scheme"], seen["path"]) == (VISITOR, "http", "/x")
        if front.ports.https:
            seen = told(client, f"https://localhost:{front.ports.https}/x")
            assert (seen["client"], seen["scheme"]) == (VISITOR, "https")


def proxied(port: int, tls: ssl.SSLContext) -> Any:  # noqa: ANN401 (JSON)
    with httpx.Client(verify=tls, timeout=PATIENCE, trust_env=False) as client:
        first, second = (client.get(f"https://localhost:{port}/").json() for _ in range(2))
        # Of one connection the same is told each time.
        assert first == second
        return first


@pytest.mark.parametrize("app", ["wsgi_app", "asgi_app"])
def test_application_knows_the_connection_and_its_tls(
    balancer: StartBalancer, certificate: Path, tmp_path: Path, app: str
) -> None:
    front = balancer("haproxy", app=app, module="tests.interop.apps.proxied")
    (tmp_path / "client").mkdir()
    others = make_certificate(tmp_path / "client" / "other.pem")
    for given, verdict in ((None, "NONE"), (certificate, "SUCCESS"), (others, "FAILED")):
        tls = front.tls
        tls.maximum_version = ssl.TLSVersion.TLSv1_2 if verdict == "NONE" else ssl.TLSVersion.TLSv1_3
        if given is not None:
            tls.load_cert_chain(given)
        told = proxied(front.ports.https, tls)
        if app == "wsgi_app":
            assert told.pop("hostler.proxy.unique_id").startswith("horse-")
            assert told.pop("SSL_CIPHER")
            version = "TLSv1.2" if verdict == "NONE" else "TLSv1.3"
            name = {"SSL_CLIENT_S_DN_CN": "localhost"} if verdict == "SUCCESS" else {}
            server = {"SSL_SERVER_A_SIG": "ecdsa-with-SHA256", "SSL_SERVER_A_KEY": "EC256"}
            client = {"HTTPS": "on", "SSL_TLS_SNI": "localhost", "SSL_PROTOCOL": version, "SSL_CLIENT_VERIFY": verdict}
            assert told == {**client, **name, **server}
        else:
            proxy, said = told["hostler.proxy"], told["tls"]
            assert proxy["unique_id"].startswith("horse-")
            assert (proxy["authority"], bool(proxy["cipher"])) == ("localhost", True)
            assert said["tls_version"] == (0x0303 if verdict == "NONE" else 0x0304)
            assert said["client_cert_name"] == ("CN=localhost" if verdict == "SUCCESS" else None)
            assert (said["client_cert_error"] is not None) == (verdict == "FAILED")
    plain = httpx.get(f"http://127.0.0.1:{front.ports.http}/", trust_env=False).json()
    assert plain == {}


@pytest.mark.parametrize("kind", list(KINDS))
def test_large_bodies_pass_through(balancer: StartBalancer, kind: str, upload_content: bytes) -> None:
    front = balancer(kind)
    with visitor(front) as client:
        answer = client.post(f"http://127.0.0.1:{front.ports.http}/digest", content=upload_content)
        assert answer.json()["sha256"] == hashlib.sha256(upload_content).hexdigest()
        assert len(client.get(f"http://127.0.0.1:{front.ports.v2}/large?{len(upload_content)}").content) == len(
            upload_content
        )


@pytest.mark.parametrize("kind", list(KINDS))
def test_websocket_passes_through(balancer: StartBalancer, kind: str) -> None:
    front = balancer(kind)
    urls = [(f"ws://127.0.0.1:{front.ports.http}/chat", "ws")]
    if front.ports.https:
        urls.append((f"wss://localhost:{front.ports.https}/chat", "wss"))
    for url, scheme in urls:
        tls = front.tls if scheme == "wss" else None
        with connect(url, ssl=tls, proxy=None, source_address=(VISITOR, 0)) as client:
            seen = json.loads(client.recv(PATIENCE))
            assert (seen["client"], seen["scheme"]) == (VISITOR, scheme)
            client.send("hay")
            assert client.recv(PATIENCE) == "hay"


def test_load_balancer_that_is_not_trusted_gets_no_answer(balancer: StartBalancer) -> None:
    front = balancer("haproxy", "--trust", "10.0.0.0/8")
    with visitor(front) as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(f"http://127.0.0.1:{front.ports.http}/x")
