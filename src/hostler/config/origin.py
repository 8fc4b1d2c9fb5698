"""Where a value came from, and how a mistake in it is worded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of one value.

    Attributes:
        source: the kind of source.
        where: the place in it: "hostler.toml:7", "HOSTLER_WORKERS_COUNT", "--workers"; empty for a default.
    """

    source: Literal["default", "file", "environment", "flag"]
    where: str = ""

    def __str__(self) -> str:
        if self.source == "default":
            return "(default)"
        if self.source == "file":
            return f"({self.where})"
        return f"({self.source} {self.where})"


DEFAULT = Origin("default")


def describe_wrong_value(where: str, name: str, value: str, expects: str) -> str:
    """Word the commonest mistake: `hostler.toml:7: workers.count is "many"; it must be ...`."""
    return f"{where}: {name} is {value}; it must be {expects}"


def suggest(name: str, candidates: Iterable[str], *, otherwise: str = "") -> str:
    """Word the hint "; did you mean X?" for a name that is close to a candidate, or give `otherwise`."""
    nearest = find_nearest(name, candidates)
    return f"; did you mean {nearest}?" if nearest else otherwise


def find_nearest(name: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Find the candidate most like `name`, if any is like it at all; `cutoff` is difflib's ratio, 0 to 1."""
    import difflib  # for those who have made a mistake

    matches = difflib.get_close_matches(name, list(candidates), n=1, cutoff=cutoff)
    return matches[0] if matches else None
