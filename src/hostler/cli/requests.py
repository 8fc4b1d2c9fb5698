"""`hostler requests`: the requests that are in progress, the oldest first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hostler.cli.display import clean_line, format_age, write_table
from hostler.cli.instance import connect, parse_arguments


def execute(arguments: Sequence[str]) -> int:
    """Print the requests that are in the application."""
    namespace = parse_arguments("requests", arguments)
    with connect(namespace) as client:
        answer = client.get("/v1/requests")
    print(json.dumps(answer, indent=2) if namespace.json else "\n".join(write_requests(answer)))
    return 0


def write_requests(answer: Mapping[str, Any]) -> list[str]:
    """Write requests for people."""
    if not answer["requests"]:
        return ["no request is in progress"]
    header = ("AGE", "WORKER", "PID", "CLIENT", "METHOD", "PATH", "ID")
    rows = [
        (
            format_age(request["age"]),
            str(request["worker"]),
            str(request["pid"]),
            clean_line(request["client"]) or "-",
            clean_line(request["method"]),
            clean_line(request["path"]),
            clean_line(request["id"]),
        )
        for request in answer["requests"]
    ]
    lines = write_table(header, rows, right=("AGE", "WORKER", "PID"))
    return [*lines, f"and {answer['unshown']} more"] if answer["unshown"] else lines
