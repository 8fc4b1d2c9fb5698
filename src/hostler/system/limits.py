"""Resource limits of this process."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from dataclasses import dataclass

from hostler.errors import PrivilegeError

# Descriptors beside the connections: listeners, logs, temporary files, and what the application opens (arbitrary).
SPARE_DESCRIPTORS = 1024


def raise_descriptor_limit(connections: int) -> int:
    """Raise the soft limit of open descriptors so that so many connections fit, as far as the hard limit allows.

    Systems start processes with a soft limit of 1,024 for the sake of select(2), which nothing here uses.

    Args:
        connections: connections that one process may hold.

    Returns:
        The limit that is now in force.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


# What setrlimit(2) knows, by its name without RLIMIT_, in lower case: "nofile", "as", "core", ...
KNOWN = {name.removeprefix("RLIMIT_").lower(): getattr(resource, name) for name in dir(resource) if name.isupper()}
del KNOWN["rlim_infinity"]
UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True)
class ResourceLimit:
    """A limit of setrlimit(2).

    Attributes:
        name: "nofile", ...
        soft: the limit in force, in the limit's own unit; `resource.RLIM_INFINITY` is none.
        hard: up to where the process may raise it.
    """

    name: str
    soft: int
    hard: int


def parse_limit(name: str, text: str) -> ResourceLimit:
    """Read a limit: one number for both, or "SOFT:HARD"; "unlimited" for none.

    Raises:
        ValueError: it is none, or the soft one is above the hard one.
    """
    if name not in KNOWN or KNOWN[name] == resource.RLIM_INFINITY:
        raise ValueError(f"there is no limit {name!r}; this system has {', '.join(sorted(KNOWN))}")
    soft, _, hard = text.partition(":")
    limit = ResourceLimit(name, _parse_amount(soft), _parse_amount(hard or soft))
    if limit.hard != resource.RLIM_INFINITY and not 0 <= limit.soft <= limit.hard:
        raise ValueError("the soft limit is above the hard one")
    return limit


def _parse_amount(text: str) -> int:
    if text.strip() == UNLIMITED:
        return resource.RLIM_INFINITY
    if not text.strip().isascii() or not text.strip().isdecimal() or len(text) > 18:
        raise ValueError(f'a limit is a whole number, "{UNLIMITED}", or two of them as "SOFT:HARD"')
    return int(text)


def set_limits(limits: Iterable[ResourceLimit]) -> None:
    """Limit this process and those that it starts.

    Raises:
        PrivilegeError: only root can raise a hard limit.
    """
    for limit in limits:
        try:
            resource.setrlimit(KNOWN[limit.name], (limit.soft, limit.hard))
        except (OSError, ValueError) as error:
            raise PrivilegeError(
                f"cannot set the limit {limit.name} to {limit.soft}:{limit.hard}: {error}; "
                "lower it, or start as root (process.limits)"
            ) from None
