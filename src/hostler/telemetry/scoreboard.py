"""The scoreboard: what workers tell of themselves in shared memory, read without asking them.

Theory: the supervisor makes it (`Scoreboard.make`), gives each worker a block before it is forked (`allot`) and takes
the block back when the worker has ended (`free`), adding what it did to the totals, so that sums never decrease, and
keeping its slowest requests beside them. A block belongs to one child, not to a slot, so that a worker and its
successor do not share one. The engine writes without locks; see `rust/src/shm/`. Anybody with the descriptor can read
(`read`): a worker that hangs, that was killed, or that is being replaced is read like any other.

Invariants: only the supervisor calls what changes the board, from one thread. A reader never waits, and believes
nothing: a worker can write what it likes into the memory, and the worst that comes of it is wrong numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from hostler.system.clock import monotonic_nanos, unix_nanos
from hostler.system.process import own_pid
from hostler.system.shared_memory import (
    grow_shared_memory,
    make_shared_memory,
    read_shared_memory,
    shared_memory_size,
    write_shared_memory,
)
from hostler.telemetry import layout, slowest
from hostler.telemetry.durations import Durations
from hostler.telemetry.layout import BLOCK_SIZE, BUCKETS, WORD
from hostler.telemetry.reading import (
    Counts,
    Reading,
    RequestReading,
    SlowestReading,
    WorkerReading,
    WorkerState,
)
from hostler.telemetry.text import read_address, read_text

# The first blocks; more are added as they are needed. Arbitrary: memory is taken when it is written.
FIRST_BLOCKS = 16
# How often a reader begins again because a worker came or went meanwhile (arbitrary): that takes microseconds, and
# happens a few times in a second at worst.
ATTEMPTS = 16
# The same for a row: its writer needs less than a microsecond.
ROW_ATTEMPTS = 4
# Blocks that a reader believes there are, at most (arbitrary).
MOST_BLOCKS = 2_048

_SECOND = 1_000_000_000
_WORD = struct.Struct("=Q")
_IDENTITY = layout.offsets(layout.IDENTITY, layout.IDENTITY_AT)
_IN_ENGINE: dict[int, WorkerState] = {2: "draining", 3: "stopped"}


@dataclass(slots=True)
class _Slot:
    """What has been in a slot: children so far, and what those did that have ended."""

    spawns: int = 0
    former: list[int] = field(default_factory=lambda: [0] * len(layout.FORMER))


class NoScoreboardError(ValueError):
    """The descriptor is none of a scoreboard, or of one that another version has made."""


class Scoreboard:
    """A scoreboard by its descriptor."""

    def __init__(self, fd: int, clock: Callable[[], int] = monotonic_nanos) -> None:
        """Use a scoreboard that is there; the descriptor stays the caller's.

        Args:
            fd: its descriptor.
            clock: returns the present in nanoseconds of the monotonic clock.

        Raises:
            NoScoreboardError: it is none that this version can read.
        """
        self.fd = fd
        self._clock = clock
        self._blocks: dict[int, int] = {}
        self._slots: dict[int, _Slot] = {}
        self._epoch = 0
        header = self._header()
        found = header["magic"], header["version"], header["block_size"]
        if found != (layout.MAGIC, layout.VERSION, BLOCK_SIZE):
            raise NoScoreboardError(f"descriptor {fd} is no scoreboard of version {layout.VERSION}: it has {found}")

    @classmethod
    def make(cls, clock: Callable[[], int] = monotonic_nanos) -> Scoreboard:
        """Make one, without workers; in the supervisor, which then owns the descriptor `fd`.

        Raises:
            OSError: there is no memory.
        """
        fd = make_shared_memory("hostler-scoreboard", layout.block_at(1 + FIRST_BLOCKS))
        values = (layout.MAGIC, layout.VERSION, BLOCK_SIZE, 1, 0, own_pid(), clock(), unix_nanos(), 0)
        write_shared_memory(fd, 0, struct.pack(f"={len(values)}Q", *values))
        return cls(fd, clock)

    # For the supervisor.

    def allot(self, child: int, slot: int, generation: int) -> int:
        """Give a child a block; returns where in the memory it begins.

        Args:
            child: its number, never given before.
            slot: which of its role it is, from 1.
            generation: the reading of the configuration that it is started from.

        Raises:
            OSError: there is no memory.
        """
        taken = set(self._blocks.values())
        block = next(index for index in range(1, len(taken) + 2) if index not in taken)
        start = layout.block_at(block)
        grow_shared_memory(self.fd, start + BLOCK_SIZE)
        self._begin_change()
        history = self._slots.setdefault(slot, _Slot())
        history.spawns += 1
        self._write_words(start, (child, 0, slot, generation, self._clock(), history.spawns, *history.former))
        self._write_words(layout.HEADER_OFFSETS["blocks"], (max(block + 1, self._header()["blocks"]),))
        self._end_change()
        self._blocks[child] = block
        return start

    def set_paused(self, *, is_paused: bool) -> None:
        """Tell the workers, those to come included, whether to take no requests."""
        self._write_words(layout.HEADER_OFFSETS["paused"], (int(is_paused),))

    @property
    def is_paused(self) -> bool:
        """Whether workers are to take no requests."""
        return self._read_word(layout.HEADER_OFFSETS["paused"]) != 0

    def note_pid(self, child: int, pid: int) -> None:
        """Note a child's process id, once it is known."""
        block = self._blocks.get(child)
        if block is not None:
            self._write_words(layout.block_at(block) + _IDENTITY["pid"], (pid,))

    def free(self, child: int) -> WorkerReading | None:
        """Take back the block of a child that has ended, and add what it did to the totals.

        Returns:
            The last that is known of it, with the requests that it has taken along; None if it had no block.
        """
        block = self._blocks.pop(child, None)
        if block is None:
            return None
        now = self._clock()
        last = self._read_worker(block, now)
        start = layout.block_at(block)
        self._begin_change()
        self._add_to_totals(block, last)
        if last is not None:
            self._add_to_slot(last)
            self._keep_slowest(block, last, now)
        write_shared_memory(self.fd, start, bytes(layout.ROWS_AT))
        for row in range(layout.ROWS):
            at = start + layout.ROWS_AT + row * layout.ROW_SIZE + layout.ROW["since"]
            if self._read_word(at):
                self._write_words(at, (0,))
        self._forget_slowest(block)
        self._end_change()
        return last

    def _keep_slowest(self, block: int, last: WorkerReading, now: int) -> None:
        """Keep the slowest requests of a worker that has ended, and of those that it has taken along."""
        lost = self._taken_rows(block) if last.in_flight else ()
        rows = [
            *self._read_slow_rows(0, now),
            *(slowest.sign_row(row, last.slot, last.pid) for row in self._read_slow_rows(block, now)),
            *(slowest.build_lost_row(row, now, last.slot, last.pid) for row in lost),
        ]
        for place, row in slowest.choose_rows(rows, now):
            self._write_row(layout.block_at(0) + layout.SLOWEST_AT + place, row)

    def _forget_slowest(self, block: int) -> None:
        start = layout.block_at(block) + layout.SLOWEST_AT
        for place, row in slowest.split_tables(read_shared_memory(self.fd, start, layout.SLOWEST_SIZE)):
            if any(row):
                self._write_words(start + place + layout.SLOW["ended"], (0,))

    def _write_row(self, at: int, row: bytes) -> None:
        """Write a row, of which the first word is its sequence number, for readers that may be at it."""
        sequence = self._read_word(at) | 1
        self._write_words(at, (sequence,))
        write_shared_memory(self.fd, at + WORD, row[WORD:])
        self._write_words(at, ((sequence + 1) % 2**64,))

    def _add_to_totals(self, block: int, last: WorkerReading | None) -> None:
        sums = self._words(block, layout.COUNTERS_AT, layout.SUMS_SIZE)
        if last is not None:
            # What was under way has ended as well.
            sums[layout.COUNTERS.index("busy_time")] += int(last.busy_for * _SECOND)
            sums[layout.COUNTERS.index("application_time")] += int(last.running_time * _SECOND)
            sums[layout.COUNTERS.index("lost")] += last.in_flight
        totals = self._words(0, layout.COUNTERS_AT, layout.SUMS_SIZE)
        added = [(mine + theirs) % 2**64 for mine, theirs in zip(totals, sums, strict=True)]
        self._write_words(layout.block_at(0) + layout.COUNTERS_AT, added)

    def _add_to_slot(self, last: WorkerReading) -> None:
        """Leave what a worker did to those who have its slot now, and to those who will."""
        history = self._slots.setdefault(last.slot, _Slot())
        counts = last.counts
        time = int((counts.application_time + last.running_time) * _SECOND)
        done = (counts.requests, counts.failures, counts.bytes_sent, time)
        history.former = [(mine + theirs) % 2**64 for mine, theirs in zip(history.former, done, strict=True)]
        for block in self._blocks.values():
            start = layout.block_at(block)
            if self._read_word(start + _IDENTITY["slot"]) == last.slot:
                self._write_words(start + _IDENTITY[f"former_{layout.FORMER[0]}"], history.former)

    def _begin_change(self) -> None:
        self._epoch |= 1
        self._write_words(layout.HEADER_OFFSETS["epoch"], (self._epoch,))

    def _end_change(self) -> None:
        self._epoch += 1
        self._write_words(layout.HEADER_OFFSETS["epoch"], (self._epoch,))

    # For everybody.

    def read(self) -> Reading:
        """Read everything there is. Never waits, never fails."""
        for _ in range(ATTEMPTS):
            epoch = self._read_word(layout.HEADER_OFFSETS["epoch"])
            reading = self._read_all()
            if epoch % 2 == 0 and epoch == self._read_word(layout.HEADER_OFFSETS["epoch"]):
                return reading
        return replace(self._read_all(), is_consistent=False)

    def read_slowest(self, limit: int) -> SlowestReading:
        """Read the slowest requests that have ended of late, no more than `limit`. Never waits, never fails."""
        for _ in range(ATTEMPTS):
            epoch = self._read_word(layout.HEADER_OFFSETS["epoch"])
            reading = self._read_all_slow(limit)
            if epoch % 2 == 0 and epoch == self._read_word(layout.HEADER_OFFSETS["epoch"]):
                return reading
        return self._read_all_slow(limit)

    def _read_all_slow(self, limit: int) -> SlowestReading:
        now = self._clock()
        header = self._header()
        rows: list[bytes] = []
        for block in range(1, self._count_blocks(header)):
            who = _named(layout.IDENTITY, self._words(block, 0, layout.COUNTERS_AT), layout.IDENTITY_AT)
            if who["child"]:
                found = self._read_slow_rows(block, now)
                rows += (slowest.sign_row(row, who["slot"], who["pid"]) for row in found)
        # At last: what a worker leaves that ends meanwhile is found here, or was found there.
        rows += self._read_slow_rows(0, now)
        seconds = slowest.covered_time(now, header["made_at"]) / _SECOND
        return SlowestReading(seconds, slowest.build_requests(rows, now, limit))

    def _read_slow_rows(self, block: int, now: int) -> Iterator[bytes]:
        """Yield the rows of a block whose requests are of late."""
        start = layout.block_at(block) + layout.SLOWEST_AT
        tables, again = (read_shared_memory(self.fd, start, layout.SLOWEST_SIZE) for _ in range(2))
        for place, first in slowest.split_tables(tables):
            is_whole = slowest.is_whole(first, again[place : place + WORD])
            row = first if is_whole else self._read_row(start + place, layout.SLOW_ROW_SIZE)
            if row is not None and slowest.is_of_late(row, now):
                yield row

    def _read_all(self) -> Reading:
        now = self._clock()
        header = self._header()
        found = [self._read_worker(block, now) for block in range(1, self._count_blocks(header))]
        workers = sorted((each for each in found if each is not None), key=lambda each: (each.slot, each.child))
        totals = self._words(0, layout.COUNTERS_AT, layout.SUMS_SIZE)
        return Reading(
            now / _SECOND,
            header["made_at_unix"] / _SECOND,
            tuple(workers),
            _build_counts(totals),
            is_paused=header["paused"] != 0,
        )

    def _count_blocks(self, header: dict[str, int]) -> int:
        room = (shared_memory_size(self.fd) - layout.HEADER_SIZE) // BLOCK_SIZE
        return min(header["blocks"], room, MOST_BLOCKS)

    def _read_worker(self, block: int, now: int) -> WorkerReading | None:
        words = self._words(block, 0, layout.ROWS_AT)
        who = _named(layout.IDENTITY, words, layout.IDENTITY_AT)
        if who["child"] == 0:
            return None
        gauges = _named(layout.GAUGES, words, layout.GAUGES_AT)
        counts = _build_counts(words[layout.COUNTERS_AT // WORD : layout.GAUGES_AT // WORD])
        rows = self._taken_rows(block) if gauges["in_flight"] else ()
        requests = tuple(_build_request(row, now) for row in rows)
        return WorkerReading(
            child=who["child"],
            pid=who["pid"],
            slot=who["slot"],
            generation=who["generation"],
            state=_state(gauges),
            age=_seconds(now, who["allotted_at"]),
            threads=gauges["threads"],
            silent_for=_silence(gauges, now),
            connections_open=gauges["connections_open"],
            websockets_open=gauges["websockets_open"],
            in_flight=gauges["in_flight"],
            unshown=gauges["unshown"],
            ready=gauges["ready"],
            buffered=gauges["buffered"],
            busy_for=_seconds(now, gauges["busy_since"]) if gauges["busy_since"] else 0.0,
            counts=counts,
            requests=requests,
            spawns=who["spawns"],
            former=Counts(
                requests=who["former_requests"],
                failures=who["former_failures"],
                bytes_sent=who["former_bytes_sent"],
                application_time=who["former_application_time"] / _SECOND,
            ),
        )

    def _taken_rows(self, block: int) -> list[bytes]:
        """Return the rows of a worker's requests, the oldest first."""
        start = layout.block_at(block) + layout.ROWS_AT
        rows = read_shared_memory(self.fd, start, layout.ROWS * layout.ROW_SIZE)
        taken = []
        for index in range(layout.ROWS):
            at = index * layout.ROW_SIZE
            since = _WORD.unpack_from(rows, at + layout.ROW["since"])[0]
            row = self._read_row(start + at, layout.ROW_SIZE) if since else None
            if row is not None:
                taken.append(row)
        return sorted(taken, key=lambda row: _WORD.unpack_from(row, layout.ROW["since"])[0])

    def _read_row(self, at: int, size: int) -> bytes | None:
        """Return a row that is taken and was not written to meanwhile, or None.

        Its first word is the sequence number; the second is 0 while nobody has it.
        """
        for _ in range(ROW_ATTEMPTS):
            row = read_shared_memory(self.fd, at, size)
            sequence, is_taken = struct.unpack_from("=2Q", row)
            if sequence % 2 == 0 and sequence == self._read_word(at):
                return row if is_taken else None
        return None

    def _header(self) -> dict[str, int]:
        data = read_shared_memory(self.fd, 0, len(layout.HEADER) * WORD)
        return dict(zip(layout.HEADER, struct.unpack(f"={len(layout.HEADER)}Q", data), strict=True))

    def _words(self, block: int, offset: int, length: int) -> list[int]:
        data = read_shared_memory(self.fd, layout.block_at(block) + offset, length)
        return list(struct.unpack(f"={length // WORD}Q", data))

    def _read_word(self, at: int) -> int:
        return int(_WORD.unpack(read_shared_memory(self.fd, at, WORD))[0])

    def _write_words(self, at: int, words: tuple[int, ...] | list[int]) -> None:
        write_shared_memory(self.fd, at, struct.pack(f"={len(words)}Q", *words))


def _named(names: tuple[str, ...], words: list[int], at: int) -> dict[str, int]:
    """Return the words of a structure by name."""
    first = at // WORD
    return dict(zip(names, words[first : first + len(names)], strict=True))


def _seconds(now: int, since: int) -> float:
    return max(0, now - since) / _SECOND


def _state(gauges: dict[str, int]) -> WorkerState:
    if gauges["version"] == 0:
        return "starting"
    return _IN_ENGINE.get(gauges["state"]) or ("busy" if gauges["in_flight"] else "idle")


def _silence(gauges: dict[str, int], now: int) -> float | None:
    if gauges["version"] == 0 or (gauges["is_waiting"] and gauges["in_flight"] == 0):
        return None
    return _seconds(now, gauges["turned_at"])


def _build_counts(words: list[int]) -> Counts:
    """Build what a block says, from its counters on."""
    counters = dict(zip(layout.COUNTERS, words, strict=False))
    times = {name: counters.pop(name) / _SECOND for name in ("busy_time", "application_time")}
    return Counts(
        **counters,
        busy_time=times["busy_time"],
        application_time=times["application_time"],
        request_time=_build_durations(words, layout.REQUEST_TIME_AT),
        first_byte_time=_build_durations(words, layout.FIRST_BYTE_TIME_AT),
    )


def _build_durations(words: list[int], at: int) -> Durations:
    first = (at - layout.COUNTERS_AT) // WORD
    return Durations(words[first] / _SECOND, tuple(words[first + 1 : first + 1 + BUCKETS]))


def _build_request(row: bytes, now: int) -> RequestReading:
    since, thread, lengths = struct.unpack_from("=3Q", row, layout.ROW["since"])
    id_length, method_length, path_length, family = lengths.to_bytes(8, "little")[:4]
    return RequestReading(
        id=read_text(row, layout.ROW, "id", "method", id_length),
        method=read_text(row, layout.ROW, "method", "path", method_length),
        path=read_text(row, layout.ROW, "path", "end", path_length),
        client=read_address(row, layout.ROW["client"], family),
        age=_seconds(now, since),
        thread=thread,
    )
