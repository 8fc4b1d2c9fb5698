"""The slowest requests of late, as workers leave them on the scoreboard: which are known, and for how long."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostler.telemetry import layout
from hostler.telemetry.reading import SlowestReading
from hostler.telemetry.scoreboard import Scoreboard
from hostler.telemetry.slowest import choose_rows
from tests.fakes.clock import FakeClock

SECOND = 1_000_000_000
WINDOW = layout.SLOW_WINDOW // SECOND
# A moment at which a window begins.
START = 100.0 * WINDOW


def pack_row(
    *,
    ended: int,
    duration: int,
    path: bytes = b"/",
    sequence: int = 2,
    status: int = 200,
    version: int = 11,
    application: int = 5,
) -> bytes:
    lengths = int.from_bytes(bytes([3, 4, len(path), 4, version, 0]), "little") | status << 48
    words = struct.pack("=9Q", sequence, ended, duration, 1, application, 6, 0, 0, lengths)
    client = bytes([192, 0, 2, 9]).ljust(16, b"\0")
    texts = b"abc".ljust(32, b"\0") + b"POST".ljust(16, b"\0") + path.ljust(160, b"\0")
    return (words + client + texts).ljust(layout.SLOW_ROW_SIZE, b"\0")


class Board:
    """A scoreboard with a clock of its own, and workers that keep the slowest requests as an engine would."""

    def __init__(self) -> None:
        self.clock = FakeClock(START)
        self.scoreboard = Scoreboard.make(self.now)
        self.places: dict[int, int] = {}

    def now(self) -> int:
        return int(self.clock.now() * SECOND)

    def allot(self, child: int, slot: int = 1) -> None:
        self.places[child] = self.scoreboard.allot(child, slot, 1)
        self.scoreboard.note_pid(child, 100 + child)

    def write(self, child: int, row: int, data: bytes, window: int | None = None) -> None:
        number = self.now() // layout.SLOW_WINDOW if window is None else window
        os.pwrite(self.scoreboard.fd, data, self.row_at(child, number % 2, row))

    def row_at(self, child: int, table: int, row: int) -> int:
        return self.places[child] + layout.SLOWEST_AT + table * layout.SLOW_TABLE_SIZE + row * layout.SLOW_ROW_SIZE

    def end(self, child: int, row: int, duration: int, path: bytes = b"/") -> None:
        """Have a request of a worker end now that took so many seconds."""
        self.write(child, row, pack_row(ended=self.now(), duration=duration * SECOND, path=path))

    def begin(self, child: int, path: bytes, age: float) -> None:
        """Have a request in the application of a worker."""
        gauges = layout.offsets(layout.GAUGES, layout.GAUGES_AT)
        at = self.places[child]
        os.pwrite(self.scoreboard.fd, struct.pack("=Q", 1), at + gauges["in_flight"])
        lengths = int.from_bytes(bytes([2, 3, len(path), 0]), "little")
        row = struct.pack("=4Q", 2, self.now() - int(age * SECOND), 7, lengths) + bytes(16)
        row += b"id".ljust(32, b"\0") + b"GET".ljust(16, b"\0") + path
        os.pwrite(self.scoreboard.fd, row, at + layout.ROWS_AT)

    def read(self, limit: int = 100) -> SlowestReading:
        return self.scoreboard.read_slowest(limit)

    def paths(self, limit: int = 100) -> list[str]:
        return [request.path for request in self.read(limit).requests]


@pytest.fixture(name="board")
def fixture_board() -> Iterator[Board]:
    board = Board()
    yield board
    os.close(board.scoreboard.fd)


def test_all_is_told_of_a_request_that_has_ended(board: Board) -> None:
    board.allot(1, slot=3)
    row = pack_row(ended=board.now(), duration=4 * SECOND, path="/\u00e4".encode(), status=503, version=20)
    board.write(1, 7, row)
    board.clock.advance(2)
    (request,) = board.read().requests
    assert (request.method, request.path, request.client, request.id) == ("POST", "/\u00e4", "192.0.2.9", "abc")
    assert (request.status, request.protocol, request.is_lost, request.body_sent) == (503, "HTTP/2.0", False, 6)
    assert (request.duration, request.waited, request.application_time) == (4.0, 1e-9, 5e-9)
    assert (request.worker, request.pid, request.ended_for) == (3, 101, 2.0)


def test_slowest_of_all_workers_come_first_and_no_more_than_wanted(board: Board) -> None:
    for child, durations in ((1, (5, 1)), (2, (3, 9))):
        board.allot(child, slot=child)
        for row, duration in enumerate(durations):
            board.end(child, row, duration, f"/{duration}".encode())
    assert board.paths() == ["/9", "/5", "/3", "/1"]
    assert board.paths(2) == ["/9", "/5"]
    assert board.paths(0) == []


def test_request_is_known_for_the_window_that_it_ended_in_and_the_next(board: Board) -> None:
    board.allot(1)
    board.clock.advance(WINDOW - 1)
    board.end(1, 0, 8, b"/at-the-end")
    board.clock.advance(WINDOW)
    assert board.paths() == ["/at-the-end"]
    board.clock.advance(1)
    assert board.paths() == []


def test_rows_of_an_older_window_do_not_count_beside_those_that_took_their_table(board: Board) -> None:
    board.allot(1)
    board.end(1, 0, 8, b"/old")
    board.end(1, 1, 9, b"/older")
    board.clock.advance(2 * WINDOW)
    board.end(1, 0, 2, b"/new")
    assert board.paths() == ["/new"]


def test_time_that_is_covered_begins_with_a_window_or_the_server(board: Board) -> None:
    board.clock.advance(20)
    assert board.read().seconds == 20.0
    board.clock.advance(WINDOW)
    assert board.read().seconds == WINDOW + 20.0
    board.clock.advance(WINDOW)
    assert board.read().seconds == WINDOW + 20.0


def test_row_that_is_being_written_is_passed_over(board: Board) -> None:
    board.allot(1)
    board.write(1, 0, pack_row(ended=board.now(), duration=9, sequence=5, path=b"/torn"))
    board.write(1, 1, pack_row(ended=board.now(), duration=8, sequence=6, path=b"/whole"))
    assert board.paths() == ["/whole"]


def test_row_is_never_read_as_a_mixture_of_two(board: Board) -> None:
    board.allot(1)
    is_over = threading.Event()

    def scribble() -> None:
        at, sequence = board.row_at(1, 0, 0), 0
        while not is_over.is_set():
            kind = sequence // 2 % 2
            row = pack_row(ended=board.now(), duration=kind + 1, path=(b"a", b"b")[kind] * 160, sequence=sequence + 1)
            os.pwrite(board.scoreboard.fd, row[:8], at)
            # In two steps, so that a reader comes in between.
            os.pwrite(board.scoreboard.fd, row[8:200], at + 8)
            os.pwrite(board.scoreboard.fd, row[200:], at + 200)
            sequence += 2
            os.pwrite(board.scoreboard.fd, struct.pack("=Q", sequence), at)

    writer = threading.Thread(target=scribble)
    writer.start()
    try:
        seen: set[str] = set()
        for _ in range(100_000):
            seen |= {f"{request.duration * SECOND:.0f}{request.path}" for request in board.read().requests}
            if len(seen) > 1:
                break
    finally:
        is_over.set()
        writer.join()
    assert seen == {"1" + "a" * 160, "2" + "b" * 160}


def test_worker_that_has_ended_leaves_its_slowest_requests(board: Board) -> None:
    board.allot(1, slot=2)
    board.end(1, 0, 7, b"/kept")
    board.clock.advance(WINDOW)
    board.end(1, 3, 6, b"/kept-too")
    board.scoreboard.free(1)
    board.allot(2, slot=2)
    board.end(2, 0, 3, b"/successor")
    assert [(each.path, each.worker, each.pid) for each in board.read().requests] == [
        ("/kept", 2, 101),
        ("/kept-too", 2, 101),
        ("/successor", 2, 102),
    ]
    board.scoreboard.free(2)
    assert board.paths() == ["/kept", "/kept-too", "/successor"]
    board.clock.advance(WINDOW)
    assert board.paths() == ["/kept-too", "/successor"]


def test_request_that_ended_with_its_worker_is_among_them(board: Board) -> None:
    board.allot(1)
    board.begin(1, b"/stuck", 30.0)
    board.scoreboard.free(1)
    board.clock.advance(1)
    (request,) = board.read().requests
    assert (request.path, request.method, request.id, request.client) == ("/stuck", "GET", "id", "")
    assert (request.is_lost, request.status, request.duration, request.ended_for) == (True, 0, 30.0, 1.0)
    assert (request.worker, request.pid) == (1, 101)


def test_reader_takes_nothing_twice_while_workers_end(board: Board) -> None:
    """What moves from a worker to those that have ended is in one place, whenever it is looked for."""
    is_over = threading.Event()
    trouble: list[list[str]] = []

    def watch() -> None:
        while not is_over.is_set():
            paths = board.paths(1_000)
            if len(paths) != len(set(paths)):
                trouble.append(paths)

    board.allot(1)
    reader = threading.Thread(target=watch)
    reader.start()
    try:
        for child in range(1, 60):
            board.end(child, 0, child, f"/{child}".encode())
            board.allot(child + 1)
            board.scoreboard.free(child)
    finally:
        is_over.set()
        reader.join()
    assert trouble == []
    assert board.paths() == [f"/{child}" for child in range(59, 59 - layout.SLOW_ROWS, -1)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 50), st.integers(0, WINDOW - 1)), max_size=layout.SLOW_ROWS), max_size=6
    ),
    st.sets(st.integers(0, 5)),
)
def test_sixteen_slowest_are_those_of_all_workers(workers: list[list[tuple[int, int]]], ended: set[int]) -> None:
    """However many workers have them, and whichever of these have ended since."""
    board = Board()
    try:
        # Some ended in the present window, and some in the one before.
        board.clock.advance(WINDOW * 1.5)
        for child, requests in enumerate(workers):
            board.allot(child + 1)
            for row, (duration, ago) in enumerate(requests):
                then = board.now() - ago * SECOND
                path = f"/{child}/{row}".encode()
                data = pack_row(ended=then, duration=duration * SECOND, path=path)
                board.write(child + 1, row, data, window=then // layout.SLOW_WINDOW)
        for child in ended & set(range(len(workers))):
            board.scoreboard.free(child + 1)
        truth = sorted((duration for requests in workers for duration, _ in requests), reverse=True)
        found = [int(request.duration) for request in board.read(layout.SLOW_ROWS).requests]
        assert found == truth[: layout.SLOW_ROWS]
    finally:
        os.close(board.scoreboard.fd)


def test_no_more_is_kept_of_a_window_than_there_is_room_for() -> None:
    now = int(START) * SECOND
    rows = [pack_row(ended=now, duration=number) for number in range(1, 40)]
    places = dict(choose_rows(rows, now))
    assert sorted(places) == [row * layout.SLOW_ROW_SIZE for row in range(layout.SLOW_ROWS)]
    assert places[0] == rows[-1]
