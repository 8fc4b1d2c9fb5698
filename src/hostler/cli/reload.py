"""`hostler reload`: new code and configuration, no request lost; waits, and tells how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments
from hostler.cli.renewal import renew
from hostler.cli.wait import read_timeout


def execute(arguments: Sequence[str]) -> int:
    """Reload, and print how it ended."""
    namespace = parse_arguments("reload", arguments)
    timeout = read_timeout(namespace.timeout)
    with connect(namespace) as client:
        answer = renew(client, "reload", namespace, timeout)
    print(json.dumps(answer, indent=2) if namespace.json else "reloaded")
    return 0
