"""The load of a WebSocket scenario: a program in C, compiled when it is first needed, and what it says.

Theory of operation: the program opens all connections, says so and waits; measuring starts; it is told to go, exchanges
messages, prints its result and waits again with all connections idle; measuring ends; its input ends, and so does it.
In this way neither the handshakes nor the end of the connections are part of the figures.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.load import LoadResult

SOURCE = Path(__file__).with_name("ws_load.c")
# The program gives up opening connections after 20 s (OPEN_SECONDS there).
OPEN_SECONDS = 30.0
# How long it may take beyond its own duration before it is given up.
GRACE_SECONDS = 10.0
# How long one message on each of many connections may take.
HOLD_SECONDS = 20


@dataclass(frozen=True, slots=True)
class MessageLoad:
    """Messages on WebSocket connections, each of which is to come back as it was sent.

    Attributes:
        connections: how many connections there are.
        size: bytes of a message.
        outstanding: how many messages of one connection are under way at the same time.
        deflate: whether permessage-deflate is offered, as browsers do.
        hold: whether each connection exchanges one message only and is then left idle, to see what it holds.
    """

    connections: int
    size: int
    outstanding: int = 1
    deflate: bool = False
    hold: bool = False


def build_program(root: Path) -> Path:
    """Compile the program into `build/bench` of the repository, unless it is there and newer than its source.

    Errors:
        BenchError: there is no compiler, or it failed.
    """
    program = root / "build" / "bench" / "ws_load"
    if program.exists() and program.stat().st_mtime > SOURCE.stat().st_mtime:
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    # Two runs that compile at the same time must not see each other's half of it.
    fresh = program.with_name(f"ws_load.{os.getpid()}")
    command = ["cc", "-O2", "-Wall", "-Wextra", "-std=c11", "-o", str(fresh), str(SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BenchError("no C compiler for the WebSocket load (Debian: apt-get install gcc libc6-dev)") from error
    if done.returncode:
        raise BenchError(f"{SOURCE.name} could not be compiled: {done.stderr.strip()[-500:]}")
    return fresh.replace(program)


def build_message_command(program: Path, load: MessageLoad, port: int, seconds: int, cpu: int) -> list[str]:
    """Build the command that sends `load` to a port of this machine for whole seconds from one processor."""
    bound = ("--count", "1", "--seconds", str(HOLD_SECONDS)) if load.hold else ("--seconds", str(seconds))
    return [
        *("taskset", "-c", str(cpu), str(program), "--gate", "--port", str(port), "--size", str(load.size)),
        *("--connections", str(load.connections), "--outstanding", str(load.outstanding), *bound),
        *(["--deflate"] if load.deflate else []),
    ]


def parse_message_result(line: str) -> LoadResult:
    """Read the line that the program prints at the end."""
    fields = json.loads(line)
    return LoadResult(
        requests=fields["messages"],
        seconds=fields["duration_us"] / 1e6,
        size=fields["bytes"],
        p50_us=fields["p50_us"],
        p99_us=fields["p99_us"],
        errors=fields["errors"],
        wrong=fields["wrong"],
    )


class Messages:
    """The program while all of its connections are open.

    Attributes:
        deflated: on how many connections the server agreed to permessage-deflate.
    """

    def __init__(self, process: subprocess.Popen[bytes], load: MessageLoad, seconds: int) -> None:
        self._process = process
        self._load = load
        self._seconds = HOLD_SECONDS if load.hold else seconds
        self.deflated: int = json.loads(self._read_line(OPEN_SECONDS))["deflated"]

    def exchange(self) -> LoadResult:
        """Exchange messages until the time is up; all connections are open and idle afterwards.

        Errors:
            BenchError: an answer was wrong or none came, or connections that were to be held are gone.
        """
        assert self._process.stdin  # it was started with one
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        result = parse_message_result(self._read_line(self._seconds + GRACE_SECONDS))
        held = result.requests - result.errors == self._load.connections
        if result.wrong or not result.requests or (self._load.hold and not held):
            raise BenchError(
                f"echoed {result.requests} messages, lost {result.errors} connections: {self._complaint()}"
            )
        return result

    def _read_line(self, seconds: float) -> str:
        assert self._process.stdout  # it was started with one
        deadline = time.monotonic() + seconds
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(deadline - time.monotonic()):
                    raise BenchError(f"the WebSocket load said nothing for {seconds:.0f} s")
                part = os.read(self._process.stdout.fileno(), 4096)
                if not part:
                    raise BenchError(self._complaint())
                line += part
        return line.decode()

    def _complaint(self) -> str:
        """Read what the program has to say against the server."""
        assert self._process.stdin
        assert self._process.stderr
        self._process.stdin.close()
        return self._process.stderr.read().decode(errors="replace").strip() or "the WebSocket load gave no reason"


@contextmanager
def open_messages(program: Path, load: MessageLoad, port: int, seconds: int, cpu: int) -> Iterator[Messages]:
    """Open all connections of a load, and close them at the end.

    Args:
        program: what `build_program` gave.
        load: the load.
        port: where the server listens.
        seconds: how long messages are exchanged, later.
        cpu: the processor of the load.

    Errors:
        BenchError: not all connections could be opened.
    """
    pipe = subprocess.PIPE
    command = build_message_command(program, load, port, seconds, cpu)
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield Messages(process, load, seconds)
        finally:
            process.kill()
