"""What somebody does who operates a server: runs `hostler` commands against it, and talks to its control socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.harness import CONTROL_VARIABLE, PATIENCE, ROOT, RunningServer


def operate(
    directory: Path | RunningServer, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `hostler ARGUMENTS` to its end, against the servers whose sockets are in a directory."""
    return subprocess.run(
        [sys.executable, "-m", "hostler", *arguments],
        env=environ(directory, env),
        cwd=cwd or ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def environ(directory: Path | RunningServer, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command that is to find the servers of a directory."""
    where = directory.control_directory if isinstance(directory, RunningServer) else directory
    path = os.pathsep.join([f"{ROOT}/src", str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, CONTROL_VARIABLE: str(where), **(more or {})}


def ask_json(server: RunningServer, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    """Run a command with `--json`, which must succeed."""
    done = operate(server, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def find_socket(server: RunningServer) -> Path:
    """Return a server's control socket, the only one in its directory."""
    (path,) = server.control_directory.glob("*.sock")
    return path


def dial(path: Path, timeout: float = PATIENCE) -> socket.socket:
    """Connect to a control socket."""
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(timeout)
    stream.connect(str(path))
    return stream


def exchange(path: Path, request: bytes) -> bytes:
    """Send bytes on a connection of their own, and return what comes until it is closed."""
    with dial(path) as stream:
        stream.sendall(request)
        answer = b""
        while True:
            try:
                data = stream.recv(65536)
            except ConnectionError:
                return answer
            if not data:
                return answer
            answer += data


def fetch(path: Path, target: str, method: str = "GET") -> tuple[int, Any]:
    """Make one request on a control socket; return its status and what its JSON says."""
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    first, _, body = exchange(path, head.encode()).partition(b"\r\n\r\n")
    return int(first.split()[1]), json.loads(body)
