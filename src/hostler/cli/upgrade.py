"""`hostler upgrade`: replace the running program itself, no request lost; waits, and tells how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments
from hostler.cli.renewal import renew
from hostler.cli.wait import read_timeout
from hostler.control.client import ControlClient


def execute(arguments: Sequence[str]) -> int:
    """Upgrade, and print what runs then."""
    namespace = parse_arguments("upgrade", arguments)
    timeout = read_timeout(namespace.timeout)
    with connect(namespace) as client:
        answer = renew(client, "upgrade", namespace, timeout)
        # By now the new one has the socket.
        with ControlClient(client.path) as successor:
            status = successor.get("/v1/status")
    if namespace.json:
        print(json.dumps({**answer, "pid": status["pid"], "version": status["version"]}, indent=2))
    else:
        print(f"upgraded: hostler {status['version']} serves (pid {status['pid']})")
    return 0
