"""How much there is to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from hostler.contracts import Listener
from hostler.server.load import LoadMeter
from hostler.telemetry.reading import Counts, Reading, WorkerReading, WorkerState


def worker(child: int, state: WorkerState = "busy", *, in_flight: int = 0, used: float = 0.0) -> WorkerReading:
    return WorkerReading(
        child=child, pid=os.getpid(), slot=child, generation=1, state=state, age=100.0, threads=4, silent_for=None,
        connections_open=0, websockets_open=0, in_flight=in_flight, unshown=0, ready=1, buffered=0, busy_for=0.0,
        counts=Counts(responses_2xx=10, application_time=used), requests=(),
    )  # fmt: skip


def board(*readings: Reading) -> LoadMeter:
    left: Iterator[Reading] = iter(readings)
    return LoadMeter(lambda: next(left))


def reading(at: float, *workers: WorkerReading) -> Reading:
    return Reading(at, at, workers, Counts())


def test_busyness_is_of_threads_in_the_application() -> None:
    meter = board(reading(10, worker(1), worker(2)), reading(20, worker(1, used=20.0), worker(2, used=40.0)))
    load = meter.measure((), has_threads=True)
    # Two of four threads of one, all four of the other.
    assert load.busy == pytest.approx(0.75, abs=0.05)
    assert (load.requests, load.waiting) == (20, 2)


def test_threads_do_not_count_for_an_event_loop() -> None:
    meter = board(reading(10, worker(1)), reading(1000, worker(1, used=3000.0)))
    assert meter.measure((), has_threads=False).busy < 0.1


def test_processor_time_counts_of_who_was_there_before() -> None:
    meter = board(reading(10), reading(10, worker(1)), reading(10.000001, worker(1)))
    assert meter.measure((), has_threads=True).busy == 0.0
    while os.times().user + os.times().system < 0.05:
        sum(range(10_000))
    assert 0.0 <= meter.measure((), has_threads=True).busy <= 1.0


def test_workers_that_do_not_serve_are_left_out() -> None:
    meter = board(reading(10), reading(20, worker(1, "starting"), worker(2, "draining", in_flight=3)))
    load = meter.measure((), has_threads=True)
    assert (load.busy, load.waiting, load.in_flight) == (0.0, 0, 3)


def test_connections_in_the_kernels_queue_wait() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        listener = Listener(server.fileno(), "tcp", "127.0.0.1", port, f"http://127.0.0.1:{port}")
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        assert board(reading(10), reading(20)).measure((listener,), has_threads=True).waiting == 3
        for client in clients:
            client.close()
