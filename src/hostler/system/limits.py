"""Resource limits of this process."""

from __future__ import annotations

import resource

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
