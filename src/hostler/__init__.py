"""Hostler takes a web application from a laptop to production with one program.

For applications there is `set_deadline`, and `DeadlineExceeded`, which is raised in a thread that is past its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostler.services.deadline import DeadlineExceeded, set_deadline

__all__ = ["DeadlineExceeded", "__version__", "set_deadline"]

__version__ = "0.1.0"

_DEADLINE = ("DeadlineExceeded", "set_deadline")


def __getattr__(name: str) -> object:
    """Import what applications use when they ask for it: the supervisor must stay free of the extension."""
    if name not in _DEADLINE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hostler.services import deadline

    found = {each: getattr(deadline, each) for each in _DEADLINE}
    globals().update(found)
    return found[name]
