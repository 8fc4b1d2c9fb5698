"""Addresses to listen on: text to value, without touching the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast, get_args
from urllib.parse import parse_qsl

from hostler.contracts import WireProtocol
from hostler.errors import ConfigurationError

FORMS = (
    "HOST:PORT, :PORT, [IPV6]:PORT, PORT, http://, https://, uwsgi://, scgi:// or fastcgi://HOST:PORT, unix:/path, "
    "unix:@name or fd://N, with ?protocol=uwsgi or ?proxy_protocol=on behind it"
)
PROTOCOLS: tuple[str, ...] = get_args(WireProtocol)
# HTTP over TLS; what is spoken is HTTP all the same.
TLS_SCHEME = "https"
_SCHEMES = (*PROTOCOLS, TLS_SCHEME)
# What a TLS listener can say of itself in the place of the section [tls].
TLS_OVERRIDES = ("certificate", "client_auth", "client_ca", "key", "min_version")
_SWITCHES = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
# A bare port is for the person at this machine; ":PORT" is for everybody.
LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = "0.0.0.0"
# nginx, Gunicorn and uvicorn make their sockets open to all users; a front server under another account needs it.
SOCKET_MODE = 0o666
# sizeof(sockaddr_un.sun_path) on Linux is 108, with the closing NUL.
MAX_SOCKET_PATH = 107

TlsOverrides = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Speech:
    """What is spoken at an address; it can change while the socket stays.

    Attributes:
        protocol: what clients, or the web server in front, speak.
        proxy_protocol: whether a header of the PROXY protocol comes first.
        tls: what the address says of TLS in the place of the section `[tls]`, sorted by name; None for no TLS.
    """

    protocol: WireProtocol = "http"
    proxy_protocol: bool = False
    tls: TlsOverrides | None = None

    @property
    def scheme(self) -> str:
        """What stands before `://`."""
        return self.protocol if self.tls is None else TLS_SCHEME


HTTP = Speech()


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port on one address.

    Attributes:
        host: name, IPv4 or IPv6 address without brackets.
        port: 0 lets the kernel choose.
        v6_only: keep IPv4 off a "::" socket, because another listener has that port.
        speech: what is spoken there.
    """

    host: str
    port: int
    v6_only: bool = False
    speech: Speech = field(default=HTTP, compare=False)

    def __str__(self) -> str:
        """Return the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.speech.tls is None else TLS_SCHEME}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system.

    Attributes:
        path: where.
        mode: its permissions.
        user: owner, by name or number, or None.
        group: group, by name or number, or None.
        speech: what is spoken there.
    """

    path: Path
    mode: int = SOCKET_MODE
    user: str | None = None
    group: str | None = None
    speech: Speech = field(default=HTTP, compare=False)

    def __str__(self) -> str:
        """Return "unix:/path"."""
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class AbstractAddress:
    """A unix socket in the kernel's name space (Linux), without file and permissions."""

    name: str
    speech: Speech = field(default=HTTP, compare=False)

    def __str__(self) -> str:
        """Return "unix:@name"."""
        return f"unix:@{self.name}"


@dataclass(frozen=True, slots=True)
class InheritedAddress:
    """A listening socket that we were started with.

    Attributes:
        descriptor: its number, or -1 when it is given by name.
        name: its name in LISTEN_FDNAMES, or "".
        speech: what is spoken there.
    """

    descriptor: int
    name: str = ""
    speech: Speech = field(default=HTTP, compare=False)

    def __str__(self) -> str:
        """Return "fd://3" or "fd://name"."""
        return f"fd://{self.name or self.descriptor}"


Address = TcpAddress | UnixAddress | AbstractAddress | InheritedAddress


def parse_target(text: str) -> TcpAddress | UnixAddress | AbstractAddress:
    """Parse an address to send datagrams to: `HOST:PORT`, `unix:/path` or `unix:@name`.

    Raises:
        ConfigurationError: it is malformed, or none to send to.
    """
    address = parse_address(text)
    if (
        isinstance(address, InheritedAddress)
        or address.speech != HTTP
        or (not isinstance(address, TcpAddress) and "?" in text)
    ):
        raise ConfigurationError(f'"{text}" is none that can be sent to; write HOST:PORT, unix:/path or unix:@name')
    if isinstance(address, TcpAddress) and (address.port == 0 or text.startswith(":")):
        raise ConfigurationError(f'"{text}" names no receiver; write HOST:PORT')
    return address


def parse_addresses(texts: list[str] | tuple[str, ...]) -> tuple[Address, ...]:
    """Parse all addresses of one server.

    Raises:
        ConfigurationError: one is malformed, or one is there twice.
    """
    addresses = [parse_address(text) for text in texts]
    for text, address in zip(texts, addresses, strict=True):
        if addresses.count(address) > 1:
            raise ConfigurationError(f"the address {text!r} is listed twice; leave one out")
    wildcard_ports = {each.port for each in addresses if isinstance(each, TcpAddress) and each.host == EVERY_ADDRESS}
    return tuple(
        replace(each, v6_only=True)
        if isinstance(each, TcpAddress) and each.host == "::" and each.port in wildcard_ports
        else each
        for each in addresses
    )


def parse_address(text: str) -> Address:
    """Parse one address.

    Raises:
        ConfigurationError: it has none of the known forms.
    """
    place, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if place.startswith(("@", "unix:")):
        return _parse_unix(text, place.removeprefix("unix:"), options)
    scheme, separator, rest = place.partition("://")
    if separator and scheme not in (*_SCHEMES, "fd"):
        known = ", ".join(f"{each}://" for each in (*_SCHEMES, "fd"))
        raise ConfigurationError(f"{text!r}: unknown scheme {scheme!r}; {known} and unix: are known")
    speech = _parse_speech(text, options, scheme if separator and scheme in _SCHEMES else None)
    _refuse_unknown(text, options, ())
    if scheme == "fd" and separator:
        return _parse_inherited(text, rest, speech)
    return _parse_tcp(text, rest if separator and scheme in _SCHEMES else place, speech)


def _parse_speech(text: str, options: dict[str, str], scheme: str | None) -> Speech:
    """Take out of `options` what they say of the protocols; `scheme` has the address said already."""
    protocol = options.pop("protocol", scheme or "http")
    if protocol not in _SCHEMES:
        raise ConfigurationError(f"{text!r}: unknown protocol {protocol!r}; {', '.join(_SCHEMES)} are known")
    if scheme is not None and protocol != scheme:
        raise ConfigurationError(f"{text!r} names two protocols, {scheme} and {protocol}; leave one out")
    switch = options.pop("proxy_protocol", "off")
    if switch.lower() not in _SWITCHES:
        raise ConfigurationError(f"{text!r}: proxy_protocol is on or off, not {switch!r}")
    proxy_protocol = _SWITCHES[switch.lower()]
    if protocol != TLS_SCHEME:
        return Speech(cast("WireProtocol", protocol), proxy_protocol)
    overrides = tuple((name, options.pop(name)) for name in TLS_OVERRIDES if name in options)
    return Speech("http", proxy_protocol, overrides)


def _refuse_unknown(text: str, options: Mapping[str, str], known: tuple[str, ...]) -> None:
    unknown = sorted(options.keys() - set(known))
    if unknown:
        if unknown[0] in TLS_OVERRIDES:
            raise ConfigurationError(f"{text!r}: {unknown[0]!r} is for https://, and this address has no TLS")
        names = ", ".join((*known, "protocol", "proxy_protocol"))
        raise ConfigurationError(f"{text!r}: unknown {unknown[0]!r}; {names} are known")


def _parse_inherited(text: str, rest: str, speech: Speech) -> InheritedAddress:
    if rest.isdecimal():
        return InheritedAddress(int(rest), speech=speech)
    if not rest or "/" in rest:
        raise _malformed(text)
    return InheritedAddress(-1, rest, speech)


def _parse_unix(text: str, path: str, options: dict[str, str]) -> UnixAddress | AbstractAddress:
    speech = _parse_speech(text, options, None)
    if path.startswith("//"):  # unix:///path, as a URL has it
        path = "/" + path.lstrip("/")
    if path in ("", "@", "/") or "\0" in path:
        raise _malformed(text)
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise ConfigurationError(f"the socket path in {text!r} is longer than {MAX_SOCKET_PATH} bytes; shorten it")
    if path.startswith("@"):
        if options:
            raise ConfigurationError(
                f"{text!r}: an abstract socket has no mode and no owner; leave out {', '.join(sorted(options))}"
            )
        return AbstractAddress(path[1:], speech)
    _refuse_unknown(text, options, ("mode", "user", "group"))
    mode = _parse_mode(text, options["mode"]) if "mode" in options else SOCKET_MODE
    return UnixAddress(Path(path), mode, options.get("user") or None, options.get("group") or None, speech)


def _parse_mode(text: str, mode: str) -> int:
    try:
        value = int(mode, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o777:
        raise ConfigurationError(f"{text!r}: mode {mode!r} is not an octal file mode such as 660")
    return value


def _parse_tcp(text: str, place: str, speech: Speech) -> TcpAddress:
    rest = place.removesuffix("/") if "://" in text else place
    if rest.isdecimal():
        return TcpAddress(LOOPBACK, _parse_port(text, rest), speech=speech)
    host, colon, port = rest.rpartition(":")
    if not colon:
        raise _malformed(text)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise _malformed(text)
    elif ":" in host:
        raise ConfigurationError(f"{text!r}: write an IPv6 address in brackets, as in [::1]:8000")
    if any(each in host for each in "/[]@ ?#"):
        raise _malformed(text)
    if host == "*":
        host = EVERY_ADDRESS
    return TcpAddress(host or EVERY_ADDRESS, _parse_port(text, port), speech=speech)


def _parse_port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdecimal() and int(port) <= 65_535):
        raise ConfigurationError(f"{text!r}: the port {port!r} is not a number from 0 to 65535")
    return int(port)


def _malformed(text: str) -> ConfigurationError:
    return ConfigurationError(f"{text!r} is not an address to listen on; write {FORMS}")
