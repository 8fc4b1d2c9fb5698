"""Keeps the certificates of one generation: reads them, and again when their files change.

Theory: files are looked at every second, by their times and sizes. A change is taken up when two looks in a row
find the same, as a certificate and its key are written one after the other. What cannot be used is told of once, and
what there was stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from hostler.errors import ConfigurationError
from hostler.tls.contents import build_profiles, build_ticket_keys
from hostler.tls.material import find_pairs, take_fingerprint
from hostler.tls.plan import Plan
from hostler.tls.store import Store
from hostler.tls.tickets import TicketKeys

# Arbitrary: soon enough after a renewal, and nothing to be noticed by even with many files.
INTERVAL = 1.0

# Returns warnings about contents; raises ValueError with what is wrong.
CheckContents = Callable[[bytes], Sequence[str]]


class Keeper:
    """The certificates of one generation."""

    def __init__(self, plans: Sequence[Plan], keys: TicketKeys, check: CheckContents) -> None:
        """Read everything for the first time.

        Raises:
            ConfigurationError: something is missing, or cannot be used.
        """
        self._plans = tuple(plans)
        self._keys = keys
        self._check = check
        self._log = logging.getLogger("hostler")
        self._taken = self._seen = self._look()
        self._profiles, self.warnings = self._build()
        self._store = Store(self._contents(), "hostler-tls")

    @property
    def fd(self) -> int:
        """The descriptor of the file that workers read."""
        return self._store.fd

    @property
    def certificates(self) -> frozenset[Path]:
        """The files of its certificates."""
        return frozenset(pair.certificate for plan in self._plans for pair in find_pairs(plan))

    def look(self) -> None:
        """Take up changes of the files, if there are any that have come to rest."""
        found = self._look()
        is_settled = found == self._seen
        self._seen = found
        if not is_settled or found == self._taken:
            return
        self._taken = found
        if self.renew():
            self._log.info("the certificates have changed; new connections get the new ones")

    def renew(self) -> bool:
        """Read everything again, and hand it over if it can be used. Returns whether it could."""
        try:
            self._profiles, warnings = self._build()
        except ConfigurationError as error:
            self._log.error("going on with the certificates there were, as the new ones cannot be used: %s", error)
            return False
        for warning in warnings:
            self._log.warning("%s", warning)
        self._store.write(self._contents())
        return True

    def hand_over_keys(self) -> None:
        """Hand over the ticket keys there are now."""
        self._store.write(self._contents())

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def _look(self) -> tuple[object, ...]:
        return tuple(take_fingerprint(plan) for plan in self._plans)

    def _contents(self) -> bytes:
        return build_ticket_keys(self._keys.keys) + self._profiles

    def _build(self) -> tuple[bytes, Sequence[str]]:
        profiles = build_profiles(self._plans)
        try:
            return profiles, self._check(profiles)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
