"""Addresses: every form that is accepted, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.contracts import WireProtocol
from hostler.errors import ConfigurationError
from hostler.system.address import (
    PROTOCOLS,
    AbstractAddress,
    Address,
    InheritedAddress,
    Speech,
    TcpAddress,
    UnixAddress,
    parse_address,
    parse_addresses,
)


@pytest.mark.parametrize(
    "text,address",
    [
        ("127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("localhost:80", TcpAddress("localhost", 80)),
        (":8000", TcpAddress("0.0.0.0", 8000)),
        ("*:8000", TcpAddress("0.0.0.0", 8000)),
        ("8000", TcpAddress("127.0.0.1", 8000)),
        ("[::1]:8000", TcpAddress("::1", 8000)),
        ("http://127.0.0.1:8000", TcpAddress("127.0.0.1", 8000)),
        ("http://[::]:8000/", TcpAddress("::", 8000)),
        ("https://host:443", TcpAddress("host", 443)),
        ("unix:/run/shop.sock", UnixAddress(Path("/run/shop.sock"))),
        ("unix:///run/shop.sock", UnixAddress(Path("/run/shop.sock"))),
        ("unix:shop.sock", UnixAddress(Path("shop.sock"))),
        ("unix:/s?mode=660&user=www&group=web", UnixAddress(Path("/s"), 0o660, "www", "web")),
        ("unix:@shop", AbstractAddress("shop")),
        ("@shop", AbstractAddress("shop")),
        ("fd://3", InheritedAddress(3)),
        ("fd://web", InheritedAddress(-1, "web")),
    ],
)
def test_form_is_understood(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "localhost", "localhost:", "localhost:http", "1.2.3.4:65536", ":-1", "::1:8000", "[::1]", "[host]:80",
        "http://host/path:80", "https://host", "unix:", "unix:@", "unix:/", "fd://", "fd://a/b", "host name:80",
        "unix:/s?mode=9", "unix:/s?mode=1777", "unix:/s?owner=me", "@shop?mode=600", "unix:/" + "a" * 107, ":٣",
    ],
)  # fmt: skip
def test_malformed_address_is_named_in_the_error(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)


@given(st.text())
def test_any_text_is_an_address_or_a_configuration_error(text: str) -> None:
    try:
        parse_address(text)
    except ConfigurationError:
        return


def test_same_address_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        parse_addresses(["127.0.0.1:80", "http://127.0.0.1:80"])


def test_ipv6_wildcard_leaves_ipv4_to_its_own_listener() -> None:
    assert parse_addresses([":80", "[::]:80"])[1] == TcpAddress("::", 80, v6_only=True)
    assert parse_addresses([":81", "[::]:80"])[1] == TcpAddress("::", 80, v6_only=False)


@pytest.mark.parametrize(
    "text,address,protocol",
    [
        ("uwsgi://127.0.0.1:3031", TcpAddress("127.0.0.1", 3031), "uwsgi"),
        ("uwsgi://:3031/", TcpAddress("0.0.0.0", 3031), "uwsgi"),
        ("uwsgi://3031", TcpAddress("127.0.0.1", 3031), "uwsgi"),
        ("scgi://[::1]:4000", TcpAddress("::1", 4000), "scgi"),
        ("127.0.0.1:3031?protocol=uwsgi", TcpAddress("127.0.0.1", 3031), "uwsgi"),
        ("3031?protocol=scgi", TcpAddress("127.0.0.1", 3031), "scgi"),
        ("[::1]:3031?protocol=uwsgi", TcpAddress("::1", 3031), "uwsgi"),
        ("uwsgi://127.0.0.1:3031?protocol=uwsgi", TcpAddress("127.0.0.1", 3031), "uwsgi"),
        ("http://127.0.0.1:80?protocol=http", TcpAddress("127.0.0.1", 80), "http"),
        ("unix:/run/shop.sock?protocol=uwsgi", UnixAddress(Path("/run/shop.sock")), "uwsgi"),
        ("unix:/s?mode=660&protocol=scgi&group=web", UnixAddress(Path("/s"), 0o660, None, "web"), "scgi"),
        ("unix:@shop?protocol=uwsgi", AbstractAddress("shop"), "uwsgi"),
        ("@shop?protocol=scgi", AbstractAddress("shop"), "scgi"),
        ("fd://3?protocol=uwsgi", InheritedAddress(3), "uwsgi"),
        ("fd://web?protocol=scgi", InheritedAddress(-1, "web"), "scgi"),
    ],
)
def test_protocol_is_the_scheme_or_stands_behind_any_form(text: str, address: Address, protocol: WireProtocol) -> None:
    parsed = parse_address(text)
    assert parsed == address
    assert parsed.speech == Speech(protocol)


@pytest.mark.parametrize("form", ["8000", "http://:8000", "[::]:8000", "unix:/s", "@shop", "fd://3"])
@pytest.mark.parametrize(
    "switch,wanted",
    [("on", True), ("ON", True), ("true", True), ("1", True), ("off", False), ("false", False), ("0", False)],
)
def test_header_of_the_proxy_protocol_is_switched_on_at_any_address(form: str, switch: str, wanted: bool) -> None:
    assert parse_address(f"{form}?proxy_protocol={switch}").speech == Speech("http", wanted)


def test_proxy_protocol_can_come_before_a_gateway_protocol() -> None:
    assert parse_address("scgi://:1?proxy_protocol=on").speech == Speech("scgi", proxy_protocol=True)
    assert parse_address("unix:/s?protocol=uwsgi&proxy_protocol=on&mode=600").speech == Speech("uwsgi", True)


def test_http_without_a_header_before_it_is_spoken_where_nothing_is_said() -> None:
    assert {parse_address(text).speech for text in ("8000", "http://:80", "unix:/s", "@s", "fd://3")} == {Speech()}


@pytest.mark.parametrize(
    "text,known",
    [
        ("8000?protocol=ajp", f"{', '.join(PROTOCOLS)}, https are known"),
        ("8000?protocol=", f"{', '.join(PROTOCOLS)}, https are known"),
        ("8000?protocol=UWSGI", f"{', '.join(PROTOCOLS)}, https are known"),
        ("unix:/s?protocol=ajp", f"{', '.join(PROTOCOLS)}, https are known"),
        ("8000?proxy_protocol=yes", "proxy_protocol is on or off, not 'yes'"),
        ("8000?proxy_protocol", "proxy_protocol is on or off, not ''"),
        ("8000?tls=on", "unknown 'tls'; protocol, proxy_protocol are known"),
        ("8000?mode=600", "unknown 'mode'; protocol, proxy_protocol are known"),
        ("fd://3?mode=600", "unknown 'mode'; protocol, proxy_protocol are known"),
        ("unix:/s?tls=on", "unknown 'tls'; mode, user, group, protocol, proxy_protocol are known"),
        ("@s?protocol=uwsgi&mode=600", "an abstract socket has no mode and no owner; leave out mode"),
    ],
)
def test_error_names_the_address_and_what_is_known(text: str, known: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)
    assert known in str(caught.value)


@pytest.mark.parametrize(
    "text", ["uwsgi://:3031?protocol=scgi", "http://:80?protocol=uwsgi", "scgi://:1?protocol=http"]
)
def test_two_protocols_for_one_address_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"names two protocols, \w+ and \w+; leave one out"):
        parse_address(text)


@pytest.mark.parametrize(
    "one,other",
    [
        ("127.0.0.1:80", "uwsgi://127.0.0.1:80"),
        ("unix:/s?protocol=scgi", "unix:/s?proxy_protocol=on"),
        ("@s", "@s?protocol=uwsgi"),
        ("fd://3", "fd://3?protocol=uwsgi"),
    ],
)
def test_what_is_spoken_does_not_make_another_address(one: str, other: str) -> None:
    # So that a reload keeps the socket, and so that one socket cannot be listed with two protocols.
    assert parse_address(one) == parse_address(other)
    assert hash(parse_address(one)) == hash(parse_address(other))
    with pytest.raises(ConfigurationError, match="twice"):
        parse_addresses([one, other])


def test_ipv6_wildcard_keeps_what_is_spoken_there() -> None:
    parsed = parse_addresses([":80", "uwsgi://[::]:80"])[1]
    assert parsed == TcpAddress("::", 80, v6_only=True)
    assert parsed.speech == Speech("uwsgi")


@pytest.mark.parametrize(
    "text,speech",
    [
        ("https://:443", Speech(tls=())),
        ("unix:/s?protocol=https", Speech(tls=())),
        (
            "https://:443?min_version=1.3&certificate=/a&proxy_protocol=on",
            Speech(proxy_protocol=True, tls=(("certificate", "/a"), ("min_version", "1.3"))),
        ),
    ],
)
def test_address_may_ask_for_tls(text: str, speech: Speech) -> None:
    address = parse_address(text)
    assert (address.speech, address.speech.scheme) == (speech, "https")


def test_certificate_without_tls_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'certificate' is for https://, and this address has no TLS"):
        parse_address("http://:80?certificate=/a")
