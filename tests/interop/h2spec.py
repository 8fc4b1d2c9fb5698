"""h2spec, which tries a server on each clause of RFC 9113 and RFC 7541. It is built from the Go module proxy."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import refuse_or_skip
from tests.e2e.harness import ROOT

# The last one that the proxy has under its name as a module.
_PACKAGE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"
_DIRECTORY = ROOT / "build" / "go"
_BUILD_SECONDS = 300
_RUN_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Verdict:
    """What h2spec found.

    Attributes:
        tests: how many clauses were tried.
        failures: the clauses that did not hold, as it describes them.
        text: all that it said.
    """

    tests: int
    failures: tuple[str, ...]
    text: str


@functools.cache
def build_h2spec() -> str:
    """The program, built once and kept in build/go."""
    program = _DIRECTORY / "h2spec"
    if not program.exists():
        go = shutil.which("go", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/go/bin"]))
        if go is None:
            refuse_or_skip("go is not installed: `scripts/packages test` installs it")
        _DIRECTORY.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "GOBIN": str(_DIRECTORY), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
        command = [go, "install", _PACKAGE]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
        if done.returncode != 0:
            refuse_or_skip(f"{' '.join(command)} failed: {done.stderr}")
    return str(program)


def run_h2spec(port: int, *options: str) -> Verdict:
    """Try the server at a port of this machine."""
    command = [build_h2spec(), "--host", "127.0.0.1", "--port", str(port), "--timeout", "5", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False, cwd=Path("/"))
    counted = re.search(r"^(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout, re.MULTILINE)
    assert counted, done.stdout + done.stderr
    _, _, failures = done.stdout.partition("Failures:")
    return Verdict(int(counted[1]), tuple(re.findall(r"^\s+\u00d7 \d+: (.+)$", failures, re.MULTILINE)), done.stdout)
