"""What web servers in front of Hostler must know of it: where it is, how long it waits, whom it believes."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import cast

from hostler.contracts import WireProtocol
from hostler.errors import ConfigurationError
from hostler.generate.choice import Choices, check_path
from hostler.generate.model import Project
from hostler.system.address import (
    EVERY_ADDRESS,
    LOOPBACK,
    PROTOCOLS,
    Address,
    Speech,
    TcpAddress,
    UnixAddress,
    parse_addresses,
)

# Both servers' own default for how long an upstream may be silent.
SILENCE = 60
# Without pings a quiet WebSocket is silent for as long as its people are; arbitrary.
UNWATCHED = 3600
# A proxy must stop using an idle connection before Hostler closes it, or a request may meet the closing.
IDLE_SHARE = 0.8
# How to reach a listener on all interfaces from this machine.
LOCAL = {EVERY_ADDRESS: LOOPBACK, "::": "::1"}


@dataclass(frozen=True, slots=True)
class Front:
    """What both web servers are told.

    Attributes:
        upstream: the address of Hostler; what is spoken there, too.
        silence: how long Hostler may say nothing while it works on a request, in whole seconds.
        idle: how long a connection to Hostler may be kept idle, in whole seconds; 0 for not at all.
        is_trusted: whether Hostler believes this proxy; None where that depends on its address.
    """

    upstream: TcpAddress | UnixAddress
    silence: int
    idle: int
    is_trusted: bool | None

    @property
    def protocol(self) -> WireProtocol:
        """What is spoken to Hostler."""
        return self.upstream.speech.protocol

    def socket_notes(self, project: Project) -> list[str]:
        """Write what a heading must say about WebSockets; nothing where they pass."""
        if self.protocol == "http" or not project.may_upgrade:
            return []
        return [
            f"WebSockets do not pass over {self.protocol}; where there are any, name an HTTP address with --upstream."
        ]

    def trust_notes(self) -> list[str]:
        """Write what a heading must say about trust; nothing where all is well."""
        if self.is_trusted:
            return []
        if self.is_trusted is None:
            return ["Let Hostler believe this server: list its address in trust.networks."]
        if self.protocol != "http":
            return ["Hostler answers this server with 403: trust.networks lacks its address."]
        return ["Hostler does not believe this server's X-Forwarded-* headers: trust.networks lacks its address."]


def build_front(project: Project, choices: Choices, program: str) -> Front:
    """Derive it from the configuration.

    Raises:
        ConfigurationError: no listener can be reached by a web server.
    """
    config = project.config
    upstream = _find_upstream(project, choices, program)
    return Front(
        upstream=upstream,
        silence=build_silence(project),
        idle=min(SILENCE, int(config.http.keep_alive_timeout * IDLE_SHARE)),
        is_trusted=_is_trusted(upstream, config.trust.networks),
    )


def build_silence(project: Project) -> int:
    """Give the seconds that Hostler may be silent: silent WebSockets are ended by its pings, not by the proxy."""
    websocket = project.config.websocket
    if not project.may_upgrade:
        return SILENCE
    if not websocket.ping_interval:
        return UNWATCHED
    return max(SILENCE, seconds(websocket.ping_interval + websocket.ping_timeout) + 5)


def _find_upstream(project: Project, choices: Choices, program: str) -> TcpAddress | UnixAddress:
    """Find the first address that the program can connect to: HTTP first, then sockets in the file system."""
    given = parse_addresses((choices.upstream,) if choices.upstream else project.config.server.bind)
    for protocol in PROTOCOLS:
        found = _pick([each for each in given if each.speech == Speech(cast("WireProtocol", protocol))])
        if found is not None:
            return found
    named = choices.upstream or ", ".join(project.config.server.bind)
    raise ConfigurationError(
        f"{program} cannot connect to {named}; it needs a TCP port, or a socket with a path, "
        "and no header of the PROXY protocol: name one with --upstream"
    )


def _pick(addresses: list[Address]) -> TcpAddress | UnixAddress | None:
    for address in addresses:
        if isinstance(address, UnixAddress):
            check_path("the socket", str(address.path))
            return UnixAddress(address.path.absolute(), speech=address.speech)
    for address in addresses:
        if isinstance(address, TcpAddress) and address.port:
            return TcpAddress(LOCAL.get(address.host, address.host), address.port, speech=address.speech)
    return None


def _is_trusted(upstream: TcpAddress | UnixAddress, networks: tuple[str, ...]) -> bool | None:
    if "*" in networks:
        return True
    if isinstance(upstream, UnixAddress):
        return "unix" in networks
    try:
        address = ipaddress.ip_address(LOOPBACK if upstream.host == "localhost" else upstream.host)
    except ValueError:
        return None
    if not address.is_loopback:
        return None
    return any(address in ipaddress.ip_network(each, strict=False) for each in networks if each != "unix")


def seconds(duration: float) -> int:
    """Round a duration up to whole seconds."""
    return math.ceil(duration)
