"""The supervisor's decisions: what is wanted, what is alive, what happened, and so what to do.

Theory: `step` takes one event and returns the actions that follow from it. It first notes what happened, then compares
what is wanted (`plan`) with what is alive (`roster`) until both agree or a deadline has to be awaited.

A *generation* is one reading of the configuration with the children started from it. There is the current one and,
during a reload, a candidate, whose children start beside the current ones, stage by stage. If one of them does not come
up, the candidate is abandoned: its children that serve already go on until the current generation has its slots back.
An *upgrade* is one more child, a whole supervisor: when it serves, it is left to itself and everything else drains.

Invariants: outside of reloads at most a share more children of a role take slots than are wanted (the successors of
those that recycle); in a reload, each generation has its own number of children. A ready child is told to drain only
when its successor is ready, or nobody wants its slot, or everything ends. After `Finish` there is nothing more.

Never put here: descriptors, pids, signals, clocks, configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hostler.supervisor.backoff import Backoff
from hostler.supervisor.model import (
    Abandon,
    Action,
    Adopt,
    Announce,
    ChildAskedRecycling,
    ChildExited,
    ChildFailed,
    ChildReady,
    ChildState,
    ChildStuck,
    Command,
    Commanded,
    Concluded,
    Event,
    Finish,
    HandOver,
    Knocked,
    Launch,
    Log,
    Measure,
    Measured,
    Order,
    Outcome,
    Phase,
    Prepare,
    Prepared,
    Refused,
    ReopenLogs,
    Resized,
    Resume,
    Role,
    Scaled,
    Spawn,
    StopListening,
    Strategy,
    Tell,
    Ticked,
    Turn,
    Vacate,
)
from hostler.supervisor.plan import Plan, Plans, size_of_stage
from hostler.supervisor.recycling import draw_limits
from hostler.supervisor.roster import Child, Roster
from hostler.supervisor.upkeep import Upkeep

# Seconds that a child has to end when it has nothing to finish: it was still starting, or was told to stop now
# (arbitrary).
PROMPT_TIMEOUT = 2.0
# What the program needs to come as far as its own children, beside their time (arbitrary).
PROGRAM_TIMEOUT = 15.0
# The name of the role of the supervisor that an upgrade starts.
NEW_SUPERVISOR = "new supervisor"

SlotKey = tuple[int, str, int]


class Core:
    """The state machine of one supervisor."""

    def __init__(
        self, roles: tuple[Role, ...], random_fraction: Callable[[], float], strategy: Strategy = Strategy.ALL
    ) -> None:
        """Begin with the first generation, whose number is 1.

        Args:
            roles: what is wanted, roles that fork others first.
            random_fraction: returns a number from 0 to 1, for the jitter of back-off.
            strategy: how many children are replaced at a time.
        """
        self.phase = Phase.BOOTING
        self.roster = Roster()
        self.plans = Plans(Plan(1, roles, strategy))
        self._random_fraction = random_fraction
        self._backoffs: dict[SlotKey, Backoff] = {}
        self._generations = 1
        self._is_reload_wanted = False
        self._is_upgrade_wanted = False
        self._upkeep = Upkeep(self.roster, roles)
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
            ChildStuck: self._note_stuck,
            ChildExited: self._note_exited,
            Commanded: self._note_command,
            Resized: self._note_resized,
            Measured: self._note_measured,
            Knocked: self._note_knock,
        }
        self._commands: dict[Command, Callable[[], None]] = {
            Command.DRAIN: self._begin_stop,
            Command.INTERRUPT: self._interrupt,
            Command.STOP: self._stop_now,
            Command.RELOAD: self._want_reload,
            Command.UPGRADE: self._want_upgrade,
            Command.MORE: lambda: self._scale(lambda count: count + 1),
            Command.FEWER: lambda: self._scale(lambda count: count - 1),
            Command.REOPEN_LOGS: self._reopen_logs,
        }

    @property
    def children(self) -> dict[int, Child]:
        """All children, by number."""
        return self.roster.children

    @property
    def current(self) -> Plan:
        """What serves, or is to serve, outside of reloads."""
        return self.plans.current

    @property
    def candidate(self) -> Plan | None:
        """What a reload brings, while it is under way."""
        return self.plans.candidate

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
            for child, reason in self._upkeep.find_aged(now):
                self._recycle(child, reason)
            self._reconcile()
            if self._upkeep.is_due(now, is_idle=self.is_awaiting_knock):
                self._actions.append(Measure())
        return self._actions

    @property
    def is_awaiting_knock(self) -> bool:
        """Whether nobody serves because nobody has asked for anything, so that the listeners must be watched."""
        return self.phase is not Phase.STOPPING and any(
            role.count == 0 and self._upkeep.decides_on(role) for role in self.current.roles
        )

    def deadline(self) -> float | None:
        """Return the point in time at which a `Ticked` is due, or None."""
        points = list(self.roster.deadlines())
        if self.phase is not Phase.STOPPING:
            if self._upkeep.measure_at is not None:
                points.append(self._upkeep.measure_at)
            points += [each.not_before for each in self._backoffs.values() if each.not_before > self._now]
        return min(points, default=None)

    # Noting what happened.

    def _note_tick(self, _: Ticked) -> None:
        """Deadlines are looked at in every step."""

    def _note_prepared(self, event: Prepared) -> None:
        if self.phase is Phase.RELOADING:
            roles = tuple(self._carried_over(role) for role in event.roles)
            self.plans.propose(Plan(event.generation, roles, event.strategy))

    def _note_refused(self, event: Refused) -> None:
        if self.phase is Phase.RELOADING:
            self._say("error", f"reload refused, the old configuration stays: {event.message}")
            self.phase = Phase.RUNNING  # RELOADING -> RUNNING
            self._conclude(Outcome.REFUSED, event.message)

    def _note_ready(self, event: ChildReady) -> None:
        child = self.children.get(event.child)
        if child is None or not self._turn(child, Turn.REPORTED_READY):
            return
        child.deadline = None
        self._say("debug", f"{child.name} is ready")
        if _is_new_supervisor(child):
            self._hand_over(child)

    def _note_failed(self, event: ChildFailed) -> None:
        child = self.children.get(event.child)
        if child is not None and child.state is ChildState.STARTING:
            self._fail(child, event.message, event.details, event.status)

    def _note_recycling(self, event: ChildAskedRecycling) -> None:
        child = self.children.get(event.child)
        if child is not None and child.state is ChildState.READY:
            child.wants_successor = True

    def _note_stuck(self, event: ChildStuck) -> None:
        """It is succeeded first, finishes what it can, and is ended as the last step."""
        child = self.children.get(event.child)
        if child is None or child.state not in (ChildState.READY, ChildState.DRAINING):
            return
        if not child.is_stuck:
            self._say("error", f"{child.name} is stuck with {event.message} and is replaced")
        child.is_stuck = child.wants_successor = True
        child.is_hopeless |= event.is_hopeless
        if child.is_hopeless and child.deadline is not None:
            child.deadline = min(child.deadline, self._now + PROMPT_TIMEOUT)

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
        if self.plans.is_candidate(child.generation):
            self._abandon(f"{child.name} {reason} soon after it was ready", "")
            return
        self._back_off(child)
        self._say("error", f"{child.name} {reason}{self._restart_words(child)}")

    def _note_command(self, event: Commanded) -> None:
        self._commands[event.command]()

    def _note_resized(self, event: Resized) -> None:
        self._scale(lambda _: event.count)

    # Recycling and scaling.

    def _note_measured(self, event: Measured) -> None:
        if self.phase is Phase.STOPPING:
            return
        for child, reason in self._upkeep.find_worn(event.memory):
            self._recycle(child, reason)
        for role, count, load in self._upkeep.find_wanted(event, self.current, self._now):
            if count > 0:
                self._follow_load(role, count, f"{load.busy:.0%} busy, {load.waiting} waiting")
            elif self.phase is Phase.RUNNING:
                # A reload without children would show nothing of its release.
                self._follow_load(role, 0, "idle")

    def _note_knock(self, _: Knocked) -> None:
        if self.is_awaiting_knock:
            for role in filter(self._upkeep.decides_on, self.current.roles):
                self._follow_load(role, self._upkeep.wake(role, self._now), "somebody has connected")

    def _follow_load(self, role: Role, count: int, reason: str) -> None:
        if count != role.count:
            self._say("info", f"scaling from {role.count} to {count} {role.name}s: {reason}")
            self._set_count(role.name, count)

    def _carried_over(self, role: Role) -> Role:
        """Give a role of a new generation the count that the load has brought its former one to; never none."""
        former = self.current.role(role.name)
        if role.scaling is None or former is None or not self._upkeep.decides_on(role):
            return role
        return replace(role, count=max(1, role.scaling.clamp(former.count)))

    def _recycle(self, child: Child, reason: str) -> None:
        child.wants_successor = True
        self._say("info", f"{child.name} is to be recycled: {reason}")

    # Failing to come up.

    def _fail(self, child: Child, message: str, details: str, status: int) -> None:
        """A starting child cannot come up: that ends a boot, abandons a candidate, and otherwise counts as a crash."""
        self._drain(child)
        if self.phase is Phase.BOOTING:
            self._finish = Finish(status, message, details)
            self._begin_stop()
        elif _is_new_supervisor(child):
            self._abandon_upgrade(message, details)
        elif self.plans.is_candidate(child.generation):
            self._abandon(message, details)
        elif self.phase is not Phase.STOPPING:
            self._back_off(child)
            self._say("error", f"{child.name} did not come up: {message}{self._restart_words(child)}", details)

    def _abandon(self, message: str, details: str) -> None:
        assert self.candidate is not None
        candidate, self.plans.candidate = self.candidate, None
        self.phase = Phase.RUNNING  # RELOADING -> RUNNING
        restored = "; those that were replaced come back" if candidate.committed else ""
        self._say("error", f"reload abandoned, the old workers stay{restored}: {message}", details)
        self._actions.append(Abandon(candidate.generation))
        self._conclude(Outcome.ABANDONED, message, details)

    def _conclude(
        self, outcome: Outcome, message: str = "", details: str = "", command: Command = Command.RELOAD
    ) -> None:
        self._actions.append(Concluded(outcome, message, details, command))

    def _abandon_upgrade(self, message: str, details: str) -> None:
        if self.phase is Phase.UPGRADING:
            self.phase = Phase.RUNNING  # UPGRADING -> RUNNING
            self._say("error", f"upgrade abandoned, this supervisor and its workers stay: {message}", details)
            self._actions.append(Resume())
            self._conclude(Outcome.ABANDONED, message, details, Command.UPGRADE)

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

    def _enter_stop(self, command: Command | None = None) -> None:
        """No reload or upgrade goes on from here, nor begins; `command` has led here and is concluded otherwise."""
        due = {
            Command.RELOAD: self._is_reload_wanted or self.phase is Phase.RELOADING,
            Command.UPGRADE: self._is_upgrade_wanted or self.phase is Phase.UPGRADING,
        }
        self._is_reload_wanted = self._is_upgrade_wanted = False
        self.phase = Phase.STOPPING
        for each, is_due in due.items():
            if is_due and each is not command:
                self._conclude(Outcome.STOPPED, "the server is stopping", command=each)

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

    def _want_upgrade(self) -> None:
        """Like reloads, an upgrade waits for what is under way."""
        if self.phase is not Phase.STOPPING:
            self._is_upgrade_wanted = True

    def _scale(self, change: Callable[[int], int]) -> None:
        """An operator's count holds until the next reload; scaling waits for that."""
        if self.phase is Phase.STOPPING:
            return
        pinned = "; scaling pauses until the next reload" if self._upkeep.pause() else ""
        for role in self.current.roles:
            if role.is_scalable:
                self._set_count(role.name, max(1, change(role.count)))
        wanted = ", ".join(f"{role.count} {role.name}s" for role in self.current.roles if role.is_scalable)
        self._say("info", f"now wanted: {wanted}{pinned}")

    def _set_count(self, name: str, count: int) -> None:
        """Change the count of a role, in all plans."""
        for plan in self.plans:
            role = plan.role(name)
            if role is not None and role.count != count:
                plan.roles = tuple(replace(each, count=count) if each is role else each for each in plan.roles)
                if plan is self.current:
                    self._actions += [Vacate(name, slot) for slot in range(role.count, count, -1)]
                    self._actions.append(Scaled(name, count))

    def _reopen_logs(self) -> None:
        # Ours first: it creates the new file with the owner that lets the children open it.
        self._actions.append(ReopenLogs())
        self._actions += [Tell(child.number, Order.REOPEN_LOGS) for child in self.children.values()]

    # Upgrading.

    def _begin_upgrade(self) -> None:
        self._is_upgrade_wanted = False
        self.phase = Phase.UPGRADING  # RUNNING -> UPGRADING
        boot_timeout = PROGRAM_TIMEOUT + sum(role.boot_timeout for role in self.current.roles)
        graceful_timeout = PROMPT_TIMEOUT + max(role.graceful_timeout for role in self.current.roles)
        role = Role(NEW_SUPERVISOR, boot_timeout=boot_timeout, graceful_timeout=graceful_timeout)
        self._say("info", "upgrading: starting a new supervisor")
        child = self.roster.add(role, 1, self.current.generation, self._now)
        self._actions.append(Launch(child.number))

    def _hand_over(self, child: Child) -> None:
        """The new supervisor serves: from here on it is on its own, and there is no way back."""
        del self.children[child.number]
        self._enter_stop(Command.UPGRADE)  # UPGRADING -> STOPPING
        self._say("info", "upgraded: the new supervisor serves; requests in progress here are finished")
        self._actions.append(HandOver(child.number))
        self._conclude(Outcome.UPGRADED, command=Command.UPGRADE)
        self._retire(lambda _: True)

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
        for plan in self.plans:
            for role, slot in plan.slots():
                self._fill(plan, role, slot)
        if self.phase is not Phase.RELOADING:
            self._start_successors()

    def _settle(self) -> None:
        """Take the steps of the supervisor's own life that have become possible."""
        if self.phase is Phase.BOOTING and self._is_complete(self.current):
            self.phase = Phase.RUNNING  # BOOTING -> RUNNING
            self._actions.append(Announce())
        if self.candidate is not None and self._is_complete(self.candidate):
            self._advance(self.candidate)
        if self._is_upgrade_wanted and self.phase is Phase.RUNNING:
            self._begin_upgrade()
        if self._is_reload_wanted and self.phase is Phase.RUNNING:
            self._is_reload_wanted = False
            self.phase = Phase.RELOADING  # RUNNING -> RELOADING
            self._generations += 1
            self._say("info", "reloading")
            self._actions.append(Prepare(self._generations))

    def _advance(self, candidate: Plan) -> None:
        """All that the candidate has begun is ready: its slots are its own, and the next stage begins when they are."""
        if candidate.is_begun:
            self._adopt(candidate)
            return
        candidate.committed = candidate.begun
        self._retire(self._is_surplus)
        if not self.roster.find(self._is_in_the_way):
            candidate.begin_stage()
            self._say("debug", f"reloading: the next workers, up to worker {candidate.begun}")

    def _is_in_the_way(self, child: Child) -> bool:
        """Whether it still has memory that the next stage is to have."""
        owner = self.plans.owner(child.role.name, child.slot)
        return child.role.is_scalable and owner is self.candidate and child.generation != owner.generation

    def _adopt(self, candidate: Plan) -> None:
        self.plans.adopt(candidate)
        self._upkeep.follow(candidate.roles)
        self.phase = Phase.RUNNING  # RELOADING -> RUNNING
        self._backoffs = {key: value for key, value in self._backoffs.items() if key[0] == candidate.generation}
        # Before anybody hears that the reload is done.
        self._retire(self._is_surplus)
        self._say("info", "reloaded")
        self._actions.append(Adopt(candidate.generation))
        self._actions += [Scaled(role.name, role.count) for role in candidate.roles if role.is_scalable]
        self._conclude(Outcome.RELOADED)

    def _is_complete(self, plan: Plan) -> bool:
        return all(self.roster.is_served(role.name, slot, plan.generation) for role, slot in plan.slots())

    def _fill(self, plan: Plan, role: Role, slot: int) -> None:
        """Start a child where none is, unless the slot belongs to another plan or it is too soon."""
        if self.roster.occupants(role.name, slot, plan.generation) or not self._may_start(plan, role, slot):
            return
        if plan is self.current and self.plans.owner(role.name, slot) is not plan:
            return
        # Somebody of an abandoned generation may serve there.
        is_urgent = plan is not self.current or not self.roster.is_served(role.name, slot)
        if is_urgent or self._has_room_for_successor(plan, role):
            self._spawn(plan, role, slot)

    def _start_successors(self) -> None:
        for child in self.roster.find(self._is_due):
            role = self.current.role(child.role.name)
            if (
                role is not None
                and self._has_room_for_successor(self.current, role)
                and self._may_start(self.current, role, child.slot)
            ):
                self._spawn(self.current, role, child.slot)

    def _is_due(self, child: Child) -> bool:
        """Whether it has asked for a successor, and none is on its way."""
        return (
            self._wants_successor(child)
            and child.generation == self.current.generation
            and self.current.has_slot(child.role.name, child.slot)
            and len(self.roster.occupants(child.role.name, child.slot, child.generation)) == 1
        )

    def _has_room_for_successor(self, plan: Plan, role: Role) -> bool:
        """Whether one more child may be replaced: never more than a share of them at once."""
        under_way = self.roster.find(
            lambda child: (
                child.role.name == role.name
                and child.state is ChildState.STARTING
                and len(self.roster.occupants(role.name, child.slot)) > 1
            )
        )
        return len(under_way) < size_of_stage(plan.strategy, role.count)

    def _wants_successor(self, child: Child) -> bool:
        return child.wants_successor and child.is_ready

    def _forking_child(self, plan: Plan, role: Role) -> int | None:
        """Return the child that forks this role, 0 for ourselves, or None while there is none."""
        return self._ready_child(plan, role.via) if role.via else 0

    def _ready_child(self, plan: Plan, role: str) -> int | None:
        """Return the ready child of a role that has but one, or None."""
        return next((child.number for child in self.roster.occupants(role, 1, plan.generation) if child.is_ready), None)

    def _may_start(self, plan: Plan, role: Role, slot: int) -> bool:
        history = self._backoffs.get((plan.generation, role.name, slot))
        if history is not None and self._now < history.not_before:
            return False
        return self._forking_child(plan, role) is not None and self._has_come_after(plan, role)

    def _has_come_after(self, plan: Plan, role: Role) -> bool:
        """Whether what the role must come after is there."""
        return not role.after or self._ready_child(plan, role.after) is not None

    def _is_surplus(self, child: Child) -> bool:
        """Whether its slot is no longer wanted, or another generation has it by now."""
        name, slot = child.role.name, child.slot
        if _is_new_supervisor(child):
            return False
        owner = self.candidate if self.plans.is_candidate(child.generation) else self.plans.owner(name, slot)
        assert owner is not None
        if child.generation == owner.generation or not owner.has_slot(name, slot):
            return not owner.has_slot(name, slot)
        return not child.is_ready or self.roster.is_served(name, slot, owner.generation)

    def _is_succeeded(self, child: Child) -> bool:
        """Whether the successor that it asked for is ready."""
        if not self._wants_successor(child):
            return False
        occupants = self.roster.occupants(child.role.name, child.slot, child.generation)
        return any(each is not child and each.is_ready for each in occupants)

    # Changing children.

    def _spawn(self, plan: Plan, role: Role, slot: int) -> None:
        via = self._forking_child(plan, role)
        assert via is not None
        child = self.roster.add(role, slot, plan.generation, self._now)
        child.limits = draw_limits(role.wear, self._random_fraction())
        self._actions.append(Spawn(child.number, role.name, slot, plan.generation, via))

    def _retire(self, is_chosen: Callable[[Child], bool]) -> None:
        for child in self.roster.find(lambda child: child.is_active and is_chosen(child)):
            self._drain(child)

    def _drain(self, child: Child) -> None:
        """Tell a child to finish and go; one that still starts has nothing to finish."""
        is_prompt = child.state is ChildState.STARTING or child.is_hopeless
        patience = PROMPT_TIMEOUT if is_prompt else child.role.graceful_timeout
        if self._turn(child, Turn.DRAIN) and child.number in self.children:
            child.deadline = self._now + patience
            self._actions.append(Tell(child.number, Order.DRAIN))

    def _enforce_deadlines(self) -> None:
        for child in list(self.children.values()):
            if child.deadline is None or self._now < child.deadline:
                continue
            if child.state is ChildState.STARTING:
                option = "" if _is_new_supervisor(child) else " (workers.boot_timeout)"
                self._fail(child, f"{child.name} was not ready within {child.role.boot_timeout:g} s{option}", "", 3)
            elif child.is_stuck:
                # Once: what comes after it is the end.
                child.is_stuck = False
                self._say("warning", f"{child.name} did not end in time and is told to say where it is, and end")
                child.deadline = self._now + PROMPT_TIMEOUT
                self._actions.append(Tell(child.number, Order.ABORT))
                continue
            elif child.state is not ChildState.KILLED:
                self._say("warning", f"{child.name} did not end in time and is killed")
            self._kill(child)

    def _kill(self, child: Child) -> None:
        self._turn(child, Turn.KILL)
        child.deadline = None
        self._actions.append(Tell(child.number, Order.KILL))

    def _turn(self, child: Child, turn: Turn) -> bool:
        return child.turn(turn, self._now)

    def _say(self, level: str, message: str, details: str = "") -> None:
        self._actions.append(Log(level, message, details))


def _is_new_supervisor(child: Child) -> bool:
    return child.role.name == NEW_SUPERVISOR
