"""The record of one run: raw figures, and where they were measured; written to and read from JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.statistic import Spread, compare, summarize


@dataclass(frozen=True, slots=True)
class Measurement:
    """One server in one scenario and round.

    Attributes:
        scenario: key of the scenario.
        entry: key of the row.
        number: the round, from 1.
        requests: answered requests, those of loads beside included.
        cpu_us: processor time of the server's processes per request, in microseconds.
        rate: requests per second of the reported load.
        p50_us: median latency of the reported load, in microseconds.
        p99_us: 99th percentile of it.
        errors: failed connections, reads and writes, wrong statuses and timeouts.
        tree_pss: memory of all processes at the end, in bytes.
        worker_pss: memory of the process that did the work, in bytes.
        processes: how many processes the server had.
        foreign_share: what others used of the server's processor meanwhile, from 0 to 1.
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


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that gave no figures, and why."""

    scenario: str
    entry: str
    reason: str


@dataclass(frozen=True, slots=True)
class Method:
    """How a run was made: rounds, seconds of warm-up and of measurement, and the processors used."""

    rounds: int
    warm_up: int
    seconds: int
    server_cpu: int
    load_cpu: int


@dataclass(slots=True)
class Record:
    """All of one run."""

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    method: Method
    measurements: list[Measurement] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def rounds(self, scenario: str, entry: str, figure: Callable[[Measurement], float]) -> dict[int, float]:
        """Give one figure of one row by round."""
        return {
            item.number: figure(item) for item in self.measurements if (item.scenario, item.entry) == (scenario, entry)
        }

    def spread(self, scenario: str, entry: str, figure: Callable[[Measurement], float]) -> Spread | None:
        """Give the median and the range of one figure of one row, or None where it was not measured."""
        values = list(self.rounds(scenario, entry, figure).values())
        return summarize(values) if values else None

    def ratio(self, scenario: str, entry: str, other: str, figure: Callable[[Measurement], float]) -> Spread | None:
        """Divide one figure of a row by that of another row, round by round."""
        return compare(self.rounds(scenario, entry, figure), self.rounds(scenario, other, figure))

    def failure(self, scenario: str, entry: str) -> str:
        """Give the reason why a row has no figures, or nothing."""
        reasons = (item.reason for item in self.failures if (item.scenario, item.entry) == (scenario, entry))
        return next(reasons, "")

    def dump(self) -> str:
        """Write the record as JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"


def load_record(path: Path) -> Record:
    """Read a record that `Record.dump` has written."""
    fields = json.loads(path.read_text())
    return Record(
        date=fields["date"],
        machine=fields["machine"],
        versions=fields["versions"],
        method=Method(**fields["method"]),
        measurements=[Measurement(**item) for item in fields["measurements"]],
        failures=[Failure(**item) for item in fields["failures"]],
    )
