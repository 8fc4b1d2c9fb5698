"""What each TLS listener is to present and to ask for: the section `[tls]`, and what its address says in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from hostler.config.schema import Tls
from hostler.errors import ConfigurationError
from hostler.system.address import Address, TlsOverrides

ClientAuth = Literal["none", "optional", "required"]
MinVersion = Literal["1.2", "1.3"]
_CHOICES = {"client_auth": ("none", "optional", "required"), "min_version": ("1.2", "1.3")}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one listener presents and asks for.

    Attributes:
        certificates: files, directories and patterns.
        keys: the keys of those, in the same order; empty to look beside them.
        min_version: the least version that is spoken.
        client_auth: whether clients are asked for a certificate.
        client_ca: the file with the authorities that may have signed it, or None.
    """

    certificates: tuple[str, ...]
    keys: tuple[str, ...] = ()
    min_version: MinVersion = "1.2"
    client_auth: ClientAuth = "none"
    client_ca: str | None = None


def build_plan(section: Tls, overrides: TlsOverrides) -> Plan:
    """Put together what the section says and what the address says.

    Raises:
        ConfigurationError: it makes no sense, or there is no certificate.
    """
    said = dict(overrides)
    for name, known in _CHOICES.items():
        if name in said and said[name] not in known:
            raise ConfigurationError(f"{name} of an address is {said[name]!r}; {', '.join(known)} are known")
    own = (said["certificate"],) if "certificate" in said else None
    plan = Plan(
        own or section.certificate,
        ((said["key"],) if "key" in said else ()) if own else section.key,
        cast("MinVersion", said.get("min_version", section.min_version)),
        cast("ClientAuth", said.get("client_auth", section.client_auth)),
        said.get("client_ca", str(section.client_ca) if section.client_ca else None),
    )
    _check(plan)
    return plan


def _check(plan: Plan) -> None:
    if not plan.certificates:
        raise ConfigurationError(
            "a listener speaks https, but there is no certificate for it; name one with tls.certificate, or make one "
            "for development with 'hostler certs self-signed'"
        )
    if plan.keys and len(plan.keys) != len(plan.certificates):
        raise ConfigurationError(
            f"tls.key has {len(plan.keys)} files, tls.certificate {len(plan.certificates)}; name one for each, or none "
            "to have them looked for beside the certificates"
        )
    if plan.client_auth != "none" and plan.client_ca is None:
        raise ConfigurationError(
            f"tls.client_auth is {plan.client_auth!r}, but tls.client_ca does not say whose certificates are accepted"
        )


def list_overrides(addresses: Iterable[Address]) -> tuple[TlsOverrides, ...]:
    """List what TLS listeners say of themselves, each once; the place in this list is the number of the profile."""
    found = (each.speech.tls for each in addresses)
    return tuple(dict.fromkeys(each for each in found if each is not None))
