"""The record: raw figures of one run or several, each with where and when it was made; written to and read from JSON.

A scenario belongs to one run: all of its rows were measured in turns, on one machine, so their ratios mean something.
A run of some scenarios only replaces those in the record and leaves the others with the date and versions of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.statistic import Spread, compare, summarize

Figure = Callable[["Measurement"], float]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One server in one scenario and round.

    Attributes:
        scenario: key of the scenario.
        entry: key of the row.
        number: the round, from 1.
        requests: answered requests (or messages, or opened connections), those of loads beside included.
        cpu_us: processor time of the server's processes per request, in microseconds.
        rate: requests per second of the reported load.
        p50_us: median latency of the reported load, in microseconds.
        p99_us: 99th percentile of it.
        errors: failed connections, reads and writes, wrong statuses and timeouts.
        tree_pss: memory of all processes at the end, in bytes.
        worker_pss: memory of the process that did the work, in bytes.
        processes: how many processes the server had.
        foreign_share: what others used of the server's processor meanwhile, from 0 to 1.
        connection_pss: memory of that process that each idle connection added, in bytes; 0 where none were held.
        deflated: how many connections permessage-deflate was agreed on for.
    """

    scenario: str
    entry: str
    number: int
    requests: int
    cpu_us: float
    rate: float
    p50_us: float
    p99_us: float
    errors: int
    tree_pss: int
    worker_pss: int
    processes: int
    foreign_share: float
    connection_pss: float = 0.0
    deflated: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that gave no figures, and why."""

    scenario: str
    entry: str
    reason: str


# The reason of a row that never was to give figures; everything else is a fault that somebody has to look at.
UNABLE = "cannot do this"


@dataclass(frozen=True, slots=True)
class Method:
    """How a run was made: rounds, seconds of warm-up and of measurement, and the processors used."""

    rounds: int
    warm_up: int
    seconds: int
    server_cpu: int
    load_cpu: int


@dataclass(slots=True)
class Run:
    """One run: when, where, of what and how, and its figures."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    method: Method
    measurements: list[Measurement] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def scenarios(self) -> set[str]:
        """Name the scenarios that it has tried."""
        return {item.scenario for item in self.measurements} | {item.scenario for item in self.failures}

    def without(self, scenarios: set[str]) -> Run:
        """Give the same run without some scenarios."""
        return replace(
            self,
            measurements=[item for item in self.measurements if item.scenario not in scenarios],
            failures=[item for item in self.failures if item.scenario not in scenarios],
        )

    def faults(self) -> list[Failure]:
        """List the rows that should have given figures and did not."""
        return [item for item in self.failures if item.reason != UNABLE]


@dataclass(slots=True)
class Record:
    """All runs whose figures stand, the oldest first; no scenario is in two of them."""

    runs: list[Run] = field(default_factory=list)

    def merge(self, run: Run) -> Record:
        """Put a newer run into the record: it replaces the scenarios that it has tried."""
        kept = [older.without(run.scenarios()) for older in self.runs]
        return Record([*(older for older in kept if older.scenarios()), run])

    def run_of(self, scenario: str) -> Run | None:
        """Find the run that a scenario was measured in."""
        return next((run for run in self.runs if scenario in run.scenarios()), None)

    def measurements(self) -> Iterable[Measurement]:
        """Walk through the figures of all runs."""
        return (item for run in self.runs for item in run.measurements)

    def rounds(self, scenario: str, entry: str, figure: Figure) -> dict[int, float]:
        """Give one figure of one row by round."""
        return {
            item.number: figure(item)
            for item in self.measurements()
            if (item.scenario, item.entry) == (scenario, entry)
        }

    def spread(self, scenario: str, entry: str, figure: Figure) -> Spread | None:
        """Give the median and the range of one figure of one row, or None where it was not measured."""
        values = list(self.rounds(scenario, entry, figure).values())
        return summarize(values) if values else None

    def ratio(self, scenario: str, entry: str, other: str, figure: Figure) -> Spread | None:
        """Divide one figure of a row by that of another row, round by round."""
        return compare(self.rounds(scenario, entry, figure), self.rounds(scenario, other, figure))

    def failure(self, scenario: str, entry: str) -> str:
        """Give the reason why a row has no figures, or nothing."""
        failures = (item for run in self.runs for item in run.failures)
        return next((item.reason for item in failures if (item.scenario, item.entry) == (scenario, entry)), "")

    def dump(self) -> str:
        """Write the record as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"


def load_record(path: Path) -> Record:
    """Read a record that `Record.dump` has written; where there is no file, an empty one."""
    return Record([_build_run(fields) for fields in json.loads(path.read_text())["runs"]] if path.exists() else [])


def _build_run(fields: dict[str, Any]) -> Run:
    return Run(
        date=fields["date"],
        machine=fields["machine"],
        versions=fields["versions"],
        method=Method(**fields["method"]),
        measurements=[Measurement(**item) for item in fields["measurements"]],
        failures=[Failure(**item) for item in fields["failures"]],
    )
