"""The certificates of a generation, from its configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hostler.config.schema import Tls
from hostler.system.address import Address
from hostler.system.entropy import random_bytes
from hostler.tls.keeper import Keeper
from hostler.tls.plan import build_plan, list_overrides
from hostler.tls.tickets import TicketKeys


def make_keeper(section: Tls, addresses: Iterable[Address], keys: TicketKeys) -> Keeper | None:
    """Read what the TLS listeners among these addresses need; None if there are none.

    Raises:
        ConfigurationError: something is missing, or cannot be used.
    """
    overrides = list_overrides(addresses)
    if not overrides:
        return None
    return Keeper([build_plan(section, each) for each in overrides], keys, check)


def inspect(section: Tls, addresses: Iterable[Address]) -> tuple[int, Sequence[str]]:
    """Read what TLS listeners need, for somebody who only wants to know whether it is fine.

    Returns:
        How many certificates there are, and warnings.

    Raises:
        ConfigurationError: something is missing, or cannot be used.
    """
    keeper = make_keeper(section, addresses, TicketKeys(random_bytes, 0.0))
    if keeper is None:
        return 0, ()
    keeper.close()
    return len(keeper.certificates), keeper.warnings


def check(contents: bytes) -> Sequence[str]:
    """Return warnings about what workers are to be given.

    Raises:
        ValueError: it cannot be used.
    """
    from hostler.engine import check_tls  # only where there is TLS

    return check_tls(contents)
