"""`hostler reopen`: open the log files again, after they were moved away."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments


def execute(arguments: Sequence[str]) -> int:
    """Have the logs reopened."""
    namespace = parse_arguments("reopen", arguments)
    with connect(namespace) as client:
        answer = client.post("/v1/reopen")
    print(f"the supervisor has reopened its log, and told {answer['children']} children to do the same")
    return 0
