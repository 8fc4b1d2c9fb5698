"""The program that this process runs, as it can be started once more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hostler.system.signals import ignore_requests


@dataclass(frozen=True, slots=True)
class Program:
    """How to start a program.

    Attributes:
        executable: the interpreter.
        arguments: the command line, the name first.
        directory: where it was started, by the name that was used then: behind a symbolic link there may be another
            release by now.
    """

    executable: str
    arguments: tuple[str, ...]
    directory: str


def find_own_program(environment: Mapping[str, str]) -> Program:
    """Return how this process was started; before it changes its directory."""
    arguments = (sys.executable, *sys.orig_argv[1:])
    return Program(sys.executable, arguments, _find_directory(environment.get("PWD", "")))


def _find_directory(name: str) -> str:
    """Return the shell's name of the working directory if it is one, else the kernel's."""
    here = Path.cwd()
    try:
        return name if name and here.samefile(name) else str(here)
    except OSError:
        return str(here)


def become_program(program: Program, variables: Mapping[str, str], descriptors: Iterable[int]) -> NoReturn:
    """Run a program in the place of this one; after fork.

    Args:
        program: what to run.
        variables: its environment.
        descriptors: what it inherits beside 0, 1 and 2, under the same numbers.

    Raises:
        OSError: it cannot be run.
    """
    os.chdir(program.directory)
    ignore_requests()
    for fd in descriptors:
        os.set_inheritable(fd, True)
    os.execve(program.executable, program.arguments, dict(variables))
