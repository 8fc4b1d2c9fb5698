"""Headers of the PROXY protocol as bytes (proxy-protocol.txt 2.1, 2.2): whom the application takes for the client."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.conformance.gateway_wire import (
    ALPN,
    AUTHORITY,
    CRC32C,
    LOCAL,
    NOOP,
    SIGNATURE,
    SSL,
    TCP4,
    UNIQUE_ID,
    UNIX,
    UNSPEC,
    build_extension,
    build_scgi,
    build_ssl,
    build_uwsgi,
    build_v1,
    build_v2,
    build_v2_frame,
    build_variables,
    dial,
)
from tests.conformance.wire import PATIENCE, Wire, build_request
from tests.e2e.harness import RunningServer, free_port, start_server

TELLER = "tests.interop.apps.teller"
CLIENT = "203.0.113.9"
STRANGER = "127.0.0.2"
GET = build_request("GET", "/x")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one server speaks HTTP, uwsgi and SCGI behind a header."""

    server: RunningServer
    http: int
    uwsgi: int
    scgi: int


def start(*options: str, app: str) -> Iterator[Ports]:
    http, uwsgi, scgi = free_port(), free_port(), free_port()
    texts = (
        f"127.0.0.1:{http}?proxy_protocol=on",
        f"uwsgi://127.0.0.1:{uwsgi}?proxy_protocol=on",
        f"scgi://127.0.0.1:{scgi}?proxy_protocol=on",
    )
    binds = [part for text in texts for part in ("--bind", text)]
    with start_server(f"{TELLER}:{app}", *binds, "--access-log", "-", *options) as server:
        yield Ports(server, http, uwsgi, scgi)


@pytest.fixture(scope="module")
def wsgi() -> Iterator[Ports]:
    yield from start(app="wsgi_app")


@pytest.fixture(scope="module")
def asgi() -> Iterator[Ports]:
    yield from start("--interface", "asgi", app="asgi_app")


@pytest.fixture(scope="module")
def hasty() -> Iterator[Ports]:
    yield from start("--http-head-timeout", "1s", app="wsgi_app")


@pytest.fixture(params=["wsgi", "asgi"])
def ports(request: pytest.FixtureRequest) -> Ports:
    found: Ports = request.getfixturevalue(request.param)
    return found


def ask(wire: Wire, *fields: str) -> Any:  # noqa: ANN401 (JSON)
    return json.loads(wire.ask("GET", "/x", fields).body)


# Headers that say who the client is

WITH_ALL = {
    ALPN: b"http/1.1", AUTHORITY: b"stable.example", UNIQUE_ID: b"17", NOOP: b"", SSL: build_ssl(), 0xEE: b"whatever",
}  # fmt: skip
TELLING: dict[str, tuple[bytes, str, str]] = {
    "v1-ipv4": (build_v1(CLIENT), CLIENT, "http"),
    "v1-ipv6": (build_v1("2001:db8::7", family="TCP6"), "2001:db8::7", "http"),
    "v2-ipv4": (build_v2(CLIENT), CLIENT, "http"),
    "v2-ipv6": (build_v2("2001:db8::7"), "2001:db8::7", "http"),
    "v2-tls": (build_v2(CLIENT, extensions={SSL: build_ssl()}), CLIENT, "https"),
    "v2-tls-not-used": (build_v2(CLIENT, extensions={SSL: build_ssl(client=0)}), CLIENT, "http"),
    "v2-all-extensions": (build_v2(CLIENT, extensions=WITH_ALL), CLIENT, "https"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1", "http"),
    "v1-unknown-with-addresses": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1", "http"),
    "v2-local": (build_v2(CLIENT, command=LOCAL), "127.0.0.1", "http"),
    "v2-local-empty": (build_v2_frame(UNSPEC, b"", command=LOCAL), "127.0.0.1", "http"),
    "v2-unspecified": (build_v2_frame(UNSPEC, b""), "127.0.0.1", "http"),
    "v2-unix": (build_v2_frame(UNIX, bytes(216)), "127.0.0.1", "http"),
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["in-one-packet", "byte-by-byte"])
@pytest.mark.parametrize("name", TELLING)
def test_client_is_who_the_header_says(ports: Ports, name: str, bytewise: bool) -> None:
    header, client, scheme = TELLING[name]
    with dial(ports.http) as wire:
        if bytewise:
            wire.send_bytewise(header + GET)
        else:
            wire.send(header + GET)
        told = json.loads(wire.read_answer().body)
        assert (told["client"], told["scheme"], told["path"]) == (client, scheme, "/x")
        # It holds for the whole connection.
        again = ask(wire)
        assert (again["client"], again["scheme"]) == (client, scheme)


def test_request_may_come_later_than_the_header(ports: Ports) -> None:
    with dial(ports.http) as wire:
        assert ask(wire.send(build_v1(CLIENT)))["client"] == CLIENT


def test_port_of_the_client_is_told(wsgi: Ports) -> None:
    with dial(wsgi.http) as wire:
        assert ask(wire.send(build_v2(CLIENT, port=4711)))["variables"]["REMOTE_PORT"] == "4711"


def test_access_log_names_the_client(wsgi: Ports) -> None:
    with dial(wsgi.http) as wire:
        wire.send(build_v1("203.0.113.77")).ask("GET", "/logged")
    log = wsgi.server.stdout.wait_for('"GET /logged HTTP/1.1" 200')
    (line,) = (each for each in log.splitlines() if "/logged" in each)
    assert line.startswith("203.0.113.77 - - [")


def test_client_cannot_speak_as_a_proxy_does(ports: Ports) -> None:
    forged = ("X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https", "Forwarded: for=198.51.100.8")
    with dial(ports.http) as wire:
        told = ask(wire.send(build_v1(CLIENT)), *forged)
    assert (told["client"], told["scheme"]) == (CLIENT, "http")
    assert {"x-forwarded-for", "forwarded"} & set(told["fields"]) == set()


def test_proxy_behind_the_load_balancer_is_believed_if_it_is_trusted(ports: Ports) -> None:
    with dial(ports.http) as wire:
        told = ask(wire.send(build_v1("127.0.0.1")), f"X-Forwarded-For: {CLIENT}", "X-Forwarded-Proto: https")
    assert (told["client"], told["scheme"]) == (CLIENT, "https")


def test_tls_of_the_client_outlives_fields_of_a_trusted_proxy(ports: Ports) -> None:
    with dial(ports.http) as wire:
        told = ask(wire.send(build_v2("127.0.0.1", extensions={SSL: build_ssl()})), f"X-Forwarded-For: {CLIENT}")
    assert (told["client"], told["scheme"]) == (CLIENT, "https")


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_websocket_knows_its_client(asgi: Ports, tls: bool) -> None:
    wire = dial(asgi.http)
    wire.send(build_v2("2001:db8::7", extensions={SSL: build_ssl()} if tls else {}))
    with connect(f"ws://127.0.0.1:{asgi.http}/chat", sock=wire.stream, proxy=None, open_timeout=PATIENCE) as client:
        told = json.loads(client.recv(PATIENCE))
        assert (told["client"], told["scheme"], told["path"]) == ("2001:db8::7", "wss" if tls else "ws", "/chat")
        client.send("hay")
        assert client.recv(PATIENCE) == "hay"


# Before a gateway protocol, the header names the web server


@pytest.mark.parametrize("protocol", ["uwsgi", "scgi"])
def test_web_server_is_judged_by_the_address_in_the_header(wsgi: Ports, protocol: str) -> None:
    request = {"uwsgi": build_uwsgi, "scgi": build_scgi}[protocol](build_variables("/x", REMOTE_ADDR="198.51.100.1"))
    port = {"uwsgi": wsgi.uwsgi, "scgi": wsgi.scgi}[protocol]
    with dial(port) as wire:
        answer = wire.send(build_v1("127.0.0.1") + request).read_rest()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["client"] == "198.51.100.1"
    with dial(port) as wire:
        assert b" 403 " in wire.send(build_v1(CLIENT) + request).read_rest().partition(b"\r\n")[0]


# What is closed without an answer

FAULTY: dict[str, bytes] = {
    "no-header": GET,
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(32),
    "garbage": b"\xff\xfe\xfd",
    "nothing-but-zeros": bytes(64),
    "v1-lower-case": b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "v1-other-word": b"PROXI TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "v1-no-family": b"PROXY 1.2.3.4 5.6.7.8 1 2\r\n",
    "v1-other-family": b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "v1-family-of-others": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "v1-no-address": b"PROXY TCP4 host 5.6.7.8 1 2\r\n",
    "v1-short-address": b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
    "v1-port-too-large": b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
    "v1-port-missing": b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    "v1-two-spaces": b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
    "v1-bare-line-feed": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n" + GET,
    "v1-too-long": b"PROXY UNKNOWN " + b"x" * 200,
    "v2-other-version": SIGNATURE + bytes([0x31, TCP4, 0, 12]) + bytes(12),
    "v2-other-command": SIGNATURE + bytes([0x22, TCP4, 0, 12]) + bytes(12),
    "v2-other-family": SIGNATURE + bytes([0x21, 0x41, 0, 12]) + bytes(12),
    "v2-addresses-cut": build_v2_frame(TCP4, bytes(11)),
    "v2-extension-cut": build_v2_frame(TCP4, bytes(12) + b"\x05\x00\x09x"),
    "v2-extension-twice": build_v2_frame(TCP4, bytes(12) + build_extension(UNIQUE_ID, b"1") * 2),
    "v2-wrong-checksum": build_v2(CLIENT, extensions={CRC32C: bytes(4)}),
    "v2-too-large": SIGNATURE + bytes([0x21, TCP4, 255, 255]),
    "v2-signature-broken": SIGNATURE[:-1] + b"X",
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["in-one-packet", "byte-by-byte"])
@pytest.mark.parametrize("name", FAULTY)
def test_connection_without_a_proper_header_is_closed_without_an_answer(wsgi: Ports, name: str, bytewise: bool) -> None:
    with dial(wsgi.http) as wire:
        try:
            if bytewise:
                wire.send_bytewise(FAULTY[name])
            else:
                wire.send(FAULTY[name])
        except (BrokenPipeError, ConnectionResetError):
            return
        wire.assert_ended(reset_allowed=True)


def test_log_says_why_a_connection_was_closed(hasty: Ports) -> None:
    with dial(hasty.http) as wire:
        wire.send(GET).assert_ended(reset_allowed=True)
    hasty.server.stderr.wait_for("a connection was closed where the PROXY protocol is spoken: the connection does not")


@pytest.mark.parametrize("header", [build_v1(CLIENT), build_v2(CLIENT)], ids=["v1", "v2"])
def test_connection_that_ends_within_the_header_is_closed(wsgi: Ports, header: bytes) -> None:
    for cut in (0, 1, len(header) - 1):
        with dial(wsgi.http) as wire:
            wire.send(header[:cut]).finish().assert_ended()


@pytest.mark.parametrize("header", [build_v1(CLIENT), build_v2(CLIENT)], ids=["v1", "v2"])
def test_silence_within_the_header_ends_the_connection(hasty: Ports, header: bytes) -> None:
    for cut in (0, 1, len(header) - 1):
        with dial(hasty.http) as wire:
            wire.send(header[:cut]).assert_ended()


def test_sender_that_is_not_trusted_is_closed_and_named(wsgi: Ports) -> None:
    with dial(wsgi.http, STRANGER) as wire:
        wire.send(build_v1(CLIENT) + GET).assert_ended(reset_allowed=True)
    wsgi.server.stderr.wait_for(f"closed: {STRANGER} is not among trust.networks")


def test_nobody_is_trusted_where_only_other_networks_are() -> None:
    for ports in start("--trust", "10.0.0.0/8", app="wsgi_app"):
        with dial(ports.http) as wire:
            wire.send(build_v1("10.1.2.3") + GET).assert_ended(reset_allowed=True)
        ports.server.stderr.wait_for("closed: 127.0.0.1 is not among trust.networks")


def test_header_comes_over_a_unix_socket_too() -> None:
    with tempfile.TemporaryDirectory(prefix="proxy-") as directory:
        path = f"{directory}/app.sock"
        address = f"unix:{path}?proxy_protocol=on"
        with start_server(f"{TELLER}:wsgi_app", bind=address), dial(path) as wire:
            assert ask(wire.send(build_v2(CLIENT)))["client"] == CLIENT
        with start_server(f"{TELLER}:wsgi_app", "--trust", "10.0.0.0/8", bind=address) as server, dial(path) as wire:
            wire.send(build_v2(CLIENT) + GET).assert_ended(reset_allowed=True)
            server.stderr.wait_for("closed: a unix socket is not among trust.networks")


def test_header_is_not_understood_where_it_is_not_switched_on(wsgi: Ports) -> None:
    plain = replace(wsgi, http=wsgi.server.port)
    with dial(plain.http) as wire:
        assert wire.send(build_v1(CLIENT) + GET).read_answer().status == 400
