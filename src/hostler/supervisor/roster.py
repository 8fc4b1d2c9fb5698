"""The children that are alive, and what can be asked about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hostler.supervisor.model import ACTIVE, TRANSITIONS, ChildState, Role, Turn
from hostler.supervisor.recycling import ENDLESS, Wear


@dataclass(slots=True)
class Child:
    """A child as its supervisor sees it.

    Attributes:
        number: identifies it for as long as the supervisor lives.
        role: what it is.
        slot: which of its role it is, from 1.
        generation: the configuration that it was started from.
        state: where it is in its life.
        since: point in time at which it came into this state.
        deadline: point in time at which patience ends, or None.
        wants_successor: it has asked to be recycled.
        limits: what it may come to before it is recycled, unasked.
        first_memory: resident bytes when it was first looked at while it served; 0 before.
        is_stuck: it has something in hand that does not end.
        is_hopeless: nothing else in it goes on either.
    """

    number: int
    role: Role
    slot: int
    generation: int
    state: ChildState
    since: float
    deadline: float | None
    wants_successor: bool = False
    limits: Wear = ENDLESS
    first_memory: int = 0
    is_stuck: bool = False
    is_hopeless: bool = False

    @property
    def name(self) -> str:
        """The child's name for people: "worker 2", or "fork server" where there is but one."""
        return f"{self.role.name} {self.slot}" if self.role.is_scalable or self.role.count > 1 else self.role.name

    @property
    def is_ready(self) -> bool:
        """Whether it serves."""
        return self.state is ChildState.READY

    @property
    def is_active(self) -> bool:
        """Whether it takes its slot."""
        return self.state in ACTIVE

    @property
    def old_at(self) -> float | None:
        """The point in time at which it is due because of its age, or None."""
        is_due = self.is_ready and self.limits.age and not self.wants_successor
        return self.since + self.limits.age if is_due else None

    def turn(self, turn: Turn, now: float) -> bool:
        """Change its state by the table; returns whether it changed."""
        state = TRANSITIONS.get((self.state, turn))
        if state is None:
            return False
        self.state = state
        self.since = now
        return True


@dataclass(slots=True)
class Roster:
    """All children, by number; a number is never given twice."""

    children: dict[int, Child] = field(default_factory=dict)
    last: int = 0

    def add(self, role: Role, slot: int, generation: int, now: float) -> Child:
        """Enter a child that is about to be started."""
        self.last += 1
        child = Child(self.last, role, slot, generation, ChildState.STARTING, now, now + role.boot_timeout)
        self.children[child.number] = child
        return child

    def find(self, is_chosen: Callable[[Child], bool]) -> list[Child]:
        """Return the children that are chosen; the list stays as it is while children change."""
        return [child for child in self.children.values() if is_chosen(child)]

    def occupants(self, role: str, slot: int, generation: int | None = None) -> list[Child]:
        """Return who takes a slot, of one generation or of any."""
        return [
            child
            for child in self.children.values()
            if child.is_active
            and (child.role.name, child.slot) == (role, slot)
            and generation in (None, child.generation)
        ]

    def is_served(self, role: str, slot: int, generation: int | None = None) -> bool:
        """Whether a ready child takes a slot."""
        return any(child.is_ready for child in self.occupants(role, slot, generation))

    def serving(self, role: str) -> int:
        """Return how many slots of a role are served, by whichever generation."""
        return len({child.slot for child in self.children.values() if child.is_ready and child.role.name == role})

    def deadlines(self) -> Iterator[float]:
        """Yield the points in time at which patience with a child ends, or its age is enough."""
        for child in self.children.values():
            yield from (point for point in (child.deadline, child.old_at) if point is not None)
