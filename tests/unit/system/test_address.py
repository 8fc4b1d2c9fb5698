"""Addresses: every form that is accepted, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.errors import ConfigurationError
from hostler.system.address import (
    AbstractAddress,
    Address,
    InheritedAddress,
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
        "http://host/path:80", "https://host:443", "unix:", "unix:@", "unix:/", "fd://", "fd://a/b", "host name:80",
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
