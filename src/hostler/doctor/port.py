"""Who listens at a port, and whether that is who should. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from hostler.doctor.model import Finding, Page
from hostler.system.address import EVERY_ADDRESS, TcpAddress
from hostler.system.listening import Listening, Owner

WEB_SERVERS = {"nginx": "nginx", "apache2": "Apache", "httpd": "Apache"}


def find_listening(listening: Sequence[Listening], host: str, port: int) -> list[Listening]:
    """Find what takes connections to an address: listeners at it, and at all addresses."""
    return [each for each in listening if each.port == port and not each.path and _covers(each.host, host)]


def _covers(bound: str, host: str) -> bool:
    if bound in {"::", EVERY_ADDRESS}:
        return True
    if host in {"", EVERY_ADDRESS, "::"}:
        return True
    try:
        first, second = ipaddress.ip_address(bound), ipaddress.ip_address(host)
    except ValueError:
        return True
    return first == second


def list_owners(found: Sequence[Listening]) -> list[Owner]:
    """List the processes that hold these sockets, each once."""
    return list({owner.pid: owner for each in found for owner in each.owners}.values())


def name_owners(found: Sequence[Listening]) -> str:
    """Name who listens: the first process, or the user if no more may be seen."""
    owners = list_owners(found)
    if owners:
        return str(owners[0])
    return f"a process of user {found[0].uid}, which only root may see"


def check_page_port(page: Page, addresses: Sequence[str], listening: Sequence[Listening]) -> Iterator[Finding]:
    """Check who takes connections to the page's address."""
    everywhere = [each for each in listening if each.port == page.port and not each.path]
    reached = [each for host in addresses for each in find_listening(listening, host, page.port)]
    if not everywhere:
        yield Finding(
            "fault", "port", f"nothing listens at port {page.port}", remedies=("ss -ltnp    # what does listen",)
        )
    elif not reached:
        places = ", ".join(each.place for each in everywhere)
        yield Finding(
            "fault",
            "port",
            f"{name_owners(everywhere)} listens at {places} only, and the name leads to {', '.join(addresses)}",
            remedies=(
                f"# let it listen at all addresses: --bind 0.0.0.0:{page.port}, or in nginx: listen {page.port};",
            ),
        )
    else:
        yield Finding("fine", "port", f"{name_owners(reached)} listens at {reached[0].place}")


def check_own_port(address: TcpAddress, listening: Sequence[Listening], start: str) -> Iterator[Finding]:
    """Check that Hostler, and nobody else, listens at an address of its own."""
    place = str(address).rpartition("://")[2]
    found = find_listening(listening, address.host, address.port)
    owners = list_owners(found)
    if not found:
        yield Finding(
            "fault",
            "server",
            f"Hostler does not run: nothing listens at {place}",
            where="server.bind",
            remedies=(start,),
        )
    elif owners and not any(owner.is_hostler for owner in owners):
        first = owners[0]
        yield Finding(
            "fault",
            "server",
            f"{place} is taken by {first}, which is not Hostler",
            where="server.bind",
            details=f"pid {first.pid}, in {first.directory or '?'}: {' '.join(first.command)[:200]}",
            remedies=(f"kill {first.pid}    # or another port: --bind {address.host}:{address.port + 1}",),
        )
    else:
        yield Finding("fine", "server", f"Hostler listens at {place} ({name_owners(found)})")
