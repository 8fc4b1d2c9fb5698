"""The load: one request shape, driven by wrk, and what wrk says of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

SCRIPT = Path(__file__).with_name("load.lua")
MARK = "RESULT "
# How long wrk may take beyond its own duration before it is given up: it waits for nothing once its time is over.
GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """One shape of requests.

    Attributes:
        connections: how many keep-alive connections ask at the same time.
        method: the request method.
        body_size: bytes of the request body.
        path: the request target.
        tls: whether it comes over TLS.
        closes: whether each request has a connection of its own.
    """

    connections: int
    method: str = "GET"
    body_size: int = 0
    path: str = "/"
    tls: bool = False
    closes: bool = False

    @property
    def scheme(self) -> str:
        """The scheme of its URL."""
        return "https" if self.tls else "http"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What wrk counted in one run.

    Attributes:
        requests: answers, whatever their status.
        seconds: how long it ran.
        size: bytes read.
        p50_us: median latency, in microseconds.
        p99_us: 99th percentile of the latency, in microseconds.
        errors: failed connections, reads and writes, and timeouts.
        wrong: answers with a status of 400 or more.
    """

    requests: int
    seconds: float
    size: int
    p50_us: float
    p99_us: float
    errors: int
    wrong: int

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def build_command(load: Load, port: int, seconds: int, cpu: int) -> list[str]:
    """Build the command that sends `load` to a port of this machine for whole seconds from one processor."""
    return [
        *("taskset", "-c", str(cpu), "wrk", "--threads", "1", "--connections", str(load.connections)),
        *("--duration", f"{seconds}s", "--timeout", "10s", "--script", str(SCRIPT)),
        *(f"{load.scheme}://127.0.0.1:{port}{load.path}", "--", load.method, str(load.body_size)),
        *(["close"] if load.closes else []),
    ]


def parse_result(output: str) -> LoadResult:
    """Read the line that `load.lua` prints at the end."""
    for line in output.splitlines():
        if line.startswith(MARK):
            fields = json.loads(line.removeprefix(MARK))
            return LoadResult(
                requests=fields["requests"],
                seconds=fields["duration_us"] / 1e6,
                size=fields["bytes"],
                p50_us=fields["p50_us"],
                p99_us=fields["p99_us"],
                errors=sum(fields[name] for name in ("connect_errors", "read_errors", "write_errors", "timeouts")),
                wrong=fields["status_errors"],
            )
    raise BenchError(f"wrk printed no result: {output.strip()[-200:]!r}")


def check_result(result: LoadResult, expected_size: int) -> None:
    """Make sure that what was counted were the answers that were asked for.

    Args:
        result: what wrk counted.
        expected_size: bytes of the body of a right answer.

    Errors:
        BenchError: nothing was answered, or with errors, or with less than the whole body.
    """
    if not result.requests:
        raise BenchError("answered no request within the time of the measurement")
    if result.wrong:
        raise BenchError(f"answered {result.wrong} of {result.requests} requests with an error status")
    if result.size < result.requests * expected_size:
        raise BenchError(f"sent {result.size} bytes for {result.requests} answers of {expected_size} bytes")


def run_loads(loads: list[Load], port: int, seconds: int, cpu: int) -> list[LoadResult]:
    """Send several loads at the same time and wait for all of them.

    Errors:
        BenchError: wrk failed, or is still running long after its duration.
    """
    running = [
        subprocess.Popen(
            build_command(load, port, seconds, cpu), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for load in loads
    ]
    try:
        return [parse_result(process.communicate(timeout=seconds + GRACE_SECONDS)[0]) for process in running]
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"wrk did not end within {GRACE_SECONDS:.0f} s after its duration") from error
    finally:
        for process in running:
            process.kill()
            process.wait()
