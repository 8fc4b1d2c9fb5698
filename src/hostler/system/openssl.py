"""The program `openssl`, where a certificate has to be made."""

from __future__ import annotations

import shutil
import subprocess

from hostler.errors import HostlerError


def run_openssl(*arguments: str) -> str:
    """Run the program to its end and return what it has printed.

    Raises:
        HostlerError: it is not there, or it failed.
    """
    program = shutil.which("openssl")
    if program is None:
        raise HostlerError("the program 'openssl' is needed for this, and not there; install the package openssl")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise HostlerError(f"openssl {arguments[0]} failed: {said[-1] if said else done.returncode}")
    return done.stdout
