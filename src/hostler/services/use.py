"""Whether the application makes use of what the server offers it."""

from __future__ import annotations

import sys

import hostler


def is_used() -> bool:
    """Tell whether any module but our own has imported `hostler`; after the application is loaded.

    What follows a request into the tasks and threads that it starts is only kept where somebody may ask for it. A
    module that first imports `hostler` while a request runs is known from the next request on.
    """
    return any(
        vars(module).get("hostler") is hostler
        for name, module in list(sys.modules.items())
        if hasattr(module, "__dict__") and name.partition(".")[0] != "hostler"
    )
