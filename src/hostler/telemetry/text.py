"""Texts and addresses in rows of the scoreboard; pure.

Nothing in them is believed: lengths are cut at the room that there is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def read_text(row: bytes, offsets: Mapping[str, int], part: str, following: str, length: int) -> str:
    """Return a text of a row.

    Args:
        row: the bytes of the row.
        offsets: where its parts begin.
        part: which part it is.
        following: the part behind it.
        length: its bytes, as the row says.
    """
    start = offsets[part]
    return row[start : min(start + length, offsets[following])].decode("utf-8", "replace")


def read_address(row: bytes, start: int, family: int) -> str:
    """Return the address that begins at `start`, of family 4 or 6; "" for none."""
    match family:
        case 4:
            return str(ipaddress.IPv4Address(row[start : start + 4]))
        case 6:
            return str(ipaddress.IPv6Address(row[start : start + 16]))
        case _:
            return ""
