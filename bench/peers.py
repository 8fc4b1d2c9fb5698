"""The peers' own virtual environment: made beside the project's, which it never touches."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench.errors import BenchError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def parse_lock(text: str) -> dict[str, str]:
    """Read the pinned versions from a lock file, by normalized name (PEP 503)."""
    return {_normalize(name): version for name, version in PIN.findall(text)}


def find_missing(environment: Path, wanted: dict[str, str]) -> list[str]:
    """Name what an environment lacks or has in another version."""
    folders = [str(folder) for folder in environment.glob("lib/python*/site-packages")]
    found = {
        _normalize(distribution.metadata["Name"]): distribution.version
        for distribution in importlib.metadata.distributions(path=folders)
    }
    return sorted(name for name, version in wanted.items() if found.get(name) != version)


def is_ready(environment: Path) -> bool:
    """Tell whether the environment holds all that the lock file names, whoever made it."""
    return not find_missing(environment, parse_lock(REQUIREMENTS.read_text()))


def build_peers(environment: Path) -> None:
    """Make the environment anew from the lock file; some peers are compiled, which takes a minute.

    Errors:
        BenchError: a compiler or the headers of libev are missing, or the installation failed.
    """
    if shutil.which("cc") is None:
        raise BenchError("no C compiler: bjoern, fastwsgi and uWSGI need one (Debian: apt-get install gcc libc6-dev)")
    if not any((Path(prefix) / "ev.h").exists() for prefix in ("/usr/include", "/usr/local/include")):
        raise BenchError("the header ev.h is missing: bjoern needs it (Debian: apt-get install libev-dev)")
    # Of the interpreter that this one was made from: the peers run on what Hostler runs on.
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
    # The lock is complete. Asked for dependencies, pip 23 demands a hash for "name[extra]" beside that of "name".
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement"]
    command = [str(environment / "bin" / "python"), "-m", "pip", *install, str(REQUIREMENTS)]
    if subprocess.run(command, check=False).returncode:
        raise BenchError(f"the peers could not be installed into {environment}; pip's message stands above")


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
