"""The scoreboard as its supervisor writes it, with words in place of an engine."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostler.engine import scoreboard_layout
from hostler.telemetry import layout
from hostler.telemetry.durations import BOUNDS, Durations
from hostler.telemetry.reading import Counts, Reading, compare
from hostler.telemetry.scoreboard import FIRST_BLOCKS, NoScoreboardError, Scoreboard
from tests.fakes.clock import FakeClock

SECOND = 1_000_000_000


class Board:
    """A scoreboard with a clock of its own, and a pen that writes what an engine would."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.scoreboard = Scoreboard.make(self.now)
        self.places: dict[int, int] = {}

    def now(self) -> int:
        return int(self.clock.now() * SECOND)

    def allot(self, child: int, slot: int = 1) -> int:
        self.places[child] = self.scoreboard.allot(child, slot, 1)
        return self.places[child]

    def write(self, child: int, **words: int) -> None:
        names = layout.offsets(layout.COUNTERS, layout.COUNTERS_AT) | layout.offsets(layout.GAUGES, layout.GAUGES_AT)
        for name, value in words.items():
            os.pwrite(self.scoreboard.fd, struct.pack("=Q", value), self.places[child] + names[name])

    def write_row(self, child: int, row: int, *, age: float, path: bytes = b"/", sequence: int = 2) -> None:
        at = self.places[child] + layout.ROWS_AT + row * layout.ROW_SIZE
        lengths = int.from_bytes(bytes([3, 4, len(path), 4]), "little")
        texts = b"abc".ljust(32, b"\0") + b"POST".ljust(16, b"\0") + path
        client = bytes([192, 0, 2, 9]).ljust(16, b"\0")
        os.pwrite(
            self.scoreboard.fd,
            struct.pack("=4Q", sequence, self.now() - int(age * SECOND), 7, lengths) + client + texts,
            at,
        )

    def serve(self, child: int, **words: int) -> None:
        self.write(child, version=layout.VERSION, state=1, threads=4, turned_at=self.now(), **words)

    def read(self) -> Reading:
        return self.scoreboard.read()


@pytest.fixture(name="board")
def fixture_board() -> Iterator[Board]:
    board = Board()
    yield board
    os.close(board.scoreboard.fd)


def test_engine_and_reader_agree_on_the_layout() -> None:
    mine = {
        "version": layout.VERSION,
        "block_size": layout.BLOCK_SIZE,
        "rows": layout.ROWS,
        "row_size": layout.ROW_SIZE,
        "buckets": layout.BUCKETS,
        "slow_rows": layout.SLOW_ROWS,
        "slow_row_size": layout.SLOW_ROW_SIZE,
        "slow_window": layout.SLOW_WINDOW,
        "block.slowest": layout.SLOWEST_AT,
        "block.rows": layout.ROWS_AT,
        "block.request_time": layout.REQUEST_TIME_AT,
        "block.first_byte_time": layout.FIRST_BYTE_TIME_AT,
    }
    groups = {
        "identity": layout.offsets(layout.IDENTITY, layout.IDENTITY_AT),
        "counters": layout.offsets(layout.COUNTERS, layout.COUNTERS_AT),
        "gauges": layout.offsets(layout.GAUGES, layout.GAUGES_AT),
        "row": layout.ROW,
        "slow": layout.SLOW,
    }
    mine |= {f"{group}.{name}": offset for group, names in groups.items() for name, offset in names.items()}
    assert scoreboard_layout() == mine


def test_pause_is_told_to_everybody(board: Board) -> None:
    assert not board.read().is_paused
    board.scoreboard.set_paused(is_paused=True)
    assert board.scoreboard.is_paused
    assert board.read().is_paused
    board.scoreboard.set_paused(is_paused=False)
    assert not board.read().is_paused


def test_worker_is_starting_until_its_engine_is_there(board: Board) -> None:
    board.allot(1, slot=3)
    board.clock.advance(2)
    (worker,) = board.read().workers
    assert (worker.child, worker.slot, worker.generation, worker.state, worker.age) == (1, 3, 1, "starting", 2.0)


@pytest.mark.parametrize(
    "words, state",
    [
        ({}, "idle"),
        ({"in_flight": 1}, "busy"),
        ({"state": 2, "in_flight": 1}, "draining"),
        ({"state": 3}, "stopped"),
        ({"state": 99}, "idle"),
    ],
)
def test_state_is_told_by_the_engine_and_its_requests(board: Board, words: dict[str, int], state: str) -> None:
    board.allot(1)
    board.serve(1)
    board.write(1, **words)
    assert board.read().workers[0].state == state


def test_worker_that_waits_for_clients_is_not_silent(board: Board) -> None:
    board.allot(1)
    board.serve(1, is_waiting=1)
    board.clock.advance(100)
    assert board.read().workers[0].silent_for is None
    board.write(1, in_flight=1)
    assert board.read().workers[0].silent_for == 100.0


def test_requests_are_shown_with_their_age_the_oldest_first(board: Board) -> None:
    board.allot(1)
    board.serve(1, in_flight=2)
    board.write_row(1, 0, age=1, path=b"/young")
    board.write_row(1, 5, age=6, path="/älter".encode())
    old, young = board.read().workers[0].requests
    assert (old.method, old.path, old.client, old.id, old.age, old.thread) == (
        "POST",
        "/älter",
        "192.0.2.9",
        "abc",
        6.0,
        7,
    )
    assert young.path == "/young"
    assert board.read().workers[0].oldest == 6.0


def test_row_whose_writer_was_killed_is_passed_over(board: Board) -> None:
    board.allot(1)
    board.serve(1, in_flight=2)
    board.write_row(1, 0, age=1, sequence=3)
    board.write_row(1, 1, age=1, sequence=4, path=b"/whole")
    assert [request.path for request in board.read().workers[0].requests] == ["/whole"]


def test_time_of_running_requests_counts_where_it_falls(board: Board) -> None:
    board.allot(1)
    board.serve(1, in_flight=1, busy_time=2 * SECOND, busy_since=board.now(), application_time=3 * SECOND)
    board.write_row(1, 0, age=0)
    board.clock.advance(5)
    earlier = board.read()
    assert earlier.workers[0].busy_for == earlier.workers[0].running_time == 5.0
    board.clock.advance(4)
    board.write(1, in_flight=0, busy_since=0, busy_time=11 * SECOND, application_time=12 * SECOND)
    interval = compare(earlier, board.read()).workers[1]
    assert interval.busy_share == 1.0
    assert interval.utilisation == 0.25


def test_counts_of_ended_workers_stay_in_the_sum(board: Board) -> None:
    board.allot(1)
    board.serve(1, requests=10, responses_2xx=9, bytes_sent=100, in_flight=1, busy_since=board.now())
    board.write_row(1, 0, age=0, path=b"/lost")
    board.allot(2, slot=2)
    board.serve(2, requests=5)
    board.clock.advance(3)
    last = board.scoreboard.free(1)
    assert last is not None
    assert [request.path for request in last.requests] == ["/lost"]
    reading = board.read()
    assert [worker.child for worker in reading.workers] == [2]
    assert (reading.counts.requests, reading.counts.responses_2xx, reading.counts.lost) == (15, 9, 1)
    assert reading.counts.busy_time == reading.counts.application_time == 3.0


def test_slot_remembers_what_was_done_in_it(board: Board) -> None:
    board.allot(1, slot=2)
    board.serve(1, requests=10, failures=1, bytes_sent=500, application_time=3 * SECOND)
    board.allot(2, slot=2)
    board.serve(2, requests=5)
    board.allot(3, slot=1)
    board.scoreboard.free(1)
    other, worker = board.read().workers
    former = worker.former
    assert (worker.child, worker.spawns, former.requests, former.failures) == (2, 2, 10, 1)
    assert (former.bytes_sent, former.application_time) == (500, 3.0)
    assert (other.spawns, other.former.requests) == (1, 0)
    board.scoreboard.free(2)
    board.allot(4, slot=2)
    assert [(each.spawns, each.former.requests) for each in board.read().workers] == [(1, 0), (3, 15)]


def test_block_is_clean_for_the_next_worker(board: Board) -> None:
    first = board.allot(1)
    board.serve(1, requests=10, in_flight=1)
    board.write_row(1, 0, age=1)
    board.scoreboard.note_pid(1, 4711)
    board.scoreboard.free(1)
    assert board.allot(2) == first
    board.serve(2, in_flight=1)
    (worker,) = board.read().workers
    assert (worker.pid, worker.counts.requests, worker.requests) == (0, 0, ())


def test_worker_and_its_successor_have_blocks_of_their_own(board: Board) -> None:
    assert board.allot(1) != board.allot(2)
    assert [(worker.child, worker.slot) for worker in board.read().workers] == [(1, 1), (2, 1)]


def test_board_grows_with_the_number_of_workers(board: Board) -> None:
    for child in range(1, FIRST_BLOCKS * 3):
        board.allot(child, slot=child)
        board.serve(child, requests=1)
    assert board.read().counts.requests == FIRST_BLOCKS * 3 - 1


def test_freeing_what_has_no_block_changes_nothing(board: Board) -> None:
    assert board.scoreboard.free(77) is None


def test_other_process_reads_by_the_descriptor(board: Board) -> None:
    board.allot(1)
    board.serve(1, requests=3)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        reading = Scoreboard(board.scoreboard.fd, board.now).read()
        os.write(write_end, str(reading.counts.requests).encode())
        os._exit(0)
    os.close(write_end)
    assert os.read(read_end, 10) == b"3"
    os.close(read_end)
    os.waitpid(pid, 0)


def test_descriptor_of_something_else_is_refused() -> None:
    fd = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(NoScoreboardError, match="is no scoreboard of version"):
        Scoreboard(fd)
    os.close(fd)


def test_memory_cannot_be_shortened(board: Board) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(board.scoreboard.fd, 4096)


def test_supervisor_that_died_in_the_midst_of_a_change_is_told(board: Board) -> None:
    board.allot(1)
    os.pwrite(board.scoreboard.fd, struct.pack("=Q", 7), layout.HEADER_OFFSETS["epoch"])
    reading = board.read()
    assert not reading.is_consistent
    assert len(reading.workers) == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), blocks=st.sampled_from([0, 1, 3, 2**63]), words=st.sampled_from([30, 1_000, 0]))
def test_garbage_is_read_like_anything_else(board: Board, seed: int, blocks: int, words: int) -> None:
    """Whatever a worker scribbles, a reading and all that is computed from it come out."""
    scribbler = random.Random(seed)
    for child in range(1, 4):
        if child not in board.places:
            board.allot(child, slot=child)
    start, end = layout.block_at(0), layout.block_at(4)
    memory = bytearray(os.pread(board.scoreboard.fd, end - start, start))
    if words == 0:
        memory[:] = scribbler.randbytes(len(memory))
    for _ in range(words):
        index = scribbler.randrange(0, len(memory), 8)
        memory[index : index + 8] = scribbler.randbytes(8)
    os.pwrite(board.scoreboard.fd, memory, start)
    os.pwrite(board.scoreboard.fd, struct.pack("=Q", blocks), layout.HEADER_OFFSETS["blocks"])
    reading = board.read()
    later = board.read()
    interval = compare(reading, later)
    for request in board.scoreboard.read_slowest(1_000).requests:
        assert request.ended_for >= 0
        assert 0 <= len(request.path) <= 160
    assert reading.counts.request_time.percentile(0.5) is not None or reading.counts.request_time.count == 0
    assert interval.requests_per_second >= 0
    for worker in reading.workers:
        assert worker.age >= 0
        assert all(0 <= len(request.path) <= 160 for request in worker.requests)
    for child in (1, 2, 3):
        board.scoreboard.free(child)
        del board.places[child]


def test_percentiles_lie_within_an_eighth_of_the_truth() -> None:
    source = random.Random(1)
    values = sorted(source.expovariate(10) + 0.001 for _ in range(5_000))
    buckets = [0] * layout.BUCKETS
    for value in values:
        buckets[next(index for index, bound in enumerate(BOUNDS) if value < bound)] += 1
    durations = Durations(sum(values), tuple(buckets))
    for fraction in (0.01, 0.5, 0.9, 0.99, 0.999):
        truth = values[int(fraction * len(values))]
        found = durations.percentile(fraction)
        assert found is not None
        assert abs(found - truth) <= truth / 8
    assert durations.mean == pytest.approx(sum(values) / len(values))


def test_durations_without_any_have_no_percentile() -> None:
    assert Durations().percentile(0.5) is None
    assert Durations().mean is None


def test_durations_below_a_bound_are_counted_at_the_engines_own_bounds() -> None:
    buckets = [0] * layout.BUCKETS
    buckets[0], buckets[7], buckets[layout.BUCKETS - 1] = 2, 3, 5
    assert Durations(1.0, tuple(buckets)).cumulative([0.00005, 0.0004, 0.00041, 10**9]) == (2, 5, 5, 5)


def test_rates_are_computed_from_two_readings(board: Board) -> None:
    board.clock.advance(50)
    board.allot(1)
    board.serve(1, requests=10, responses_2xx=10, busy_time=SECOND, application_time=2 * SECOND)
    board.clock.advance(10)
    earlier = board.read()
    board.clock.advance(10)
    board.write(1, responses_2xx=60, responses_5xx=5, unanswered=5, busy_time=6 * SECOND)
    board.write(1, application_time=22 * SECOND)
    interval = compare(earlier, board.read())
    assert interval.seconds == 10
    assert interval.requests_per_second == 6.0
    assert interval.counts.responses_5xx == 5
    assert interval.workers[1].busy_share == 0.5
    assert interval.workers[1].utilisation == 0.5


def test_worker_that_came_meanwhile_is_measured_over_its_own_life(board: Board) -> None:
    earlier = board.read()
    board.clock.advance(8)
    board.allot(1)
    board.serve(1)
    board.clock.advance(2)
    board.write(1, busy_time=SECOND)
    assert compare(earlier, board.read()).workers[1].busy_share == 0.5


def test_counts_never_become_less_than_nothing() -> None:
    assert (Counts(requests=1) - Counts(requests=3)).requests == 0
