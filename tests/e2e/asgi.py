"""What tests of ASGI applications start servers with: each runs on both event loops."""

from __future__ import annotations

LOOPS = ("asyncio", "uvloop")


def asgi_options(loop: str, *options: str) -> tuple[str, ...]:
    """The options that serve an ASGI application on that loop, and those that a test adds."""
    return ("--interface", "asgi", "--loop", loop, *options)
