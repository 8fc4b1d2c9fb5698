"""The curve of overload: what becomes of the answers when more requests arrive than a server can serve.

`python -m bench.overload` measures Hostler with and without shedding beside its peers, one worker each, and writes the
table of docs/overload.md. It takes about six minutes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.apps.work import SECONDS
from bench.arrivals import Arrivals, run_arrivals
from bench.cli import PEERS, ROOT
from bench.command import add_processors, end_politely, run_program
from bench.errors import BenchError
from bench.load import Load
from bench.machine import SEARCH_PATH, check_processors, load_machine, load_versions, raise_file_limit
from bench.measure import run_server
from bench.peers import build_peers, is_ready
from bench.probe import check_answer, wait_until_served
from bench.server import (
    Case,
    Places,
    build_granian,
    build_granian_asgi,
    build_gunicorn_gthread,
    build_gunicorn_sync,
    build_hostler,
    build_hostler_uvloop,
    build_uvicorn,
    find_port,
)

PAGE = ROOT / "docs" / "overload.md"
BEGIN = "<!-- curve:begin -->"
END = "<!-- curve:end -->"
EXPECTED = b"Hello, world!"

CAPACITY = 1 / SECONDS
LOADS = (0.5, 0.9, 1.2, 1.5, 2.0, 2.5)
# How long somebody waits for an answer that is still of use (arbitrary).
PATIENCE = 1.0
SHEDDING = ("--overload-target", "50ms")
PEER_PACKAGES = ("gunicorn", "granian", "uvicorn", "uvloop")


@dataclass(frozen=True, slots=True)
class Row:
    """One server of the comparison: its title, how it is started, the application, threads, further arguments."""

    title: str
    build: Callable[[Case], list[str] | None]
    app: str
    threads: int = 1
    options: tuple[str, ...] = ()


ROWS = (
    Row("Hostler WSGI, shedding", build_hostler, "work", options=SHEDDING),
    Row("Hostler WSGI", build_hostler, "work"),
    Row("Gunicorn sync", build_gunicorn_sync, "work"),
    Row("Gunicorn gthread, 4 threads", build_gunicorn_gthread, "work", 4),
    Row("Granian WSGI", build_granian, "work"),
    Row("Hostler ASGI, shedding", build_hostler_uvloop, "work_asgi", options=SHEDDING),
    Row("Hostler ASGI", build_hostler_uvloop, "work_asgi"),
    Row("Granian ASGI", build_granian_asgi, "work_asgi"),
    Row("Uvicorn", build_uvicorn, "work_asgi"),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One load on one server."""

    row: Row
    load: float
    arrivals: Arrivals

    def cells(self) -> list[str]:
        """Give the figures as a row of a table."""
        arrivals = self.arrivals
        useful = arrivals.count_useful(PATIENCE) / arrivals.seconds / CAPACITY
        total = len(arrivals.answers)
        lost = total - arrivals.count(200) - arrivals.count(503)
        times = (_show_time(arrivals.percentile(share)) for share in (0.5, 0.99))
        return [
            f"{self.load:.1f}",
            *times,
            f"{useful:.0%}",
            f"{arrivals.count(503) / total:.0%}",
            f"{lost / total:.0%}",
        ]


def measure_row(row: Row, places: Places, seconds: float, cpu: int) -> list[Point]:
    """Start a server and put every load on it, one after the other, each once the one before is worked off.

    Errors:
        BenchError: the server did not start, or cannot do what is asked.
    """
    case = Case(row.app, row.threads, access_log=False, port=find_port(), places=places)
    command = row.build(case)
    if command is None:
        raise BenchError(f"{row.title} cannot be started with {row.threads} threads")
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    environment = {**kept, "PATH": SEARCH_PATH, "PYTHONPATH": str(places.root)}
    output = places.scratch / f"{case.port}.out"
    with run_server([*command, *row.options], environment, output, places.root, cpu) as process:
        wait_until_served(process, lambda: check_answer(case.port, Load(1, closes=True), EXPECTED))
        run_arrivals("127.0.0.1", case.port, CAPACITY / 2, 0.5)
        return [_measure_point(row, case.port, load, seconds, process) for load in LOADS]


def _measure_point(row: Row, port: int, load: float, seconds: float, process: subprocess.Popen[bytes]) -> Point:
    point = Point(row, load, run_arrivals("127.0.0.1", port, load * CAPACITY, seconds))
    if process.poll() is not None:
        raise BenchError(f"{row.title} has ended under a load of {load:.1f}")
    print(f"{row.title:30}", *(f"{cell:>8}" for cell in point.cells()), file=sys.stderr, flush=True)
    return point


def write_table(points: Sequence[Point], machine: dict[str, str], versions: dict[str, str], seconds: float) -> str:
    """Build what stands on the page between the markers."""
    date = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
    shown = ", ".join(f"{name} {versions[name]}" for name in ("hostler", *PEER_PACKAGES) if name in versions)
    method = (
        f"Measured on {date}: {machine['processor']}, {machine['system']}, Python {machine['python']}; {shown}. "
        f"{seconds:.0f} s for each load. The load of the machine was {machine['load']}: what ran beside it took its "
        "part of both processors, so that ratios within the table say more than its absolute figures."
    )
    head = ["| server | load | p50 | p99 | useful | 503 | no answer |", "|---|---:|---:|---:|---:|---:|---:|"]
    lines = [method, "", *head]
    lines += [f"| {' | '.join([point.row.title, *point.cells()])} |" for point in points]
    return "\n".join(lines)


def place_table(page: str, table: str) -> str:
    """Replace what stands between the two markers of the page.

    Errors:
        BenchError: the page does not have both markers, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BenchError(f"{PAGE.name} lacks the markers {BEGIN} and {END}; add them where the table belongs")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _show_time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if math.isfinite(seconds) else "-"


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description="Measure the curve of overload.")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each load lasts (default 3)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only servers whose title has this; just prints")
    add_processors(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    options = build_parser().parse_args(arguments)
    return run_program(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    check_processors(options.server_cpu, options.load_cpu)
    if not is_ready(PEERS):
        build_peers(PEERS)
    os.sched_setaffinity(0, {options.load_cpu})
    raise_file_limit()
    points: list[Point] = []
    with tempfile.TemporaryDirectory(prefix="hostler-overload-") as scratch:
        places = Places(ROOT, PEERS, Path(scratch))
        machine, versions = load_machine(), load_versions(places)
        for row in ROWS:
            if options.only in row.title:
                points += measure_row(row, places, options.seconds, options.server_cpu)
    if not options.only:
        table = write_table(points, machine, versions, options.seconds)
        PAGE.write_text(place_table(PAGE.read_text(), table))
    return 0


if __name__ == "__main__":
    end_politely()
    sys.exit(main())
