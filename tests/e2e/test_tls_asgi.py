"""ASGI over TLS: what applications are told of it, WebSockets, bodies that come and go in pieces."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from tests.conformance.asgi_ask import ask, read_literal
from tests.conformance.websocket_wire import WebSocketWire
from tests.conformance.wire import Wire
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.certificates import Authority, Certificate
from tests.e2e.harness import RunningServer, free_port, start_server

PAGES = "tests.conformance.apps.websocket_pages:app"
VERSIONS = {ssl.TLSVersion.TLSv1_2: 0x0303, ssl.TLSVersion.TLSv1_3: 0x0304}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that clients and the server believe."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    """For this machine."""
    return authority.issue("shop.test", "127.0.0.1")


@pytest.fixture(scope="module", params=LOOPS)
def pages(request: pytest.FixtureRequest, authority: Authority, certificate: Certificate) -> Iterator[RunningServer]:
    """A server that takes client certificates, and clients that have none."""
    options = ("--certificate", str(certificate.chain), "--tls-client-auth", "optional")
    asked = ("--tls-client-ca", str(authority.file))
    bind = f"https://127.0.0.1:{free_port()}"
    with start_server(PAGES, *asgi_options(request.param, *options, *asked), bind=bind) as server:
        server.tls = authority.client_context()
        yield server


@pytest.fixture
def anybody(pages: RunningServer, authority: Authority) -> Iterator[RunningServer]:
    """The same server; a test may give its clients other ways."""
    yield pages
    pages.tls = authority.client_context()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_connection_is_told_in_the_extension(
    anybody: RunningServer, certificate: Certificate, version: ssl.TLSVersion
) -> None:
    assert anybody.tls is not None
    anybody.tls.minimum_version = anybody.tls.maximum_version = version
    with anybody.connect() as stream:
        assert isinstance(stream, ssl.SSLSocket)
        name = (stream.cipher() or ("",))[0]
    # The lower two bytes of OpenSSL's number are those of RFC 8446 B.4.
    suite = next(each["id"] & 0xFFFF for each in anybody.tls.get_ciphers() if each["name"] == name)
    scope = read_literal(ask(anybody, "/view").body)["scope"]
    own, end, _ = certificate.chain.read_text().partition("-----END CERTIFICATE-----\n")
    assert scope["scheme"] == "https"
    assert scope["extensions"]["tls"] == {
        "server_cert": own[own.index("-----BEGIN") :] + end,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": VERSIONS[version],
        "cipher_suite": suite,
    }


def test_client_s_certificate_is_told_with_each_request_and_websocket(
    anybody: RunningServer, authority: Authority
) -> None:
    own = authority.issue("alice", file="alice")
    anybody.tls = authority.client_context(own)
    scopes = [read_literal(ask(anybody, "/view").body)["scope"] for _ in range(2)]
    with WebSocketWire.open(anybody, "/scope") as client:
        scopes.append(read_literal(client.read_text())["scope"])
    leaf = own.chain.read_text().partition("-----END")[0].partition("-----BEGIN")[2]
    for scope in scopes:
        told = scope["extensions"]["tls"]
        assert (told["client_cert_name"], told["client_cert_error"]) == ("CN=alice,O=Shop\\, Ltd", None)
        # The client's own certificate first, its signer behind it.
        assert leaf in told["client_cert_chain"][0]
        assert len(told["client_cert_chain"]) == 2
    assert scopes[-1]["scheme"] == "wss"


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, MIB])
def test_websocket_messages_of_any_size_come_back(anybody: RunningServer, size: int) -> None:
    sent = bytes(range(256)) * (size // 256 + 1)
    url = f"wss://127.0.0.1:{anybody.port}/echo"
    with connect(url, ssl=anybody.tls, proxy=None, compression=None, max_size=None) as client:
        for _ in range(3):
            client.send(sent[:size])
            assert client.recv() == sent[:size]
        client.ping().wait(15)


def test_body_goes_both_ways_at_once_piece_by_piece(anybody: RunningServer) -> None:
    head = b"POST /each HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire.to(anybody) as wire:
        wire.send(head)
        for number in range(5):
            piece = b"piece %d" % number * 1000
            wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            if number == 0:
                assert wire.read_head()[0] == 200
            # It comes back before the next is sent.
            assert read_chunks(wire, len(piece)) == piece
        wire.send(b"0\r\n\r\n")
        assert wire.read_exactly(5) == b"0\r\n\r\n"


def read_chunks(wire: Wire, size: int) -> bytes:
    """Read so many bytes of a chunked body; it is an error if they do not end where a chunk does."""
    body = b""
    while len(body) < size:
        line = b""
        while not line.endswith(b"\r\n"):
            line += wire.read_exactly(1)
        body += wire.read_exactly(int(line, 16))
        assert wire.read_exactly(2) == b"\r\n"
    assert len(body) == size
    return body
