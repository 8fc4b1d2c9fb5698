"""`hostler logs`: the latest records of the server log, and with `--follow` those to come."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hostler.cli.display import clean
from hostler.cli.instance import connect, parse_arguments
from hostler.cli.wait import read_count
from hostler.control.client import ControlClient, UnreachableError

MOST = 10_000
# Seconds that the server waits for news before it answers that there are none.
PATIENCE = 50


def execute(arguments: Sequence[str]) -> int:
    """Print records of the log."""
    namespace = parse_arguments("logs", arguments)
    count = read_count("--lines", namespace.lines, least=0, most=MOST)
    with connect(namespace) as client:
        answer = client.get("/v1/logs", {"lines": max(1, count)})
        if not count:
            answer["lines"] = []
        print_records(answer, as_json=namespace.json)
        if namespace.follow:
            follow(client, int(answer["next"]), as_json=namespace.json)
    return 0


def follow(client: ControlClient, after: int, *, as_json: bool) -> None:
    """Print what comes, until the server ends."""
    try:
        while True:
            query = {"after": after, "lines": MOST, "wait": PATIENCE}
            answer = client.get("/v1/logs", query, timeout=PATIENCE + 10)
            if answer["missed"]:
                print(f"({answer['missed']} records came too fast and are not here)", file=sys.stderr)
            print_records(answer, as_json=as_json)
            after = int(answer["next"])
    except UnreachableError:
        print("the server has ended", file=sys.stderr)


def print_records(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Print records: as they are in the log, or one JSON text a line."""
    for record in answer["lines"]:
        print(json.dumps(record) if as_json else clean(record))
    sys.stdout.flush()
