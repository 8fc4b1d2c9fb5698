"""uwsgi and SCGI as bytes: what is answered, what is refused, what is waited for and for how long."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.gateway_wire import Variables, build_netstring, build_scgi, build_uwsgi, build_variables, dial
from tests.e2e.harness import RunningServer, StartServer, free_port, start_server, wait_until

TELLER = "tests.interop.apps.teller"
# Of 127.0.0.0/8 only 127.0.0.1 is trusted by default.
STRANGER = "127.0.0.2"
PING = bytes([100, 0, 0, 0])


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one server listens."""

    server: RunningServer
    uwsgi: int
    scgi: int
    unix: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer of a gateway, whose body ended with the connection."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 (JSON)
        return json.loads(self.body)


def start(*options: str, app: str = "wsgi_app") -> Iterator[Ports]:
    directory = tempfile.mkdtemp(prefix="gateway-")
    uwsgi, scgi, unix = free_port(), free_port(), f"{directory}/app.sock"
    binds = ("-b", f"uwsgi://127.0.0.1:{uwsgi}", "-b", f"127.0.0.1:{scgi}?protocol=scgi")
    with start_server(f"{TELLER}:{app}", *binds, "-b", f"unix:{unix}?protocol=uwsgi", *options) as server:
        yield Ports(server, uwsgi, scgi, unix)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    yield from start()


@pytest.fixture(scope="module")
def asgi() -> Iterator[Ports]:
    yield from start("--interface", "asgi", app="asgi_app")


@pytest.fixture(scope="module")
def hasty() -> Iterator[Ports]:
    """Waits for a second, no longer, and for 16 KiB of a head, no more."""
    yield from start("--http-head-timeout", "1s", "--http-body-timeout", "1s", "--limits-head-size", "16384")


@pytest.fixture(scope="module")
def distrustful() -> Iterator[Ports]:
    yield from start("--trust", "10.0.0.0/8")


def exchange(address: int | str, request: bytes, source: str = "127.0.0.1", *, bytewise: bool = False) -> Answered:
    """Send a request and read the answer, in either form of its first line."""
    with dial(address, source) as wire:
        if bytewise:
            wire.send_bytewise(request)
        else:
            wire.send(request)
        return parse(wire.read_rest())


def parse(received: bytes) -> Answered:
    head, separator, body = received.partition(b"\r\n\r\n")
    assert separator, f"not an answer: {received!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    word, status, _ = first.split(" ", 2)
    assert word in ("HTTP/1.1", "Status:"), first
    pairs = (line.split(": ", 1) for line in lines)
    return Answered(int(status), {name.lower(): value for name, value in pairs}, body)


Build = Callable[[Variables], bytes]
PROTOCOLS: dict[str, Build] = {"uwsgi": build_uwsgi, "scgi": build_scgi}


@pytest.fixture(params=list(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def port_of(ports: Ports, protocol: str) -> int:
    return {"uwsgi": ports.uwsgi, "scgi": ports.scgi}[protocol]


# Requests


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte-by-byte"])
def test_request_is_answered(ports: Ports, protocol: str, bytewise: bool) -> None:
    variables = build_variables("/st%C3%A4lle?a=1", HTTPS="on", PATH_INFO="/st\xc3\xa4lle", HTTP_X_HAY="sweet")
    answer = exchange(port_of(ports, protocol), PROTOCOLS[protocol](variables), bytewise=bytewise)
    told = answer.json
    assert answer.status == 200
    assert (told["method"], told["root"], told["path"], told["query"]) == ("GET", "", "/ställe", "a=1")
    assert (told["client"], told["scheme"]) == ("203.0.113.9", "https")
    # SCGI has a length in every request.
    length = {"content-length": "0"} if protocol == "scgi" else {}
    assert told["fields"] == {"host": "stable.example", "x-hay": "sweet", **length}
    names = ("REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL")
    assert [told["variables"][name] for name in names] == ["4711", "stable.example", "443", "HTTP/1.1"]


def test_request_is_answered_over_a_unix_socket(ports: Ports) -> None:
    assert exchange(ports.unix, build_uwsgi(build_variables("/x"))).json["client"] == "203.0.113.9"


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte-by-byte"])
def test_body_follows_the_variables(ports: Ports, asgi: Ports, protocol: str, bytewise: bool) -> None:
    request = PROTOCOLS[protocol](build_variables("/digest", "POST", CONTENT_LENGTH="3")) + b"hay"
    for each in (ports, asgi):
        told = exchange(port_of(each, protocol), request, bytewise=bytewise).json
        assert (told["size"], told["length"]) == (3, "3")


def test_bytes_behind_the_body_are_nobody_s(ports: Ports, protocol: str) -> None:
    request = PROTOCOLS[protocol](build_variables("/digest", "POST", CONTENT_LENGTH="3"))
    assert exchange(port_of(ports, protocol), request + b"hay" + request).json["size"] == 3


def test_answer_has_only_the_application_s_fields(ports: Ports) -> None:
    variables = build_variables("/missing")
    assert exchange(ports.uwsgi, build_uwsgi(variables)).fields == {"content-length": "8"}
    with dial(ports.scgi) as wire:
        assert wire.send(build_scgi(variables)).read_rest().startswith(b"Status: 404 Not Found\r\n")
    with dial(ports.uwsgi) as wire:
        assert wire.send(build_uwsgi(variables)).read_rest().startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_script_name_is_taken_off_the_path_with_modifier_30(ports: Ports) -> None:
    variables = build_variables("/shop/x", SCRIPT_NAME="/shop")
    told = exchange(ports.uwsgi, build_uwsgi(variables, modifier1=30)).json
    assert (told["root"], told["path"]) == ("/shop", "/x")


def test_root_path_begins_the_path_of_an_asgi_application(asgi: Ports, protocol: str) -> None:
    variables = build_variables("/shop/x", SCRIPT_NAME="/shop", PATH_INFO="/x")
    told = exchange(port_of(asgi, protocol), PROTOCOLS[protocol](variables)).json
    assert (told["root"], told["path"], told["client"]) == ("/shop", "/x", "203.0.113.9")


def test_ping_is_answered_and_the_connection_ends(ports: Ports) -> None:
    with dial(ports.uwsgi) as wire:
        answer = wire.send_bytewise(PING).read_rest()
    assert (len(answer), answer[0]) == (4, 100)


def test_websocket_is_a_plain_request_over_a_gateway(asgi: Ports, protocol: str) -> None:
    # RFC 6455 4.1 needs a connection of the client's own, which a gateway has not.
    wish = {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade", "HTTP_SEC_WEBSOCKET_VERSION": "13"}
    variables = build_variables("/chat", HTTP_SEC_WEBSOCKET_KEY="dGhlIHNhbXBsZSBub25jZQ==", **wish)
    answer = exchange(port_of(asgi, protocol), PROTOCOLS[protocol](variables))
    assert (answer.status, answer.json["scheme"]) == (200, "http")
    assert {"upgrade", "connection"} & set(answer.json["fields"]) == set()


# Trust


def test_variables_that_load_code_elsewhere_are_ignored(ports: Ports, protocol: str, tmp_path: Path) -> None:
    marker, code = tmp_path / "ran", tmp_path / "evil.py"
    code.write_text(f"open({str(marker)!r}, 'w').close()\ndef application(e, s): s('200 OK', []); return [b'evil']\n")
    evil = {
        "UWSGI_FILE": str(code), "UWSGI_SCRIPT": "evil", "UWSGI_MODULE": "evil", "UWSGI_CALLABLE": "application",
        "UWSGI_CHDIR": str(tmp_path), "UWSGI_PYHOME": str(tmp_path), "UWSGI_SETENV": "PYTHONPATH=/tmp",
        "UWSGI_TOUCH_RELOAD": str(code), "UWSGI_APPID": "evil", "UWSGI_POSTFILE": str(code), "PATH": str(tmp_path),
        "SCRIPT_FILENAME": str(code), "DOCUMENT_ROOT": str(tmp_path), "wsgi.url_scheme": "gopher",
        "hostler.request_id": "forged",
    }  # fmt: skip
    told = exchange(port_of(ports, protocol), PROTOCOLS[protocol](build_variables("/x", **evil))).json
    assert told["path"] == "/x"
    assert set(told["variables"]) & set(evil) == {"wsgi.url_scheme", "hostler.request_id"}
    assert told["variables"]["hostler.request_id"] != "forged"
    assert told["scheme"] == "http"
    assert not marker.exists()


def test_fields_of_the_client_do_not_tell_who_it_is(ports: Ports, protocol: str) -> None:
    forged = {
        "HTTP_X_FORWARDED_FOR": "198.51.100.7", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_FORWARDED": "for=198.51.100.8",
        "HTTP_X_FORWARDED_HOST": "forged.example", "HTTP_X_REAL_IP": "198.51.100.9", "HTTP_REMOTE_USER": "king",
    }  # fmt: skip
    told = exchange(port_of(ports, protocol), PROTOCOLS[protocol](build_variables("/", **forged))).json
    assert (told["client"], told["scheme"], told["fields"]["host"]) == ("203.0.113.9", "http", "stable.example")
    assert set(told["fields"]) - {"content-length"} == {"host", "remote-user"}
    assert "REMOTE_USER" not in told["variables"]


@pytest.mark.parametrize("kind", ["network", "source"])
def test_web_server_that_is_not_trusted_is_refused(ports: Ports, distrustful: Ports, protocol: str, kind: str) -> None:
    to, source = {"network": (distrustful, "127.0.0.1"), "source": (ports, STRANGER)}[kind]
    answer = exchange(port_of(to, protocol), PROTOCOLS[protocol](build_variables("/x")), source)
    assert answer.status == 403
    assert b"not among the networks that are trusted" in answer.body


def test_unix_socket_is_trusted_only_if_it_is_listed(distrustful: Ports) -> None:
    assert exchange(distrustful.unix, build_uwsgi(build_variables("/x"))).status == 403


# Malformed


UWSGI_FAULTS: dict[str, tuple[bytes, int, bytes]] = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, b"speak HTTP"),
    "tls": (bytes.fromhex("16030100c8010000c40303") + bytes(32), 400, b"speaks TLS"),
    "other-modifier": (bytes([1, 0, 0, 0]), 400, b"modifiers 0 and 30"),
    "code-modifier": (bytes([22, 4, 0, 0]) + b"eval", 400, b"TLS"),
    "reload-modifier": (bytes([98, 0, 0, 0]), 400, b"modifiers 0 and 30"),
    "second-modifier": (build_uwsgi(build_variables(), modifier2=1), 400, b"second modifier"),
    "ping-with-block": (bytes([100, 1, 0, 0]) + b"x", 400, b"ping"),
    "empty-block": (bytes(4), 400, b""),
    "length-beyond-the-block": (bytes([0, 3, 0, 0]) + b"\xff\xff\x00", 400, b"names and values"),
    "name-without-value": (bytes([0, 3, 0, 0]) + b"\x01\x00A", 400, b"names and values"),
    "empty-name": (build_uwsgi([("", "x"), *build_variables()]), 400, b"names and values"),
    "line-end-in-a-field": (build_uwsgi(build_variables(HTTP_X="a\r\nY: b")), 400, b""),
    "repeated-length": (build_uwsgi([*build_variables(CONTENT_LENGTH="1"), ("CONTENT_LENGTH", "1")]), 400, b""),
    "no-number-as-length": (build_uwsgi(build_variables(CONTENT_LENGTH="+1")), 400, b""),
    "no-method": (build_uwsgi(build_variables(method="")), 400, b""),
    "body-beyond-the-limit": (build_uwsgi(build_variables(method="POST", CONTENT_LENGTH="9" * 15)), 413, b""),
}
SCGI_FAULTS: dict[str, tuple[bytes, int, bytes]] = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, b"size in decimal"),
    "tls": (bytes.fromhex("16030100c8010000c40303") + bytes(32), 400, b"size in decimal"),
    "zero-in-front": (b"012:", 400, b"size in decimal"),
    "no-size": (b":", 400, b"size in decimal"),
    "negative": (b"-1:", 400, b"size in decimal"),
    "too-large": (b"99999999:", 431, b"larger"),
    "far-too-large": (b"99999999999999999999999", 431, b"larger"),
    "no-comma": (build_scgi(build_variables())[:-1] + b";", 400, b"comma"),
    "length-not-first": (build_netstring([("SCGI", "1"), ("CONTENT_LENGTH", "0")]), 400, b"CONTENT_LENGTH"),
    "no-version": (build_netstring([("CONTENT_LENGTH", "0"), *build_variables()]), 400, b"SCGI"),
    "other-version": (build_netstring([("CONTENT_LENGTH", "0"), ("SCGI", "2"), *build_variables()]), 400, b"SCGI"),
    "no-nul": (b"3:a\0b,", 400, b"NUL"),
    "empty-name": (build_netstring([("CONTENT_LENGTH", "0"), ("SCGI", "1"), ("", "x")]), 400, b"NUL"),
    "line-end-in-a-field": (build_scgi(build_variables(HTTP_X="a\nY: b")), 400, b""),
    "body-beyond-the-limit": (build_scgi(build_variables(method="POST", CONTENT_LENGTH="9" * 15)), 413, b""),
}
FAULTS = [("uwsgi", name) for name in UWSGI_FAULTS] + [("scgi", name) for name in SCGI_FAULTS]


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("protocol,name", FAULTS)
def test_malformed_request_is_refused(ports: Ports, protocol: str, name: str, bytewise: bool) -> None:
    request, status, reason = {"uwsgi": UWSGI_FAULTS, "scgi": SCGI_FAULTS}[protocol][name]
    with dial(port_of(ports, protocol)) as wire:
        if bytewise:
            # Refused before all of it is sent, perhaps.
            try:
                wire.send_bytewise(request)
            except (BrokenPipeError, ConnectionResetError):
                return
        else:
            wire.send(request)
        wire.finish()
        answer = parse(wire.read_rest())
    assert answer.status == status
    assert reason in answer.body


def test_variables_beyond_the_limit_are_refused_before_they_come(hasty: Ports) -> None:
    for port, beginning in ((hasty.uwsgi, bytes([0, 1, 64, 0])), (hasty.scgi, b"16385:")):
        assert exchange(port, beginning).status == 431
    # Up to the limit they are awaited, in vain.
    for port, beginning in ((hasty.uwsgi, bytes([0, 0, 64, 0])), (hasty.scgi, b"16384:")):
        assert exchange(port, beginning).status == 408


@pytest.mark.parametrize("cut", [1, 3, 5, 40, -1])
def test_request_that_is_cut_short_never_reaches_the_application(ports: Ports, protocol: str, cut: int) -> None:
    request = PROTOCOLS[protocol](build_variables("/fail-early"))
    with dial(port_of(ports, protocol)) as wire:
        received = wire.send(request[:cut]).finish().read_rest()
    assert received == b"" or parse(received).status == 400
    assert "stable door" not in ports.server.log()


def test_body_that_is_cut_short_never_reaches_the_application(ports: Ports, protocol: str) -> None:
    request = PROTOCOLS[protocol](build_variables("/fail-early", "POST", CONTENT_LENGTH="10"))
    with dial(port_of(ports, protocol)) as wire:
        received = wire.send(request + b"half").finish().read_rest()
    assert received == b"" or parse(received).status == 400
    assert "stable door" not in ports.server.log()


@pytest.mark.parametrize("cut", [0, 1, 40], ids=["nothing", "a-byte", "half"])
def test_silence_within_a_request_ends_the_connection(hasty: Ports, protocol: str, cut: int) -> None:
    request = PROTOCOLS[protocol](build_variables("/x"))
    with dial(port_of(hasty, protocol)) as wire:
        received = wire.send(request[:cut]).read_rest()
    assert received == b"" or parse(received).status == 408


def test_silence_within_a_body_ends_the_connection(hasty: Ports, protocol: str) -> None:
    request = PROTOCOLS[protocol](build_variables("/digest", "POST", CONTENT_LENGTH="10"))
    with dial(port_of(hasty, protocol)) as wire:
        assert parse(wire.send(request + b"half").read_rest()).status == 408


def test_server_that_was_spoken_to_wrongly_still_serves(ports: Ports, protocol: str) -> None:
    for _ in range(50):
        with dial(port_of(ports, protocol)) as wire:
            wire.send(b"\xff\xfe")
    assert exchange(port_of(ports, protocol), PROTOCOLS[protocol](build_variables("/x"))).status == 200


def test_reload_changes_what_is_spoken_at_an_address(hostler_server: StartServer, tmp_path: Path) -> None:
    port, configuration = free_port(), tmp_path / "hostler.toml"
    configuration.write_text(f'[server]\nbind = ["127.0.0.1:{port}"]\n')
    server = hostler_server(f"{TELLER}:wsgi_app", "--config", str(configuration), bind="")
    with dial(port) as wire:
        assert wire.ask("GET", "/x").status == 200
    configuration.write_text(f'[server]\nbind = ["uwsgi://127.0.0.1:{port}"]\n')
    old = set(server.children())
    server.signal(signal.SIGHUP)
    wait_until(lambda: not old & set(server.children()), "the old workers are gone")
    assert exchange(port, build_uwsgi(build_variables("/x"))).json["client"] == "203.0.113.9"
