"""The figures of an open load, and the page that they go to."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest

from bench.apps.work import SECONDS
from bench.arrivals import Answer, Arrivals, run_arrivals
from bench.errors import BenchError
from bench.overload import BEGIN, END, ROWS, Point, place_table, write_table


def test_percentiles_are_those_of_answers_that_were_served() -> None:
    times = [Answer(seconds / 100, 200) for seconds in range(1, 101)]
    arrivals = Arrivals([*times, Answer(0.001, 503), Answer(10.0, 0)], 1)
    assert arrivals.percentile(0.5) == 0.5
    assert arrivals.percentile(0.99) == 0.99
    assert (arrivals.count(200), arrivals.count(503), arrivals.count(0)) == (100, 1, 1)
    assert arrivals.count_useful(0.25) == 25
    assert Arrivals([Answer(0.001, 503)], 1).percentile(0.5) == math.inf


def test_table_takes_its_place_on_the_page() -> None:
    arrivals = Arrivals([Answer(0.060, 200)] * 3 + [Answer(0.001, 503)], seconds=4 * SECONDS)
    machine = {"processor": "p", "system": "s", "python": "CPython 3", "load": "0.10 at the start"}
    table = write_table([Point(ROWS[0], 2.0, arrivals)], machine, {"hostler": "1"}, 3)
    assert "| Hostler WSGI, shedding | 2.0 | 60 ms | 60 ms | 75% | 25% | 0% |" in table
    page = place_table(f"before\n{BEGIN}\nold\n{END}\nafter", table)
    assert page == f"before\n{BEGIN}\n{table}\n{END}\nafter"
    with pytest.raises(BenchError, match="lacks the markers"):
        place_table("no markers", table)


def test_requests_arrive_whether_earlier_ones_were_answered_or_not() -> None:
    """A server that answers nothing before the last request has come."""
    count, ports, done = 5, list[int](), threading.Event()

    async def serve() -> None:
        waiting = asyncio.Barrier(count)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await waiting.wait()
            writer.write(b"HTTP/1.1 503 Later\r\nRetry-After: 1\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            is_up.set()
            await asyncio.to_thread(done.wait)

    is_up = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(10)
        found = run_arrivals("127.0.0.1", ports[0], rate=100, seconds=count / 100)
    finally:
        done.set()
        thread.join()
    assert [(answer.status, answer.retry_after) for answer in found.answers] == [(503, True)] * count
