"""The result line of wrk, and what makes a result worthless."""

from __future__ import annotations

import dataclasses

import pytest

from bench.errors import BenchError
from bench.load import Load, LoadResult, build_command, check_result, parse_result

LINE = (
    'RESULT {"requests":500,"duration_us":2000000,"bytes":60000,"p50_us":250.5,"p99_us":900.0,"max_us":1200.0,'
    '"connect_errors":1,"read_errors":2,"write_errors":4,"status_errors":64,"timeouts":8}\n'
)
GOOD = LoadResult(requests=500, seconds=2.0, size=60000, p50_us=250.5, p99_us=900.0, errors=15, wrong=0)


def test_result_is_found_among_the_other_output() -> None:
    result = parse_result(f"Running 2s test @ http://127.0.0.1:1/\n  1 threads and 8 connections\n{LINE}")
    assert result == dataclasses.replace(GOOD, wrong=64)
    assert result.rate == 250.0


def test_output_without_a_result_shows_its_end() -> None:
    with pytest.raises(BenchError, match="Connection refused"):
        parse_result("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_good_result_passes() -> None:
    check_result(GOOD, expected_size=120)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"requests": 0}, "no request"),
        ({"wrong": 3}, "3 of 500 requests with an error status"),
        ({"size": 59_999}, "59999 bytes for 500 answers of 120"),
    ],
)
def test_worthless_result_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        check_result(dataclasses.replace(GOOD, **change), expected_size=120)


def test_command_pins_and_bounds_the_load() -> None:
    command = build_command(Load(64, "POST", 16384, "/slow"), port=8000, seconds=3, cpu=1)
    assert command[:4] == ["taskset", "-c", "1", "wrk"]
    assert command[command.index("--connections") + 1] == "64"
    assert command[command.index("--duration") + 1] == "3s"
    assert command[-4:] == ["http://127.0.0.1:8000/slow", "--", "POST", "16384"]
