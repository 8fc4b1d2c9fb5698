"""How the kernel ranks this process: niceness, processor cores, and who is killed first when memory runs out."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hostler.errors import PrivilegeError

# Each worker gets a core of its own, in turn.
EACH = "each"
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_OOM_SCORE = Path("/proc/self/oom_score_adj")


def parse_cpus(text: str) -> frozenset[int]:
    """Read a list of cores such as "0-3,8", as taskset(1) takes it; an empty text is an empty set.

    Raises:
        ValueError: it is none.
    """
    cores: set[int] = set()
    for item in filter(None, text.split(",")):
        match = _RANGE.fullmatch(item.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(f'a list of cores is such as "0-3,8", or "{EACH}" for one core per worker')
        cores.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(cores)


def choose_cores(text: str, slot: int, usable: frozenset[int]) -> frozenset[int]:
    """Return the cores that a worker shall run on; empty for no change.

    Args:
        text: "", a list as `parse_cpus` reads it, or "each".
        slot: which worker it is, from 1.
        usable: the cores that it may use at all.
    """
    if text != EACH:
        return parse_cpus(text)
    in_order = sorted(usable)
    return frozenset({in_order[(slot - 1) % len(in_order)]})


def set_cores(text: str, slot: int) -> None:
    """Run on the chosen cores only; see `choose_cores`.

    Raises:
        PrivilegeError: none of them exists or may be used.
    """
    if not text:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise PrivilegeError("process.cpus needs Linux; leave it out")
    usable = frozenset(os.sched_getaffinity(0))
    cores = choose_cores(text, slot, usable)
    try:
        os.sched_setaffinity(0, cores)
    except OSError:
        shown = ", ".join(map(str, sorted(usable)))
        raise PrivilegeError(f"process.cpus is {text!r}, but the usable cores are {shown}") from None


def set_nice(steps: int) -> None:
    """Add to our niceness; negative steps need root.

    Raises:
        PrivilegeError: the kernel refused.
    """
    if not steps:
        return
    try:
        os.nice(steps)
    except OSError as error:
        raise PrivilegeError(f"process.nice is {steps}: {error.strerror}; only root can lower the niceness") from None


def set_oom_score(score: int) -> None:
    """Set how willingly the kernel kills us when memory runs out, from -1000 (never) to 1000 (first); 0 is no change.

    Raises:
        PrivilegeError: the kernel refused.
    """
    if not score:
        return
    try:
        _OOM_SCORE.write_text(str(score))
    except OSError as error:
        raise PrivilegeError(
            f"process.oom_score is {score}: {error.strerror}; only root can go below the score that Hostler began with"
        ) from None
