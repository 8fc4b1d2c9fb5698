"""The command line of the benchmarks: `python -m bench`."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.command import add_processors, run_program
from bench.errors import BenchError
from bench.machine import check_processors, check_tools, load_machine, load_versions, raise_file_limit
from bench.measure import Trial, measure
from bench.peers import build_peers, is_ready
from bench.plot import render_plot
from bench.report import insert_summary, render_markdown, render_summary, render_table
from bench.result import UNABLE, Failure, Method, Record, Run, load_record
from bench.scenario import BY_NAME, GROUPS, SCENARIOS, Scenario
from bench.server import BY_KEY, SERVERS, Places

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-bench"
FULL = {"rounds": 3, "warm_up": 1, "seconds": 3}
QUICK = {"rounds": 1, "warm_up": 1, "seconds": 1}


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare Hostler with its peers, one worker each, side by side in one run.",
        epilog="A run writes docs/benchmarks.{md,json,svg}: its scenarios replace those of earlier runs there, the "
        "others stay, each with its own date and versions. A quick run, or one of some servers only, just prints, "
        "unless --output says where to write. The exit status is 1 where a row gave no figures that should have.",
    )
    parser.add_argument("--setup", action="store_true", help="install the peers into .venv-bench and stop")
    parser.add_argument("--list", action="store_true", help="name the scenarios and servers and stop")
    parser.add_argument(
        "--render", action="store_true", help="measure nothing: write the pages anew from the saved figures"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of one second each: to try things, not to quote"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME[,...]",
        help=f"only these scenarios, by name or by group: {', '.join(GROUPS)}",
    )
    parser.add_argument("--servers", action="append", default=[], metavar="NAME[,...]", help="only these servers")
    parser.add_argument("--rounds", type=_positive, help=f"rounds (default {FULL['rounds']})")
    parser.add_argument("--seconds", type=_positive, help=f"seconds of each measurement (default {FULL['seconds']})")
    add_processors(parser)
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write the pages and figures")
    parser.add_argument("--readme", action="store_true", help="also put a summary into README.md between its markers")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    options = build_parser().parse_args(arguments)
    return run_program(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    scenarios = select_scenarios(options.only)
    servers = select_servers(options.servers)
    if options.list:
        for group in GROUPS:
            print(f"{group}:", *(scenario.key for scenario in SCENARIOS if scenario.group == group))
        print("servers:", *(server.key for server in SERVERS))
        return 0
    if options.render:
        directory = options.output or ROOT / "docs"
        _write_pages(load_record(directory / "benchmarks.json"), directory, readme=options.readme)
        return 0
    if options.setup or not is_ready(PEERS):
        print(f"installing the peers into {PEERS.name} (some are compiled)", file=sys.stderr)
        build_peers(PEERS)
        if options.setup:
            return 0
    check_tools()
    check_processors(options.server_cpu, options.load_cpu)
    run = _measure_all(options, scenarios, servers)
    # Rows measured for a second only, or without their peers, would stand beside others as if they were comparable.
    quotable = not (options.servers or options.quick)
    directory = options.output or (ROOT / "docs" if quotable else None)
    if directory is not None:
        _write_pages(load_record(directory / "benchmarks.json").merge(run), directory, readme=options.readme)
    for fault in run.faults():
        print(f"no figures: {fault.scenario}: {fault.entry}: {fault.reason}", file=sys.stderr)
    return 1 if run.faults() else 0


def select_scenarios(names: Sequence[str]) -> list[Scenario]:
    """Choose scenarios by comma-separated names, their own or those of groups; none given means all."""
    chosen = [name for part in names for name in part.split(",")]
    for name in chosen:
        if name not in BY_NAME and name not in GROUPS:
            raise BenchError(f"no scenario {name!r}; there are: {', '.join([*GROUPS, *BY_NAME])}")
    found = [scenario for name in chosen for scenario in SCENARIOS if name in {scenario.key, scenario.group}]
    return list(dict.fromkeys(found)) if chosen else list(SCENARIOS)


def select_servers(names: Sequence[str]) -> frozenset[str]:
    """Choose servers by comma-separated names; none given means all."""
    chosen = [name for part in names for name in part.split(",")]
    for name in chosen:
        if name not in BY_KEY:
            raise BenchError(f"no server {name!r}; there are: {', '.join(BY_KEY)}")
    return frozenset(chosen or BY_KEY)


def _measure_all(options: argparse.Namespace, scenarios: list[Scenario], servers: frozenset[str]) -> Run:
    defaults = QUICK if options.quick else FULL
    method = Method(
        rounds=options.rounds or defaults["rounds"],
        warm_up=defaults["warm_up"],
        seconds=options.seconds or defaults["seconds"],
        server_cpu=options.server_cpu,
        load_cpu=options.load_cpu,
    )
    # This program itself must not take time from the server that it measures.
    os.sched_setaffinity(0, {method.load_cpu})
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="hostler-bench-") as scratch:
        places = Places(ROOT, PEERS, Path(scratch))
        date = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
        run = Run(date, load_machine(), load_versions(places), method)
        for scenario in scenarios:
            _measure_scenario(scenario, servers, run, places)
            print(f"\n{scenario.title}\n{render_table(Record([run]), scenario)}", flush=True)
    return run


def _measure_scenario(scenario: Scenario, servers: frozenset[str], run: Run, places: Places) -> None:
    """Measure all rows of a scenario in rounds, so that a drift of the machine meets them all alike."""
    rows = [entry for entry in scenario.entries if entry.server in servers]
    for number in range(1, run.method.rounds + 1):
        for entry in list(rows):
            print(f"{scenario.key}: round {number} of {run.method.rounds}: {entry.title}", file=sys.stderr, flush=True)
            if not _measure_row(Trial(scenario, entry, number, run.method, places), run):
                rows.remove(entry)


def _measure_row(trial: Trial, run: Run) -> bool:
    """Measure one row; false where it gave no figures, which is noted with the reason."""
    scenario, entry = trial.scenario.key, trial.entry.key
    try:
        measurement = measure(trial)
    except BenchError as error:
        print(f"  {error}", file=sys.stderr)
        run.failures.append(Failure(scenario, entry, str(error)))
        return False
    if measurement is None:
        run.failures.append(Failure(scenario, entry, UNABLE))
        return False
    run.measurements.append(measurement)
    return True


def _write_pages(record: Record, directory: Path, *, readme: bool) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "benchmarks.json").write_text(record.dump())
    (directory / "benchmarks.md").write_text(render_markdown(record))
    (directory / "benchmarks.svg").write_text(render_plot(record))
    print(f"written: {directory}/benchmarks.md, .json, .svg", file=sys.stderr)
    if readme:
        page = ROOT / "README.md"
        page.write_text(insert_summary(page.read_text(), render_summary(record)))
        print(f"summary put into {page.name}", file=sys.stderr)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number
