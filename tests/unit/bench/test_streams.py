"""The summary and the log of h2load, and what makes them worthless."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load import LoadResult, check_result
from bench.streams import StreamLoad, build_stream_command, parse_stream_result

SUMMARY = """\
starting benchmark...
Application protocol: {protocol}
finished in {seconds}, 250.00 req/s, 10.12MB/s
requests: 600 total, 632 started, {done} done, 490 succeeded, 10 failed, 3 errored, 1 timeout
status codes: 494 2xx, 1 3xx, 2 4xx, 4 5xx
traffic: 48.83KB (50000) total, 31.74KB (32500) headers (space savings 50.51%), 6.35KB ({size}) data
                     min         max         mean         sd        +/- sd
time for request:       52us     10.65ms       794us       374us    86.58%
"""
LOG = "1700000000000000\t200\t900\n1700000000000000\t-1\t1\n1700000000000050\t200\t100\n1700000000000060\t500\t250\n"


def write_summary(protocol: str = "h2c", seconds: str = "2.00s", done: int = 500, size: int = 6500) -> str:
    return SUMMARY.format(protocol=protocol, seconds=seconds, done=done, size=size)


def test_result_is_read_from_the_summary_and_its_latency_from_the_log() -> None:
    assert parse_stream_result(write_summary(), LOG, tls=False) == LoadResult(
        requests=500, seconds=2.0, size=6500, p50_us=250, p99_us=900, errors=3, wrong=7
    )


@pytest.mark.parametrize("text, seconds", [("1.50s", 1.5), ("850.25ms", 0.85025), ("900us", 0.0009)])
def test_duration_is_read_in_every_unit(text: str, seconds: float) -> None:
    assert parse_stream_result(write_summary(seconds=text), LOG, tls=False).seconds == pytest.approx(seconds)


@pytest.mark.parametrize("protocol, tls", [("http/1.1", True), ("h2c", True), ("h2", False)])
def test_load_that_has_spoken_something_else_is_refused(protocol: str, tls: bool) -> None:
    with pytest.raises(BenchError, match=f"spoke {protocol} "):
        parse_stream_result(write_summary(protocol=protocol), LOG, tls=tls)


def test_output_without_a_summary_shows_its_end() -> None:
    with pytest.raises(BenchError, match="Connection refused"):
        parse_stream_result("starting benchmark...\nunable to connect: Connection refused\n", "", tls=False)


@pytest.mark.parametrize(
    "summary, message",
    [
        (write_summary(), "7 of 500 requests with an error status"),
        (write_summary(done=0), "no request"),
        (write_summary(size=6499).replace("1 3xx, 2 4xx, 4 5xx", "0 3xx, 0 4xx, 0 5xx"), "6499 bytes for 500 answers"),
    ],
)
def test_worthless_result_is_refused_as_that_of_every_load(summary: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        check_result(parse_stream_result(summary, LOG, tls=False), expected_size=13)


def test_command_pins_and_bounds_the_load() -> None:
    command = build_stream_command(StreamLoad(8, 16, "/a", tls=True), port=8000, seconds=3, cpu=1, log=Path("/log"))
    assert command[:4] == ["taskset", "-c", "1", "h2load"]
    assert command[command.index("--clients") + 1] == "8"
    assert command[command.index("--max-concurrent-streams") + 1] == "16"
    assert command[command.index("--duration") + 1] == "3"
    assert command[-2:] == ["--log-file=/log", "https://127.0.0.1:8000/a"]
