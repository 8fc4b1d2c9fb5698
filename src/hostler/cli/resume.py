"""`hostler resume`: take requests again, after a pause."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments


def execute(arguments: Sequence[str]) -> int:
    """End the pause of a server."""
    namespace = parse_arguments("resume", arguments)
    with connect(namespace) as client:
        answer = client.post("/v1/resume")
    print("resumed" if answer["was_paused"] else "it was not paused")
    return 0
