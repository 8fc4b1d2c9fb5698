"""Where a run takes place: the machine, and the versions of all that takes part."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
from pathlib import Path

import hostler
from bench.errors import BenchError
from bench.server import SERVERS, Places

# Debian keeps nginx where the path of an ordinary user does not lead.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])

# Twice the backlog that the servers are given; arbitrary.
OPEN_FILES = 4096
# Programs that measure, and the Debian packages that have them.
TOOLS = (("wrk", "wrk"), ("h2load", "nghttp2-client"), ("curl", "curl"), ("taskset", "util-linux"))
# What several servers run on, beside themselves.
SHARED_PACKAGES = {"fastapi", "flask", "gunicorn_h1c", "httptools", "uvloop", "websockets", "wsproto"}

_VERSIONS_SCRIPT = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def parse_cpu_model(text: str) -> str:
    """Read the name of the processor from `/proc/cpuinfo`."""
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def load_machine() -> dict[str, str]:
    """Describe the machine: what a reader needs to judge absolute figures."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{parse_cpu_model(Path('/proc/cpuinfo').read_text())}, {os.cpu_count()} usable",
        "memory": f"{memory:.1f} GiB",
        "system": f"{release.get('PRETTY_NAME', 'unknown')}, {platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.2f} at the start",
    }


def load_versions(places: Places) -> dict[str, str]:
    """Ask all that takes part for its version; what is not installed is missing from the answer."""
    packages = sorted({server.package for server in SERVERS if server.package} | SHARED_PACKAGES)
    versions = {
        "hostler": hostler.__version__,
        "nginx": parse_version(_ask("nginx", "-v")),
        "wrk": parse_version(_ask("wrk", "--version")),
        "h2load": parse_version(_ask("h2load", "--version")),
    }
    if Path(places.peer("python")).exists():
        versions |= json.loads(_ask(places.peer("python"), "-c", _VERSIONS_SCRIPT, *packages))
    return {name: version for name, version in versions.items() if version}


def parse_version(text: str) -> str:
    """Find the first word that looks like a version, as in `nginx version: nginx/1.22.1`."""
    for word in text.split():
        candidate = word.rpartition("/")[2]
        if candidate[:1].isdigit() and "." in candidate:
            return candidate
    return ""


def check_processors(*wanted: int) -> None:
    """Make sure that this program may use certain processors.

    Errors:
        BenchError: it may not; the text names those that it may use.
    """
    usable = os.sched_getaffinity(0)
    missing = sorted(set(wanted) - usable)
    if missing:
        raise BenchError(
            f"processor {missing[0]} is not usable here, only {sorted(usable)}; choose with --server-cpu and --load-cpu"
        )


def raise_file_limit() -> None:
    """Let this program and all that it starts open the files that a thousand connections need.

    Not as many as the machine allows: some servers keep a table of that length.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now != resource.RLIM_INFINITY and now < OPEN_FILES:
        wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def check_tools() -> None:
    """Make sure that the programs which every run needs are there.

    Errors:
        BenchError: one is missing; the text says how to get it.
    """
    for program, package in TOOLS:
        if not _ask(program, "--version"):
            raise BenchError(f"the program {program!r} is missing: install it (Debian: apt-get install {package})")


def _ask(*command: str) -> str:
    try:
        answer = subprocess.run(
            command, env=dict(os.environ, PATH=SEARCH_PATH), capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        return ""
    return answer.stdout or answer.stderr
