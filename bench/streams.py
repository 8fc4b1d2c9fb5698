"""The load of an HTTP/2 scenario: requests at once on each connection, driven by h2load, and what it says of them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.load import GRACE_SECONDS, LoadResult
from bench.statistic import find_percentile

# In clear text, and agreed on by ALPN.
PROTOCOLS = {False: "h2c", True: "h2"}
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
# The lines of its summary that figures are taken from.
_PROTOCOL = re.compile(r"^Application protocol: (\S+)$", re.MULTILINE)
_FINISHED = re.compile(r"^finished in ([0-9.]+)(us|ms|s), ", re.MULTILINE)
_REQUESTS = re.compile(r"^requests: .*\b(\d+) done, .*\b(\d+) errored\b", re.MULTILINE)
# Those of heads: the bodies of the last ones may be missing, so that they are no count of answers.
_STATUSES = re.compile(r"^status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$", re.MULTILINE)
_BODIES = re.compile(r"^traffic: .*\((\d+)\) data$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """GET requests by HTTP/2.

    Attributes:
        connections: how many connections there are.
        streams: how many requests each of them has under way at the same time.
        path: the request target.
        tls: whether it comes over TLS, where HTTP/2 is agreed on by ALPN; else the client just begins with it.
    """

    connections: int
    streams: int
    path: str = "/"
    tls: bool = False

    def build_url(self, port: int) -> str:
        """Build its URL at a port of this machine."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{port}{self.path}"


def build_stream_command(load: StreamLoad, port: int, seconds: int, cpu: int, log: Path) -> list[str]:
    """Build the command that sends `load` for whole seconds from one processor; `log` gets a line per answer."""
    return [
        *("taskset", "-c", str(cpu), "h2load", "--threads", "1", "--clients", str(load.connections)),
        *("--max-concurrent-streams", str(load.streams), "--duration", str(seconds), f"--log-file={log}"),
        load.build_url(port),
    ]


def parse_stream_result(output: str, log: str, *, tls: bool) -> LoadResult:
    """Read the summary that h2load prints, and the time of each answer from its log.

    Args:
        output: what it printed.
        log: what it logged: start, status and microseconds per answer, the status being -1 where none came.
        tls: whether the load came over TLS.

    Errors:
        BenchError: it has no summary, or has not spoken HTTP/2.
    """
    protocol, wanted = _PROTOCOL.search(output), PROTOCOLS[tls]
    if protocol and protocol[1] != wanted:
        raise BenchError(f"spoke {protocol[1]} with h2load, not {wanted}")
    finished, counts = _FINISHED.search(output), _REQUESTS.search(output)
    statuses, bodies = _STATUSES.search(output), _BODIES.search(output)
    if not (protocol and finished and counts and statuses and bodies):
        raise BenchError(f"h2load printed no result: {output.strip()[-200:]!r}")
    times = sorted(_parse_times(log))
    return LoadResult(
        requests=int(counts[1]),
        seconds=float(finished[1]) * _UNITS[finished[2]],
        size=int(bodies[1]),
        p50_us=find_percentile(times, 50),
        p99_us=find_percentile(times, 99),
        errors=int(counts[2]),
        wrong=sum(int(count) for count in statuses.groups()),
    )


def _parse_times(log: str) -> list[int]:
    lines = (line.split("\t") for line in log.splitlines())
    return [int(microseconds) for _, status, microseconds, *_ in lines if status != "-1"]


def run_stream_load(load: StreamLoad, port: int, seconds: int, cpu: int) -> LoadResult:
    """Send a load and wait for its end.

    Errors:
        BenchError: h2load failed, or is still running long after its duration.
    """
    with tempfile.TemporaryDirectory(prefix="hostler-h2load-") as directory:
        log = Path(directory) / "answers"
        try:
            done = subprocess.run(
                build_stream_command(load, port, seconds, cpu, log),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds + GRACE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"h2load did not end within {GRACE_SECONDS:.0f} s after its duration") from error
        return parse_stream_result(done.stdout, log.read_text() if log.exists() else "", tls=load.tls)
