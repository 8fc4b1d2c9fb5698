"""`hostler requests`: the requests that are in progress, the oldest first, and the slowest of late."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hostler.cli.display import clean_line, format_age, format_duration, write_table
from hostler.cli.instance import connect, parse_arguments
from hostler.cli.top_view import format_status
from hostler.cli.wait import read_count

# As many as the control socket gives (arbitrary).
MOST = 1_000


def execute(arguments: Sequence[str]) -> int:
    """Print the requests that are in the application, and the slowest that have ended of late."""
    namespace = parse_arguments("requests", arguments)
    # Without a number the server's is taken; one of a former version knows of none.
    count = None if namespace.slowest is None else read_count("--slowest", namespace.slowest, least=0, most=MOST)
    with connect(namespace) as client:
        answer = client.get("/v1/requests", {"slowest": count})
    if namespace.json:
        print(json.dumps(answer, indent=2))
    else:
        lines = write_requests(answer)
        if count != 0 and "slowest" in answer:
            lines += ["", *write_slowest(answer["slowest"])]
        print("\n".join(lines))
    return 0


def write_requests(answer: Mapping[str, Any]) -> list[str]:
    """Write the requests in progress for people."""
    if not answer["requests"]:
        return ["no request is in progress"]
    header = ("AGE", "WORKER", "PID", "CLIENT", "METHOD", "PATH", "ID")
    rows = [(format_age(request["age"]), *_write_request(request)) for request in answer["requests"]]
    lines = write_table(header, rows, right=("AGE", "WORKER", "PID"))
    return [*lines, f"and {answer['unshown']} more"] if answer["unshown"] else lines


def write_slowest(told: Mapping[str, Any]) -> list[str]:
    """Write the slowest requests of late for people."""
    period = f"in the last {format_age(told['seconds'])}"
    if not told["requests"]:
        return [f"no request has ended {period}"]
    header = ("TOOK", "WAITED", "IN APP", "STATUS", "AGO", "WORKER", "PID", "CLIENT", "METHOD", "PATH", "ID")
    rows = [
        (
            format_duration(request["duration"]),
            format_duration(request["waited"]),
            format_duration(request["application_time"]),
            format_status(request),
            format_age(request["ended_for"]),
            *_write_request(request),
        )
        for request in told["requests"]
    ]
    return [f"the slowest that ended {period}:", *write_table(header, rows, right=header[:7])]


def _write_request(request: Mapping[str, Any]) -> tuple[str, ...]:
    """Write what is told of any request."""
    return (
        str(request["worker"]),
        str(request["pid"]),
        clean_line(request["client"]) or "-",
        clean_line(request["method"]),
        clean_line(request["path"]),
        clean_line(request["id"]),
    )
