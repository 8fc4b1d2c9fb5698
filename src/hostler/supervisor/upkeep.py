"""What is measured from time to time and what follows from it: who is worn out, and how many children are wanted.

The core asks `is_due` after each step and hands over each reading; what is to be done about it stays the core's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostler.supervisor import recycling, scaling
from hostler.supervisor.model import Measured, Role
from hostler.supervisor.plan import Plan
from hostler.supervisor.recycling import find_excess
from hostler.supervisor.roster import Child, Roster
from hostler.supervisor.scaling import Load, Scaler


class Upkeep:
    """Remembers when to measure, and what decides on counts."""

    def __init__(self, roster: Roster, roles: tuple[Role, ...]) -> None:
        """Look after these children, of roles that may scale."""
        self._roster = roster
        self._scalers: dict[str, Scaler] = {}
        self.measure_at: float | None = None
        self.follow(roles)

    # Measuring.

    def is_due(self, now: float, *, is_idle: bool) -> bool:
        """Tell whether to measure now, and note when next.

        Args:
            now: point in time, in seconds.
            is_idle: whether nobody is there whose load could be measured.
        """
        interval = min(self._intervals(is_idle=is_idle), default=None)
        if interval is None:
            self.measure_at = None
            return False
        if self.measure_at is not None and now < self.measure_at:
            return False
        is_first, self.measure_at = self.measure_at is None, now + interval
        return not is_first

    def _intervals(self, *, is_idle: bool) -> Iterator[float]:
        if self._scalers and not is_idle:
            yield scaling.INTERVAL
        if any(child.limits.is_measured for child in self._roster.children.values()):
            yield recycling.INTERVAL

    # Recycling.

    def find_worn(self, memory: Mapping[int, int]) -> Iterator[tuple[Child, str]]:
        """Yield those who have come to too much memory, and the reason for people."""
        for child in self._roster.find(lambda child: child.is_ready and not child.wants_successor):
            size = memory.get(child.number, 0)
            child.first_memory = child.first_memory or size
            excess = find_excess(child.limits, size, child.first_memory)
            if excess:
                yield child, excess

    def find_aged(self, now: float) -> Iterator[tuple[Child, str]]:
        """Yield those who have served for long enough, and the reason for people."""
        for child in self._roster.find(lambda child: child.old_at is not None and now >= child.old_at):
            yield child, f"it has served for {now - child.since:.0f} s (workers.max_age)"

    # Scaling.

    def follow(self, roles: tuple[Role, ...]) -> None:
        """Decide on the counts of these roles from now on; under the same bounds, with the readings so far."""
        former, self._scalers = self._scalers, {}
        for role in roles:
            if role.scaling is not None:
                known = former.get(role.name)
                is_same = known is not None and known.scaling == role.scaling
                self._scalers[role.name] = known if known is not None and is_same else Scaler(role.scaling)

    def pause(self) -> bool:
        """Leave the counts to the operator; returns whether they were ours."""
        was_ours, self._scalers = bool(self._scalers), {}
        return was_ours

    def decides_on(self, role: Role) -> bool:
        """Whether the count of a role follows the load."""
        return role.name in self._scalers

    def find_wanted(self, event: Measured, plan: Plan, now: float) -> Iterator[tuple[Role, int, Load]]:
        """Yield the roles that scale, with the counts that are wanted from now on and the readings behind them."""
        for name, scaler in self._scalers.items():
            role, load = plan.role(name), event.loads.get(name)
            if role is not None and load is not None:
                mine = [child for child in self._roster.children.values() if child.role.name == name]
                memory = sum(event.memory.get(child.number, 0) for child in mine)
                serving = self._roster.serving(name)
                yield role, scaler.decide(load, serving=serving, count=role.count, memory=memory, now=now), load

    def wake(self, role: Role, now: float) -> int:
        """Return how many children of a role that has none are wanted now that somebody has connected."""
        return self._scalers[role.name].wake(now)
