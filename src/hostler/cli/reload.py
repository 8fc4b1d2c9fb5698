"""`hostler reload`: new code and configuration, no request lost; waits, and tells how it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hostler.cli.display import clean
from hostler.cli.instance import connect, parse_arguments
from hostler.cli.wait import read_timeout
from hostler.control.client import RefusedError
from hostler.errors import ApplicationError, ConfigurationError, HostlerError


def execute(arguments: Sequence[str]) -> int:
    """Reload, and print how it ended."""
    namespace = parse_arguments("reload", arguments)
    timeout = read_timeout(namespace.timeout)
    with connect(namespace) as client:
        try:
            answer = client.post("/v1/reload", timeout=timeout)
        except RefusedError as error:
            if namespace.json:
                print(json.dumps(dict(error.value), indent=2))
            raise explain(error, "reload") from None
    print(json.dumps(answer, indent=2) if namespace.json else "reloaded")
    return 0


def explain(error: RefusedError, what: str) -> HostlerError:
    """Turn a reload or an upgrade that has changed nothing into the error that a start would have ended with."""
    message, outcome = clean(error), error.value.get("outcome")
    if outcome == "refused":
        return ConfigurationError(f"{what} refused, the old configuration stays: {message}")
    if outcome == "abandoned":
        return ApplicationError(f"{what} abandoned, the old workers stay: {message}", clean(error.details))
    return HostlerError(f"no {what}: {message}")
