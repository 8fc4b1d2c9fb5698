"""Programs of this machine that are asked for facts: found where administrators have them, run with a deadline."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

# Where programs for administrators are; an ordinary user's PATH lacks them.
ADMINISTRATION = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# Arbitrary: `nginx -T` resolves names, which may take a while.
PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Output:
    """What a program said.

    Attributes:
        status: its exit status; -1 when it did not end in time.
        text: standard output.
        errors: standard error.
    """

    status: int
    text: str
    errors: str


def find_program(*names: str) -> str | None:
    """Find the first of these programs that there is; never in the current directory."""
    search = os.pathsep.join([*(place for place in os.get_exec_path() if place.startswith("/")), *ADMINISTRATION])
    return next((found for name in names if (found := shutil.which(name, path=search))), None)


def run_program(command: Sequence[str], *, timeout: float = PATIENCE) -> Output:
    """Run a program to its end, with nothing on its standard input and messages in English."""
    env = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return Output(-1, "", f"{command[0]} did not end within {timeout:g} s")
    except OSError as error:
        return Output(-1, "", f"{command[0]}: {error.strerror}")
    return Output(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
