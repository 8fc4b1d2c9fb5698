"""Where everything is on the scoreboard; the engine has the same in `rust/src/shm/`, and a test compares the two.

    header | block 0: what workers leave that have ended | block 1 | block 2 | ...

All numbers are unsigned words of 64 bits in the machine's order. Structures begin at multiples of 64 bytes, the length
of a cache line, so that writers of one do not slow down writers of the next; blocks at multiples of a page.
"""

from __future__ import annotations

from collections.abc import Sequence

# Changes with every change here.
VERSION = 4
# "HOSTLER\0", so that a reader knows what it was given.
MAGIC = int.from_bytes(b"HOSTLER\0", "little")
WORD = 8
LINE = 64
PAGE = 4096

# Nanoseconds: the width of the narrowest buckets of a histogram, and the binary digits of their precision.
BUCKET_UNIT = 50_000
BUCKET_PRECISION = 3
BUCKETS = 176

HEADER = ("magic", "version", "block_size", "blocks", "epoch", "supervisor", "made_at", "made_at_unix", "paused")
# Counters whose sums are also kept for each slot, over all children that have had it.
FORMER = ("requests", "failures", "bytes_sent", "application_time")
IDENTITY = ("child", "pid", "slot", "generation", "allotted_at", "spawns", *(f"former_{name}" for name in FORMER))
COUNTERS = (
    "connections",
    "requests",
    "responses_1xx",
    "responses_2xx",
    "responses_3xx",
    "responses_4xx",
    "responses_5xx",
    "unanswered",
    "refusals",
    "failures",
    "aborts",
    "abandoned",
    "lost",
    "expired",
    "shed",
    "websockets",
    "bytes_received",
    "bytes_sent",
    "turns",
    "busy_time",
    "application_time",
)
GAUGES = (
    "version",
    "state",
    "started_at",
    "turned_at",
    "is_waiting",
    "busy_since",
    "threads",
    "connections_open",
    "websockets_open",
    "in_flight",
    "unshown",
    "ready",
    "buffered",
)

ROWS = 64
# Byte offsets within a row, and their end.
ROW = {
    "sequence": 0,
    "since": 8,
    "thread": 16,
    "lengths": 24,
    "client": 32,
    "id": 48,
    "method": 80,
    "path": 96,
    "end": 256,
}
ROW_SIZE = ROW["end"]

# The slowest requests that have ended of late: rows of each of two windows of time, and the nanoseconds of one.
SLOW_ROWS = 16
SLOW_WINDOW = 300_000_000_000
# Byte offsets within such a row, and their end.
SLOW = {
    "sequence": 0,
    "ended": 8,
    "duration": 16,
    "waited": 24,
    "application": 32,
    "body_sent": 40,
    "slot": 48,
    "pid": 56,
    "lengths": 64,
    "client": 72,
    "id": 88,
    "method": 120,
    "path": 136,
    "end": 296,
}
SLOW_ROW_SIZE = -(-SLOW["end"] // LINE) * LINE
# Bytes of one window's rows, and of both.
SLOW_TABLE_SIZE = SLOW_ROWS * SLOW_ROW_SIZE
SLOWEST_SIZE = 2 * SLOW_TABLE_SIZE


def _lines(words: int) -> int:
    """Return the bytes that so many words take, in whole cache lines."""
    return -(-words * WORD // LINE) * LINE


def offsets(names: Sequence[str], start: int) -> dict[str, int]:
    """Return the byte offset of each word of a structure that begins at `start`."""
    return {name: start + index * WORD for index, name in enumerate(names)}


# Byte offsets within a block.
IDENTITY_AT = 0
COUNTERS_AT = IDENTITY_AT + _lines(len(IDENTITY))
REQUEST_TIME_AT = COUNTERS_AT + _lines(len(COUNTERS))
FIRST_BYTE_TIME_AT = REQUEST_TIME_AT + _lines(1 + BUCKETS)
GAUGES_AT = FIRST_BYTE_TIME_AT + _lines(1 + BUCKETS)
ROWS_AT = GAUGES_AT + _lines(len(GAUGES))
# Pages of their own, so that they take no more memory than they have to.
SLOWEST_AT = -(-(ROWS_AT + ROWS * ROW_SIZE) // PAGE) * PAGE
BLOCK_SIZE = -(-(SLOWEST_AT + SLOWEST_SIZE) // PAGE) * PAGE
# All of a block that grows only, so that blocks can be added word by word.
SUMS_SIZE = GAUGES_AT - COUNTERS_AT

HEADER_SIZE = PAGE
HEADER_OFFSETS = offsets(HEADER, 0)


def block_at(block: int) -> int:
    """Return where a block begins."""
    return HEADER_SIZE + block * BLOCK_SIZE


def bucket_bound(index: int) -> int:
    """Return the nanoseconds below which a duration falls into this bucket or one before it; the last has no bound."""
    steps = 1 << BUCKET_PRECISION
    if index < 2 * steps:
        return (index + 1) * BUCKET_UNIT
    exponent, step = divmod(index - steps, steps)
    return (steps + step + 1 << exponent) * BUCKET_UNIT
