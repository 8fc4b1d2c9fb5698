"""What is wanted: plans, one for each generation, and how far a reload has come with the newest.

Theory: outside of reloads there is one plan, the *current* one. A reload brings a *candidate*. Its children start
*stage* by stage; which slots a stage has is the strategy's to say. When all that was begun is ready, the stage is
*committed*: from then on its slots are the candidate's, and who had them before may go. The last stage makes the
candidate the current plan. Roles that do not scale (fork server, companions) begin with the first stage and are
committed with the last.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hostler.supervisor.model import Role, Strategy

# More than any role has slots.
EVERY_SLOT = 1 << 30
# A quarter at a time: four steps, and at most a quarter more memory (arbitrary; the maxSurge that Kubernetes has by
# default).
ROLLING_SHARE = 0.25


@dataclass(slots=True)
class Plan:
    """What is wanted of one generation.

    Attributes:
        generation: its number.
        roles: what is wanted, roles that fork others first.
        strategy: how many children are replaced at a time.
        begun: up to which slot the children of scalable roles are to be started.
        committed: up to which slot they have taken the place of the current generation's.
    """

    generation: int
    roles: tuple[Role, ...]
    strategy: Strategy = Strategy.ALL
    begun: int = EVERY_SLOT
    committed: int = 0

    def role(self, name: str) -> Role | None:
        """Return a role by its name."""
        return next((role for role in self.roles if role.name == name), None)

    def has_slot(self, name: str, slot: int) -> bool:
        """Whether a slot of a role is wanted."""
        role = self.role(name)
        return role is not None and slot <= role.count

    def slots(self) -> Iterator[tuple[Role, int]]:
        """Yield each slot that is begun."""
        for role in self.roles:
            last = min(role.count, self.begun) if role.is_scalable else role.count
            yield from ((role, slot) for slot in range(1, last + 1))

    @property
    def is_begun(self) -> bool:
        """Whether no slot is left to be begun."""
        return all(role.count <= self.begun for role in self.roles if role.is_scalable)

    def begin_stage(self) -> None:
        """Let the slots of the next stage be started."""
        if self.strategy is Strategy.ALL:
            self.begun = EVERY_SLOT
            return
        most = max((role.count for role in self.roles if role.is_scalable), default=1)
        self.begun += size_of_stage(self.strategy, most)


def size_of_stage(strategy: Strategy, count: int) -> int:
    """Return how many of `count` children are replaced at a time, where it is not all of them."""
    return 1 if strategy is Strategy.ONE_BY_ONE else max(math.ceil(count * ROLLING_SHARE), 1)


@dataclass(slots=True)
class Plans:
    """The current plan, and the candidate of a reload under way."""

    current: Plan
    candidate: Plan | None = None

    def __iter__(self) -> Iterator[Plan]:
        """Yield the plans that there are, the current one first."""
        yield self.current
        if self.candidate is not None:
            yield self.candidate

    def propose(self, candidate: Plan) -> None:
        """Begin a reload with its first stage."""
        candidate.begun = 0
        candidate.begin_stage()
        self.candidate = candidate

    def adopt(self, candidate: Plan) -> None:
        """Let the candidate be the current plan, all of it."""
        candidate.begun, candidate.committed = EVERY_SLOT, 0
        self.current, self.candidate = candidate, None

    def is_candidate(self, generation: int) -> bool:
        """Whether a generation is the candidate."""
        return self.candidate is not None and self.candidate.generation == generation

    def owner(self, role: str, slot: int) -> Plan:
        """Return the plan that a slot belongs to."""
        candidate = self.candidate
        if candidate is not None and slot <= candidate.committed:
            wanted = candidate.role(role)
            if wanted is not None and wanted.is_scalable:
                return candidate
        return self.current
