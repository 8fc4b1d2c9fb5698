"""What `hostler reload` and `hostler upgrade` have in common: they ask, wait, and tell why nothing has changed."""

from __future__ import annotations

import argparse
import json
from typing import Any

from hostler.cli.display import clean
from hostler.control.client import ControlClient, RefusedError
from hostler.errors import ApplicationError, ConfigurationError, HostlerError


def renew(client: ControlClient, what: str, namespace: argparse.Namespace, timeout: float | None) -> dict[str, Any]:
    """Ask for a renewal, and return the answer when it has ended well.

    Args:
        client: connected to the server.
        what: "reload" or "upgrade".
        namespace: the command's arguments; where JSON is asked for, a refusal is printed as such, too.
        timeout: how long to wait, in seconds; None for as long as the server lives.

    Raises:
        HostlerError: nothing has changed; the error is that which a start would have ended with.
    """
    try:
        return client.post(f"/v1/{what}", timeout=timeout)
    except RefusedError as error:
        if namespace.json:
            print(json.dumps(dict(error.value), indent=2))
        raise _explain(error, what) from None


def _explain(error: RefusedError, what: str) -> HostlerError:
    message, outcome = clean(error), error.value.get("outcome")
    if outcome == "refused":
        return ConfigurationError(f"{what} refused, the old configuration stays: {message}")
    if outcome == "abandoned":
        return ApplicationError(f"{what} abandoned, the old workers stay: {message}", clean(error.details))
    return HostlerError(f"no {what}: {message}")
