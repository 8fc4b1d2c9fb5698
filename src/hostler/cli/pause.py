"""`hostler pause`: let requests wait, and finish those in progress."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments


def execute(arguments: Sequence[str]) -> int:
    """Pause a server."""
    namespace = parse_arguments("pause", arguments)
    with connect(namespace) as client:
        answer = client.post("/v1/pause")
    print("it was paused already" if answer["was_paused"] else "paused: requests wait until `hostler resume`")
    return 0
