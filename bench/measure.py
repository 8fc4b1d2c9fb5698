"""One measurement: start a server, check it, warm it up, load it, read what it used, stop it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import BenchError
from bench.load import check_result, run_loads
from bench.machine import SEARCH_PATH
from bench.probe import check_answer, wait_until_served
from bench.process import TICKS_PER_SECOND, load_busy_seconds, load_memory, load_tree
from bench.result import Measurement, Method
from bench.scenario import Entry, Scenario
from bench.server import BY_KEY, Case, Places

STOP_SECONDS = 3.0


def measure(scenario: Scenario, entry: Entry, number: int, method: Method, places: Places) -> Measurement | None:
    """Measure one row of one scenario once.

    Args:
        scenario: the case.
        entry: the row.
        number: the round, for the record.
        method: durations and processors.
        places: directories for the server's command.

    Returns:
        The figures, or None where the server cannot do what the case asks.

    Errors:
        BenchError: the server did not start or answered wrongly, or wrk failed.
    """
    case = Case(scenario.app, entry.threads, entry.access_log, find_port(), places)
    command = BY_KEY[entry.server].build(case)
    if command is None:
        return None
    output = places.scratch / f"{entry.server}-{case.port}.out"
    with run_server(command, build_environment(places, scenario), output, places.root, method.server_cpu) as process:
        try:
            wait_until_served(process, case.port, scenario.load, scenario.expected)
            for load in scenario.beside:
                check_answer(case.port, load, scenario.expected)
            return _measure_running(process.pid, case.port, scenario, entry, number, method)
        except (BenchError, OSError) as error:
            raise BenchError(f"{error}{_quote_last_line(output, places)}") from error


def _quote_last_line(output: Path, places: Places) -> str:
    """Quote the end of what a server printed, without the directories of this machine."""
    lines = output.read_text(errors="replace").strip().splitlines()
    if not lines:
        return ""
    line = lines[-1].replace(str(places.root), ".").replace(str(places.scratch), ".")
    return f"; it said: {line[:200]}"


def _measure_running(pid: int, port: int, scenario: Scenario, entry: Entry, number: int, method: Method) -> Measurement:
    loads = [scenario.load, *scenario.beside]
    run_loads(loads, port, method.warm_up, method.load_cpu)
    started, busy, before = time.monotonic(), load_busy_seconds(method.server_cpu), load_tree(pid)
    results = run_loads(loads, port, max(method.seconds, scenario.least_seconds), method.load_cpu)
    after = load_tree(pid)
    busy = load_busy_seconds(method.server_cpu) - busy
    elapsed = time.monotonic() - started
    memory = load_memory(before, after)
    # A reaped child moves into the figure of its parent, so the sum over the tree never loses anybody's time.
    cpu = (sum(after.values()) - sum(before.values())) / TICKS_PER_SECOND
    for result in results:
        check_result(result, len(scenario.expected))
    requests = sum(result.requests for result in results)
    return Measurement(
        scenario=scenario.key,
        entry=entry.key,
        number=number,
        requests=requests,
        cpu_us=cpu / requests * 1e6,
        rate=results[0].rate,
        p50_us=results[0].p50_us,
        p99_us=results[0].p99_us,
        errors=sum(result.errors for result in results),
        tree_pss=memory.tree,
        worker_pss=memory.worker,
        processes=memory.processes,
        foreign_share=max(0.0, (busy - cpu) / elapsed),
    )


def find_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def build_environment(places: Places, scenario: Scenario) -> dict[str, str]:
    """Build the environment of a server: little, and the same for all.

    The framework comes from the peers' environment for every server, so that all run the same version of it.
    """
    path = [str(places.root)]
    if scenario.app.startswith("flask"):
        path += [str(packages) for packages in sorted(places.peers.glob("lib/python*/site-packages"))]
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": SEARCH_PATH, "PYTHONPATH": os.pathsep.join(path)}


@contextmanager
def run_server(
    command: list[str], environment: dict[str, str], output: Path, root: Path, cpu: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on one processor, in a process group of its own that is ended in every case.

    Args:
        command: the program and its arguments.
        environment: all of its environment.
        output: the file for what it prints.
        root: its working directory.
        cpu: the number of the processor.
    """
    with output.open("wb") as sink:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop_group(process)


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: politely, then without asking, the latter also if a signal interrupts the former."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
