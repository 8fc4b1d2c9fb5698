"""What the programs of the benchmarks have in common: where they run, and how they end."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

from bench.errors import BenchError


def add_processors(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which processor is whose."""
    parser.add_argument("--server-cpu", type=int, default=0, help="the processor of the server (default 0)")
    parser.add_argument("--load-cpu", type=int, default=1, help="the processor of the load (default 1)")


def run_program(program: Callable[[], int]) -> int:
    """Run a program and return its exit status; what cannot be measured, or an interrupt, ends it with a line."""
    try:
        return program()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; all servers are stopped", file=sys.stderr)
        return 130


def end_politely() -> None:
    """Let SIGTERM stop the servers as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
