"""The supervisor's decisions: what is wanted, what is alive, what happened, and so what to do.

Theory: `step` takes one event and returns the actions that follow from it. It first notes what happened, then compares
what is wanted (plans) with what is alive (children) until both agree or a deadline has to be awaited.

A *generation* is one reading of the configuration with the children started from it. There is the current one and,
during a reload, a candidate. The candidate's children start beside the current ones; when all of them are ready the
candidate becomes the current generation and the former one drains. If one of them does not come up, the candidate is
abandoned and nothing has changed for clients.

Invariants: outside of reloads at most one more child per role takes a slot than is wanted (the successor of one that
recycles); in a reload, each generation has its own number of children. A ready child is told to drain only when its
successors are ready, or nobody wants its slot, or everything ends. After `Finish` there is nothing more.

Never put here: descriptors, pids, signals, clocks, configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hostler.supervisor.backoff import Backoff
from hostler.supervisor.model import (
    ACTIVE,
    TRANSITIONS,
    Abandon,
    Action,
    Adopt,
    Announce,
    ChildAskedRecycling,
    ChildExited,
    ChildFailed,
    ChildReady,
    ChildState,
    Command,
    Commanded,
    Concluded,
    Event,
    Finish,
    Log,
    Order,
    Outcome,
    Phase,
    Prepare,
    Prepared,
    Refused,
    ReopenLogs,
    Resized,
    Role,
    Spawn,
    StopListening,
    Tell,
    Ticked,
    Turn,
    Vacate,
)

# Seconds that a child has to end when it has nothing to finish: it was still starting, or was told to stop now
# (arbitrary).
PROMPT_TIMEOUT = 2.0


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
    """

    number: int
    role: Role
    slot: int
    generation: int
    state: ChildState
    since: float
    deadline: float | None
    wants_successor: bool = False

    @property
    def name(self) -> str:
        """The child's name for people: "worker 2", or "fork server" where there is but one."""
        return f"{self.role.name} {self.slot}" if self.role.is_scalable or self.role.count > 1 else self.role.name


@dataclass(slots=True)
class Plan:
    """What is wanted of one generation."""

    generation: int
    roles: tuple[Role, ...]


SlotKey = tuple[int, str, int]


class Core:
    """The state machine of one supervisor."""

    def __init__(self, roles: tuple[Role, ...], random_fraction: Callable[[], float]) -> None:
        """Begin with the first generation, whose number is 1.

        Args:
            roles: what is wanted, roles that fork others first.
            random_fraction: returns a number from 0 to 1, for the jitter of back-off.
        """
        self.phase = Phase.BOOTING
        self.children: dict[int, Child] = {}
        self.current = Plan(1, roles)
        self.candidate: Plan | None = None
        self._random_fraction = random_fraction
        self._backoffs: dict[SlotKey, Backoff] = {}
        self._generations = 1
        self._last_child = 0
        self._is_reload_wanted = False
        self._finish = Finish(0)
        self._now = 0.0
        self._actions: list[Action] = []
        self._notes: dict[type, Callable[..., None]] = {
            Ticked: self._note_tick,
            Prepared: self._note_prepared,
            Refused: self._note_refused,
            ChildReady: self._note_ready,
            ChildFailed: self._note_failed,
            ChildAskedRecycling: self._note_recycling,
            ChildExited: self._note_exited,
            Commanded: self._note_command,
            Resized: self._note_resized,
        }
        self._commands: dict[Command, Callable[[], None]] = {
            Command.DRAIN: self._begin_stop,
            Command.INTERRUPT: self._interrupt,
            Command.STOP: self._stop_now,
            Command.RELOAD: self._want_reload,
            Command.MORE: lambda: self._scale(lambda count: count + 1),
            Command.FEWER: lambda: self._scale(lambda count: count - 1),
            Command.REOPEN_LOGS: self._reopen_logs,
        }

    def step(self, event: Event, now: float) -> list[Action]:
        """Take in one event and return what is to be done, in order.

        Args:
            event: what happened.
            now: the point in time, seconds; never less than in the call before.
        """
        self._now = now
        self._actions = []
        if self.phase is not Phase.ENDED:
            self._notes[type(event)](event)
            self._enforce_deadlines()
            self._reconcile()
        return self._actions

    def deadline(self) -> float | None:
        """Return the point in time at which a `Ticked` is due, or None."""
        points = [child.deadline for child in self.children.values() if child.deadline is not None]
        if self.phase is not Phase.STOPPING:
            points += [each.not_before for each in self._backoffs.values() if each.not_before > self._now]
        return min(points, default=None)

    # Noting what happened.

    def _note_tick(self, _: Ticked) -> None:
        """Deadlines are looked at in every step."""

    def _note_prepared(self, event: Prepared) -> None:
        if self.phase is Phase.RELOADING:
            self.candidate = Plan(event.generation, event.roles)

    def _note_refused(self, event: Refused) -> None:
        if self.phase is Phase.RELOADING:
            self._say("error", f"reload refused, the old configuration stays: {event.message}")
            self.phase = Phase.RUNNING  # RELOADING -> RUNNING
            self._conclude(Outcome.REFUSED, event.message)

    def _note_ready(self, event: ChildReady) -> None:
        child = self.children.get(event.child)
        if child is not None and self._turn(child, Turn.REPORTED_READY):
            child.deadline = None
            self._say("debug", f"{child.name} is ready")

    def _note_failed(self, event: ChildFailed) -> None:
        child = self.children.get(event.child)
        if child is not None and child.state is ChildState.STARTING:
            self._fail(child, event.message, event.details, event.status)

    def _note_recycling(self, event: ChildAskedRecycling) -> None:
        child = self.children.get(event.child)
        if child is not None and child.state is ChildState.READY:
            child.wants_successor = True

    def _note_exited(self, event: ChildExited) -> None:
        child = self.children.pop(event.child, None)
        if child is None:
            return
        if child.state is ChildState.STARTING:
            self._fail(child, f"{child.name} {event.reason} before it was ready", "", 3)
        elif child.state is ChildState.READY:
            self._note_crash(child, event.reason)
        else:
            self._say("debug", f"{child.name} {event.reason}")

    def _note_crash(self, child: Child, reason: str) -> None:
        if self.candidate is not None and child.generation == self.candidate.generation:
            self._abandon(f"{child.name} {reason} soon after it was ready", "")
            return
        self._back_off(child)
        self._say("error", f"{child.name} {reason}{self._restart_words(child)}")

    def _note_command(self, event: Commanded) -> None:
        self._commands[event.command]()

    def _note_resized(self, event: Resized) -> None:
        self._scale(lambda _: event.count)

    # Failing to come up.

    def _fail(self, child: Child, message: str, details: str, status: int) -> None:
        """A starting child cannot come up: that ends a boot, abandons a candidate, and otherwise counts as a crash."""
        self._drain(child)
        if self.phase is Phase.BOOTING:
            self._finish = Finish(status, message, details)
            self._begin_stop()
        elif self.candidate is not None and child.generation == self.candidate.generation:
            self._abandon(message, details)
        elif self.phase is not Phase.STOPPING:
            self._back_off(child)
            self._say("error", f"{child.name} did not come up: {message}{self._restart_words(child)}", details)

    def _abandon(self, message: str, details: str) -> None:
        assert self.candidate is not None
        generation = self.candidate.generation
        self.candidate = None
        self.phase = Phase.RUNNING  # RELOADING -> RUNNING
        self._say("error", f"reload abandoned, the old workers stay: {message}", details)
        self._actions.append(Abandon(generation))
        self._conclude(Outcome.ABANDONED, message, details)

    def _conclude(self, outcome: Outcome, message: str = "", details: str = "") -> None:
        self._actions.append(Concluded(outcome, message, details))

    def _back_off(self, child: Child) -> None:
        key = (child.generation, child.role.name, child.slot)
        ready_for = self._now - child.since if child.state is ChildState.READY else 0.0
        history = self._backoffs.get(key, Backoff())
        self._backoffs[key] = history.after_crash(self._now, ready_for, self._random_fraction())

    def _restart_words(self, child: Child) -> str:
        wait = self._backoffs[child.generation, child.role.name, child.slot].not_before - self._now
        return f"; starting another in {wait:.1f} s" if wait > 0 else "; starting another now"

    # Commands.

    def _begin_stop(self) -> None:
        if self.phase is Phase.STOPPING:
            return
        self._enter_stop()
        if self._finish.status == 0:
            self._say("info", "stopping: requests in progress are finished")
        self._actions.append(StopListening())
        self._retire(lambda _: True)

    def _enter_stop(self) -> None:
        """No reload goes on from here, nor begins."""
        is_reload_due = self._is_reload_wanted or self.phase is Phase.RELOADING
        self._is_reload_wanted = False
        self.phase = Phase.STOPPING
        if is_reload_due:
            self._conclude(Outcome.STOPPED, "the server is stopping")

    def _interrupt(self) -> None:
        """The first interrupt drains; one more while we drain is somebody who does not want to wait."""
        if self.phase is Phase.STOPPING:
            self._stop_now()
        else:
            self._begin_stop()

    def _stop_now(self) -> None:
        if self.phase is not Phase.STOPPING:
            self._enter_stop()
            self._actions.append(StopListening())
        self._say("info", "stopping now")
        for child in self.children.values():
            if self._turn(child, Turn.STOP):
                child.deadline = self._now + PROMPT_TIMEOUT
                self._actions.append(Tell(child.number, Order.STOP))

    def _want_reload(self) -> None:
        """Any number of requests while one reload is under way become one more reload after it."""
        if self.phase is not Phase.STOPPING:
            self._is_reload_wanted = True

    def _scale(self, change: Callable[[int], int]) -> None:
        if self.phase is Phase.STOPPING:
            return
        for plan in self._plans():
            plan.roles = tuple(self._scaled(role, change) for role in plan.roles)
        wanted = ", ".join(f"{role.count} {role.name}s" for role in self.current.roles if role.is_scalable)
        self._say("info", f"now wanted: {wanted}")

    def _scaled(self, role: Role, change: Callable[[int], int]) -> Role:
        count = max(1, change(role.count))
        if not role.is_scalable or count == role.count:
            return role
        self._actions += [Vacate(role.name, slot) for slot in range(role.count, count, -1)]
        return replace(role, count=count)

    def _reopen_logs(self) -> None:
        # Ours first: it creates the new file with the owner that lets the children open it.
        self._actions.append(ReopenLogs())
        self._actions += [Tell(child.number, Order.REOPEN_LOGS) for child in self.children.values()]

    # Comparing what is wanted with what is alive.

    def _reconcile(self) -> None:
        if self.phase is Phase.STOPPING:
            if not self.children:
                self.phase = Phase.ENDED  # STOPPING -> ENDED
                self._actions.append(self._finish)
            return
        self._settle()
        self._retire(self._is_surplus)
        self._retire(self._is_succeeded)
        for plan in self._plans():
            for role in plan.roles:
                self._fill(plan, role)

    def _plans(self) -> Iterator[Plan]:
        yield self.current
        if self.candidate is not None:
            yield self.candidate

    def _settle(self) -> None:
        """Take the steps of the supervisor's own life that have become possible."""
        if self.phase is Phase.BOOTING and self._is_complete(self.current):
            self.phase = Phase.RUNNING  # BOOTING -> RUNNING
            self._actions.append(Announce())
        if self.candidate is not None and self._is_complete(self.candidate):
            self._adopt(self.candidate)
        if self._is_reload_wanted and self.phase is Phase.RUNNING:
            self._is_reload_wanted = False
            self.phase = Phase.RELOADING  # RUNNING -> RELOADING
            self._generations += 1
            self._say("info", "reloading")
            self._actions.append(Prepare(self._generations))

    def _adopt(self, candidate: Plan) -> None:
        former = self.current.generation
        self.current = candidate
        self.candidate = None
        self.phase = Phase.RUNNING  # RELOADING -> RUNNING
        self._backoffs = {key: value for key, value in self._backoffs.items() if key[0] != former}
        # Before anybody hears that the reload is done.
        self._retire(self._is_surplus)
        self._say("info", "reloaded")
        self._actions.append(Adopt(candidate.generation))
        self._conclude(Outcome.RELOADED)

    def _is_complete(self, plan: Plan) -> bool:
        ready = {
            (child.role.name, child.slot)
            for child in self.children.values()
            if child.generation == plan.generation and child.state is ChildState.READY
        }
        return all((role.name, slot) in ready for role in plan.roles for slot in range(1, role.count + 1))

    def _fill(self, plan: Plan, role: Role) -> None:
        """Start what is missing: children for empty slots, and one successor at a time for those that recycle."""
        via = self._forking_child(plan, role)
        if via is None:
            return
        is_succeeding = False
        for slot in range(1, role.count + 1):
            occupants = self._occupants(plan.generation, role.name, slot)
            if occupants:
                is_succeeding |= len(occupants) > 1
            elif self._may_start(plan, role, slot):
                self._spawn(plan, role, slot, via)
        if is_succeeding or self.phase is not Phase.RUNNING:
            return
        for child in list(self.children.values()):
            is_due = child.generation == plan.generation and child.role.name == role.name and child.slot <= role.count
            if is_due and self._wants_successor(child) and self._may_start(plan, role, child.slot):
                self._spawn(plan, role, child.slot, via)
                return

    def _wants_successor(self, child: Child) -> bool:
        return child.wants_successor and child.state is ChildState.READY

    def _forking_child(self, plan: Plan, role: Role) -> int | None:
        """Return the child that forks this role, 0 for ourselves, or None while there is none."""
        if not role.via:
            return 0
        for child in self._occupants(plan.generation, role.via, 1):
            if child.state is ChildState.READY:
                return child.number
        return None

    def _may_start(self, plan: Plan, role: Role, slot: int) -> bool:
        history = self._backoffs.get((plan.generation, role.name, slot))
        return history is None or self._now >= history.not_before

    def _occupants(self, generation: int, role: str, slot: int) -> list[Child]:
        return [
            child
            for child in self.children.values()
            if (child.generation, child.role.name, child.slot) == (generation, role, slot) and child.state in ACTIVE
        ]

    def _is_surplus(self, child: Child) -> bool:
        """Whether its slot is no longer wanted."""
        for plan in self._plans():
            if plan.generation == child.generation:
                return all(role.name != child.role.name or child.slot > role.count for role in plan.roles)
        return True

    def _is_succeeded(self, child: Child) -> bool:
        """Whether the successor that it asked for is ready."""
        if not self._wants_successor(child):
            return False
        occupants = self._occupants(child.generation, child.role.name, child.slot)
        return any(each is not child and each.state is ChildState.READY for each in occupants)

    # Changing children.

    def _spawn(self, plan: Plan, role: Role, slot: int, via: int) -> None:
        self._last_child += 1
        number = self._last_child
        deadline = self._now + role.boot_timeout
        self.children[number] = Child(number, role, slot, plan.generation, ChildState.STARTING, self._now, deadline)
        self._actions.append(Spawn(number, role.name, slot, plan.generation, via))

    def _retire(self, is_chosen: Callable[[Child], bool]) -> None:
        for child in list(self.children.values()):
            if child.state in ACTIVE and is_chosen(child):
                self._drain(child)

    def _drain(self, child: Child) -> None:
        """Tell a child to finish and go; one that still starts has nothing to finish."""
        patience = PROMPT_TIMEOUT if child.state is ChildState.STARTING else child.role.graceful_timeout
        if self._turn(child, Turn.DRAIN) and child.number in self.children:
            child.deadline = self._now + patience
            self._actions.append(Tell(child.number, Order.DRAIN))

    def _enforce_deadlines(self) -> None:
        for child in list(self.children.values()):
            if child.deadline is None or self._now < child.deadline:
                continue
            if child.state is ChildState.STARTING:
                message = f"{child.name} was not ready within {child.role.boot_timeout:g} s (workers.boot_timeout)"
                self._fail(child, message, "", 3)
            elif child.state is not ChildState.KILLED:
                self._say("warning", f"{child.name} did not end in time and is killed")
            self._kill(child)

    def _kill(self, child: Child) -> None:
        self._turn(child, Turn.KILL)
        child.deadline = None
        self._actions.append(Tell(child.number, Order.KILL))

    def _turn(self, child: Child, turn: Turn) -> bool:
        """Change a child's state by the table; returns whether it changed."""
        state = TRANSITIONS.get((child.state, turn))
        if state is None:
            return False
        child.state = state
        child.since = self._now
        return True

    def _say(self, level: str, message: str, details: str = "") -> None:
        self._actions.append(Log(level, message, details))
