"""One measurement: start a server, check it, warm it up, load it, read what it used, stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import BenchError
from bench.load import Load, LoadResult, check_result, run_loads
from bench.machine import SEARCH_PATH
from bench.messages import MessageLoad, build_program, open_messages
from bench.probe import START_SECONDS, check_answer, check_echo, check_stream, wait_until_served
from bench.process import Meter, Usage, load_sizes, load_tree
from bench.result import Measurement, Method
from bench.scenario import Entry, Scenario
from bench.server import BY_KEY, Case, Places, find_port
from bench.streams import StreamLoad, run_stream_load

STOP_SECONDS = 3.0
# Of what a server has printed before it failed; arbitrary.
QUOTED_LINES = 3
QUOTED_SIZE = 400
# Arbitrary: a few, so that they weigh nothing beside those that are counted.
FIRST_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement that is about to be made: a row of a scenario, the round, how, and directories for commands."""

    scenario: Scenario
    entry: Entry
    number: int
    method: Method
    places: Places

    @property
    def seconds(self) -> int:
        """How long to measure."""
        return max(self.method.seconds, self.scenario.least_seconds)


def measure(trial: Trial) -> Measurement | None:
    """Measure one row of one scenario once.

    Returns:
        The figures, or None where the server cannot do what the case asks.

    Errors:
        BenchError: the server did not start or answered wrongly, or the load failed.
    """
    scenario, entry, places = trial.scenario, trial.entry, trial.places
    load = scenario.load
    case = Case(
        entry.app or scenario.app,
        entry.threads,
        entry.access_log,
        find_port(),
        places,
        tls=not isinstance(load, MessageLoad) and load.tls,
        http2=isinstance(load, StreamLoad),
    )
    server = BY_KEY[entry.server]
    command = server.build(case)
    if command is None:
        return None
    if server.role == "alone":
        return _measure_alone(trial, command)
    output = places.scratch / f"{entry.server}-{case.port}.out"
    with run_server(
        command, build_environment(places, scenario), output, places.root, trial.method.server_cpu
    ) as process:
        try:
            wait_until_served(process, lambda: check_scenario(case.port, scenario))
            return _measure_running(trial, process.pid, case.port)
        except (BenchError, OSError) as error:
            raise BenchError(f"{error}{_quote_end(output.read_text(errors='replace'), places)}") from error


def check_scenario(port: int, scenario: Scenario) -> None:
    """Look at one answer to each of a scenario's loads.

    Errors:
        BenchError: one is wrong.
        OSError: there is none.
    """
    for load in (scenario.load, *scenario.beside):
        if isinstance(load, MessageLoad):
            check_echo(port, load.size, deflate=load.deflate)
        elif isinstance(load, StreamLoad):
            check_stream(port, load, scenario.expected)
        else:
            check_answer(port, load, scenario.expected)


def _quote_end(output: str, places: Places) -> str:
    """Quote the end of what a program printed, without the directories of this machine.

    The last line of a supervisor says that its worker has ended, one of those before it says why.
    """
    lines = output.strip().splitlines()[-QUOTED_LINES:]
    if not lines:
        return ""
    text = " | ".join(line.strip() for line in lines)
    text = text.replace(str(places.root), ".").replace(str(places.scratch), ".")
    return f"; it said: {text[-QUOTED_SIZE:]}"


def _measure_running(trial: Trial, pid: int, port: int) -> Measurement:
    load = trial.scenario.load
    if isinstance(load, StreamLoad):
        return _measure_streams(trial, load, pid, port)
    if not isinstance(load, MessageLoad):
        return _measure_requests(trial, [load, *trial.scenario.beside], pid, port)
    return _measure_held(trial, load, pid, port) if load.hold else _measure_messages(trial, load, pid, port)


def _measure_requests(trial: Trial, loads: list[Load], pid: int, port: int) -> Measurement:
    method = trial.method
    run_loads(loads, port, method.warm_up, method.load_cpu)
    meter = Meter(pid, method.server_cpu)
    results = run_loads(loads, port, trial.seconds, method.load_cpu)
    usage = meter.stop()
    for result in results:
        check_result(result, len(trial.scenario.expected))
    return _build_measurement(trial, usage, results)


def _measure_streams(trial: Trial, load: StreamLoad, pid: int, port: int) -> Measurement:
    method = trial.method
    run_stream_load(load, port, method.warm_up, method.load_cpu)
    meter = Meter(pid, method.server_cpu)
    result = run_stream_load(load, port, trial.seconds, method.load_cpu)
    usage = meter.stop()
    check_result(result, len(trial.scenario.expected))
    return _build_measurement(trial, usage, [result])


def _measure_messages(trial: Trial, load: MessageLoad, pid: int, port: int) -> Measurement:
    method = trial.method
    program = build_program(trial.places.root)
    with open_messages(program, load, port, method.warm_up, method.load_cpu) as messages:
        messages.exchange()
    with open_messages(program, load, port, trial.seconds, method.load_cpu) as messages:
        meter = Meter(pid, method.server_cpu)
        result = messages.exchange()
        usage = meter.stop()
    return replace(_build_measurement(trial, usage, [result]), deflated=messages.deflated)


def _measure_held(trial: Trial, load: MessageLoad, pid: int, port: int) -> Measurement:
    """Measure what idle connections hold, and what opening them and one message on each cost."""
    method = trial.method
    program = build_program(trial.places.root)
    # What the first connections bring about, imports for one, is not theirs.
    with open_messages(program, replace(load, connections=FIRST_CONNECTIONS), port, 1, method.load_cpu) as messages:
        messages.exchange()
    before = load_sizes(load_tree(pid))
    meter = Meter(pid, method.server_cpu)
    with open_messages(program, load, port, 1, method.load_cpu) as messages:
        result = messages.exchange()
        usage = meter.stop()
    added = usage.sizes[usage.worker] - before.get(usage.worker, 0)
    return replace(
        _build_measurement(trial, usage, [result]),
        connection_pss=added / load.connections,
        deflated=messages.deflated,
    )


def _build_measurement(trial: Trial, usage: Usage, results: list[LoadResult]) -> Measurement:
    requests = sum(result.requests for result in results)
    return Measurement(
        scenario=trial.scenario.key,
        entry=trial.entry.key,
        number=trial.number,
        requests=requests,
        cpu_us=usage.cpu / requests * 1e6,
        rate=results[0].rate,
        p50_us=results[0].p50_us,
        p99_us=results[0].p99_us,
        errors=sum(result.errors for result in results),
        tree_pss=sum(usage.sizes.values()),
        worker_pss=usage.sizes[usage.worker],
        processes=len(usage.sizes),
        foreign_share=usage.foreign_share,
    )


def _measure_alone(trial: Trial, command: list[str]) -> Measurement:
    """Measure an application that is called in a loop by a program which serves nothing."""
    method = trial.method
    pinned = ["taskset", "-c", str(method.server_cpu), *command, str(trial.seconds)]
    environment = build_environment(trial.places, trial.scenario)
    try:
        done = subprocess.run(
            pinned,
            cwd=trial.places.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=trial.seconds + START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"did not end {START_SECONDS:.0f} s after its duration") from error
    if done.returncode:
        raise BenchError(f"ended with status {done.returncode}{_quote_end(done.stderr, trial.places)}")
    fields = json.loads(done.stdout)
    return Measurement(
        scenario=trial.scenario.key,
        entry=trial.entry.key,
        number=trial.number,
        requests=fields["requests"],
        cpu_us=fields["cpu_us"],
        rate=fields["rate"],
        p50_us=0.0,
        p99_us=0.0,
        errors=0,
        tree_pss=0,
        worker_pss=0,
        processes=1,
        foreign_share=0.0,
    )


def build_environment(places: Places, scenario: Scenario) -> dict[str, str]:
    """Build the environment of a server: little, and the same for all.

    The framework comes from the peers' environment for every server, so that all run the same version of it.
    """
    path = [str(places.root)]
    if scenario.framework:
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
