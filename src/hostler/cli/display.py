"""How commands show numbers, tables and texts that come from a running server."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Everything that could move a terminal's cursor, or more; what a server sends need not be what we would write.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))


def clean(text: object) -> str:
    """Make a text safe for a terminal: control characters become visible, but for newlines and tabs."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(text))


def clean_line(text: object) -> str:
    """Make a text safe for one line of a terminal."""
    return clean(text).replace("\n", " ").replace("\t", " ")


def format_age(seconds: float) -> str:
    """Write a duration with two figures or so: "0.4s", "12s", "3m 20s", "5h 2m", "4d 3h"."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    for (size, unit), (smaller, lesser) in zip(_UNITS, (*_UNITS[1:], (1.0, "s")), strict=True):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit} {seconds % size // smaller:.0f}{lesser}"
    return f"{seconds:.0f}s"


def format_duration(seconds: float) -> str:
    """Write how long something took, with two or three figures: "70us", "1.3ms", "250ms", "2.1s", "3m 20s"."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f}us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f}ms" if seconds < 0.01 else f"{seconds * 1e3:.0f}ms"
    return format_age(seconds)


def format_memory(size: float | None) -> str:
    """Write a size of memory: "19M", "1.2G"; "-" for one that is not known."""
    if size is None:
        return "-"
    for unit in ("B", "K", "M"):
        if size < 1000:
            return f"{size:.0f}{unit}"
        size /= 1024
    return f"{size:.1f}G"


def format_known(value: object) -> str:
    """Write a value, or "-" for one that is not known."""
    return "-" if value is None else clean_line(value)


def write_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), gap: int = 2
) -> list[str]:
    """Write a table with columns as wide as their contents.

    Args:
        header: the names of the columns.
        rows: the cells of each row.
        right: the columns that are aligned to the right.
        gap: how many spaces are between two columns.
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def write(line: Sequence[str]) -> str:
        cells = (
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(header, line, widths, strict=True)
        )
        return (" " * gap).join(cells).rstrip()

    return [write(line) for line in lines]
