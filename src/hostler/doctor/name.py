"""Whether a host name leads to this machine. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence

from hostler.doctor.model import Finding


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_name(
    host: str, addresses: Sequence[str] | None, *, is_own: Callable[[str], bool], problem: str = ""
) -> Iterator[Finding]:
    """Check where a name leads.

    Args:
        host: the name or address in the URL.
        addresses: what it was resolved to; None when it could not be looked up.
        is_own: tells whether an address is one of this machine's.
        problem: why it could not be looked up.
    """
    if addresses is None:
        yield Finding(
            "warning", "name", f"{host} cannot be looked up now: {problem}", remedies=("cat /etc/resolv.conf",)
        )
    elif not addresses:
        remedy = f"add a record for {host} where the DNS of its domain is kept; for a try from this machine:"
        yield Finding(
            "fault",
            "name",
            f"{host} does not exist: no DNS record and no entry in /etc/hosts",
            remedies=(f"# {remedy}", f"echo '127.0.0.1 {host}' >> /etc/hosts"),
        )
    elif not any(is_own(each) for each in addresses):
        yield Finding(
            "warning",
            "name",
            f"{host} is {', '.join(addresses)}: not an address of this machine",
            remedies=(
                "# Right where a load balancer or a router stands in front. Otherwise correct the DNS record;",
                "# the addresses of this machine:  ip -brief address",
            ),
        )
    else:
        own = next(each for each in addresses if is_own(each))
        yield Finding("fine", "name", f"{host} is {'an address of ' if own == host else f'{own}, '}this machine")
