"""`hostler scale`: how many workers there are, until the next reload."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments
from hostler.errors import ConfigurationError

_COUNT = re.compile(r"([+-]?)(\d{1,4})", re.ASCII)


def execute(arguments: Sequence[str]) -> int:
    """Change the number of workers, and print what it was and what it is."""
    namespace = parse_arguments("scale", arguments)
    wanted = read_count(namespace.workers)
    with connect(namespace) as client:
        answer = client.post("/v1/scale", wanted)
    if namespace.json:
        print(json.dumps(answer, indent=2))
    else:
        print(f"{answer['workers']} workers are wanted now, {answer['former']} were before")
    return 0


def read_count(text: str) -> dict[str, object]:
    """Read "4", "+1" or "-1" as what the operation takes.

    Raises:
        ConfigurationError: it is none of these.
    """
    match = _COUNT.fullmatch(text)
    if match is None or (not match[1] and int(match[2]) < 1):
        raise ConfigurationError(f'"{text}" is no number of workers; write 4, or +1 or -1 for more or fewer')
    return {"by": int(text)} if match[1] else {"workers": int(text)}
