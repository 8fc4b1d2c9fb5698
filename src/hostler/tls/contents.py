"""What workers are given, as bytes: records of a letter, a length and a value.

The engine reads certificates and ticket keys in `tls::store`, and answers to challenges in `tls::challenges`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from hostler.tls.material import find_pairs, load_authorities, load_material
from hostler.tls.plan import Plan

_VERSIONS = {"1.2": 2, "1.3": 3}
_AUTH = {"none": 0, "optional": 1, "required": 2}


def build_profiles(plans: Iterable[Plan]) -> bytes:
    """Read the files of all plans, and write what is in them as the engine expects it, one profile for each.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    return b"".join(record for plan in plans for record in _profile(plan))


def build_ticket_keys(keys: Iterable[bytes]) -> bytes:
    """Write ticket keys as the engine expects them, the newest first."""
    return b"".join(_record(b"K", key) for key in keys)


def build_answers(key_authorizations: Iterable[str]) -> bytes:
    """Write answers to challenges over HTTP as the engine expects them."""
    return b"".join(_record(b"H", each.encode()) for each in key_authorizations)


def _profile(plan: Plan) -> Iterator[bytes]:
    yield _record(b"P", bytes((_VERSIONS[plan.min_version], _AUTH[plan.client_auth])))
    if authorities := load_authorities(plan):
        yield _record(b"A", authorities)
    for pair in find_pairs(plan):
        material = load_material(pair)
        yield _record(b"N", material.name.encode())
        yield _record(b"C", material.chain)
        yield _record(b"S", material.key)
        if material.ocsp:
            yield _record(b"O", material.ocsp)


def _record(letter: bytes, value: bytes) -> bytes:
    return letter + struct.pack("<I", len(value)) + value
