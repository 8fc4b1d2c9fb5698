"""The slowest requests of late, from rows of the scoreboard to values and back; pure.

Which requests are *of late* is told by the windows that `rust/src/shm/slow.rs` keeps: those that ended in the present
one or in the one before. Windows begin at the same moments for all workers, so that what several of them keep can be
put together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

from hostler.telemetry import layout
from hostler.telemetry.layout import SLOW, SLOW_ROW_SIZE, SLOW_ROWS, SLOW_TABLE_SIZE, SLOW_WINDOW
from hostler.telemetry.reading import SlowRequestReading
from hostler.telemetry.text import read_address, read_text

_SECOND = 1_000_000_000
_WORD = struct.Struct("=Q")
_VERSIONS = {10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2.0"}
# Within `lengths`: that a request ended with its worker.
_LOST = 1 << 40


def _word(row: bytes, name: str) -> int:
    return int(_WORD.unpack_from(row, SLOW[name])[0])


def covered_time(now: int, made_at: int) -> int:
    """Return for how many nanoseconds up to `now` the slowest requests are known, on a scoreboard made at `made_at`."""
    return max(0, now - max(made_at, (now // SLOW_WINDOW - 1) * SLOW_WINDOW))


def is_of_late(row: bytes, now: int) -> bool:
    """Say whether a request ended in the present window or the one before; or in the next, if it ends just now."""
    ended = _word(row, "ended")
    return ended > 0 and -1 <= ended // SLOW_WINDOW - now // SLOW_WINDOW <= 1


def split_tables(tables: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield where each row of a block's tables begins in them, and the row."""
    for start in range(0, layout.SLOWEST_SIZE, SLOW_ROW_SIZE):
        yield start, tables[start : start + SLOW_ROW_SIZE]


def is_whole(row: bytes, again: bytes) -> bool:
    """Say whether a row was not written to between two readings of it, of which the first is taken."""
    sequence = _word(row, "sequence")
    return sequence % 2 == 0 and sequence == _word(again, "sequence")


def sign_row(row: bytes, slot: int, pid: int) -> bytes:
    """Return a row with the name of its worker, as it is kept once that has ended."""
    return b"".join((row[: SLOW["slot"]], struct.pack("=2Q", slot, pid), row[SLOW["lengths"] :]))


def build_lost_row(row: bytes, now: int, slot: int, pid: int) -> bytes:
    """Return what becomes of the row of a request in the application, as its worker ends."""
    since, _, lengths = struct.unpack_from("=3Q", row, layout.ROW["since"])
    age = max(0, now - since)
    head = struct.pack("=9Q", 0, now, age, 0, age, 0, slot, pid, lengths % 2**32 | _LOST)
    # What is in both rows lies there in the same order.
    return (head + row[layout.ROW["client"] : layout.ROW["end"]]).ljust(SLOW_ROW_SIZE, b"\0")


def choose_rows(rows: Iterable[bytes], now: int) -> list[tuple[int, bytes]]:
    """Choose what is kept of several workers, as each keeps it: the slowest of each window.

    Returns:
        Where each row has its place in the tables, and the row. Where some were chosen before, they are all overwritten
        if they were among `rows`: there are never fewer of a window than before.
    """
    windows: dict[int, list[bytes]] = {}
    for row in rows:
        if is_of_late(row, now):
            windows.setdefault(_word(row, "ended") // SLOW_WINDOW, []).append(row)
    return [
        (window % 2 * SLOW_TABLE_SIZE + index * SLOW_ROW_SIZE, row)
        for window, found in sorted(windows.items())[-2:]
        for index, row in enumerate(_slowest_first(found)[:SLOW_ROWS])
    ]


def _slowest_first(rows: Iterable[bytes]) -> list[bytes]:
    return sorted(rows, key=lambda row: -_word(row, "duration"))


def build_requests(rows: Iterable[bytes], now: int, limit: int) -> Sequence[SlowRequestReading]:
    """Build the slowest requests, the slowest first, and no more than so many.

    A request may be there twice, if its worker has ended meanwhile; it is taken once.
    """
    unlike = {row[layout.WORD :]: row for row in rows}
    return tuple(_build_request(row, now) for row in _slowest_first(unlike.values())[:limit])


def _build_request(row: bytes, now: int) -> SlowRequestReading:
    lengths = _word(row, "lengths")
    id_length, method_length, path_length, family, version = lengths.to_bytes(8, "little")[:5]
    return SlowRequestReading(
        worker=_word(row, "slot"),
        pid=_word(row, "pid"),
        id=read_text(row, SLOW, "id", "method", id_length),
        method=read_text(row, SLOW, "method", "path", method_length),
        path=read_text(row, SLOW, "path", "end", path_length),
        client=read_address(row, SLOW["client"], family),
        protocol=_VERSIONS.get(version, ""),
        status=lengths >> 48,
        is_lost=bool(lengths & _LOST),
        duration=_word(row, "duration") / _SECOND,
        waited=_word(row, "waited") / _SECOND,
        application_time=_word(row, "application") / _SECOND,
        body_sent=_word(row, "body_sent"),
        ended_for=max(0, now - _word(row, "ended")) / _SECOND,
    )
