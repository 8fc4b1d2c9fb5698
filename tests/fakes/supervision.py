"""Drives a supervisor's core with a fake clock and imaginary children."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from hostler.supervisor.core import Core
from hostler.supervisor.model import (
    ACTIVE,
    Action,
    ChildAskedRecycling,
    ChildExited,
    ChildFailed,
    ChildReady,
    ChildState,
    ChildStuck,
    Command,
    Commanded,
    Event,
    Finish,
    Log,
    Order,
    Phase,
    Prepare,
    Prepared,
    Refused,
    Role,
    Spawn,
    Strategy,
    Tell,
    Ticked,
)
from hostler.supervisor.roster import Child
from tests.fakes.clock import FakeClock

Kind = TypeVar("Kind", bound=Action)
WORKER = Role("worker", 2, is_scalable=True, boot_timeout=60, graceful_timeout=30)
FORK_SERVER = Role("fork server", graceful_timeout=1)


def workers(count: int) -> tuple[Role, ...]:
    return (Role("worker", count, is_scalable=True, boot_timeout=60, graceful_timeout=30),)


def prepared(count: int) -> tuple[Role, ...]:
    """Make so many workers that wait for the hook runner."""
    return (Role("hooks", graceful_timeout=30), *(replace(role, after="hooks") for role in workers(count)))


def preloaded(count: int) -> tuple[Role, ...]:
    return FORK_SERVER, Role("worker", count, via="fork server", is_scalable=True)


class Drive:
    """Feeds a core and remembers what it asked for. Jitter is always at its middle."""

    def __init__(self, roles: tuple[Role, ...] = (WORKER,), strategy: Strategy = Strategy.ALL) -> None:
        self.clock = FakeClock()
        self.core = Core(roles, lambda: 0.5, strategy)
        self.actions: list[Action] = []
        self.feed(Ticked())

    def feed(self, event: Event) -> list[Action]:
        """Hand over one event; returns the actions that it led to."""
        actions = self.core.step(event, self.clock.now())
        self.actions += actions
        return actions

    def command(self, command: Command) -> list[Action]:
        return self.feed(Commanded(command))

    def wait(self, seconds: float) -> list[Action]:
        self.clock.advance(seconds)
        return self.feed(Ticked())

    def ready(self, *children: int) -> list[Action]:
        return [action for child in children for action in self.feed(ChildReady(child))]

    def exit(self, child: int, reason: str = "exited with status 0") -> list[Action]:
        return self.feed(ChildExited(child, reason))

    def fail(self, child: int, message: str = "no module named 'shop'", details: str = "Traceback") -> list[Action]:
        return self.feed(ChildFailed(child, message, details))

    def recycle(self, child: int) -> list[Action]:
        return self.feed(ChildAskedRecycling(child))

    def stuck(self, child: int, *, hopeless: bool = False) -> list[Action]:
        return self.feed(ChildStuck(child, "GET /report [request abc]", hopeless))

    def prepared(self, roles: tuple[Role, ...] = (WORKER,), strategy: Strategy = Strategy.ALL) -> list[Action]:
        """Answer the last request to prepare a generation."""
        return self.feed(Prepared(self.asked(Prepare)[-1].generation, roles, strategy))

    def refused(self, message: str = "hostler.toml: unknown option 'treads'") -> list[Action]:
        return self.feed(Refused(message))

    def booted(self) -> Drive:
        """Bring all of the first generation up."""
        while self.core.phase is Phase.BOOTING:
            self.ready(*self.numbers(ChildState.STARTING))
        self.actions.clear()
        return self

    def asked(self, kind: type[Kind]) -> list[Kind]:
        return [action for action in self.actions if isinstance(action, kind)]

    def orders(self, order: Order) -> list[int]:
        return [action.child for action in self.asked(Tell) if action.order is order]

    def spawned(self) -> list[tuple[str, int, int]]:
        return [(action.role, action.slot, action.generation) for action in self.asked(Spawn)]

    def logged(self) -> str:
        return "\n".join(action.message for action in self.asked(Log))

    def children(self, *states: ChildState) -> list[Child]:
        return [child for child in self.core.children.values() if child.state in (states or ACTIVE)]

    def numbers(self, *states: ChildState) -> list[int]:
        return [child.number for child in self.children(*states)]

    def finish(self) -> Finish | None:
        found = self.asked(Finish)
        return found[-1] if found else None
