"""Whatever happens, in whatever order: the promises of the supervisor's core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hostler.supervisor.core import NEW_SUPERVISOR
from hostler.supervisor.model import (
    ACTIVE,
    ChildState,
    Command,
    Concluded,
    HandOver,
    Knocked,
    Launch,
    Log,
    Measured,
    Order,
    Phase,
    Prepare,
    Resized,
    Role,
    StopListening,
    Strategy,
    Tell,
)
from hostler.supervisor.plan import size_of_stage
from hostler.supervisor.recycling import Wear
from hostler.supervisor.scaling import Load, Scaling
from tests.fakes.supervision import Drive, preloaded, workers

COUNTS = st.integers(1, 4)
WEAR = Wear(age=100.0, memory=100, growth=50)


class SupervisorMachine(RuleBasedStateMachine):
    """A supervisor whose children do whatever they like, but end when they are killed."""

    # Most of what can go wrong goes wrong after the start, and a failed start ends everything.
    @initialize(
        count=COUNTS,
        preload=st.booleans(),
        scaling=st.sampled_from([None, Scaling(0, 4, idle=60.0), Scaling(2, 4, memory=300)]),
        strategy=st.sampled_from(Strategy),
        is_booted=st.sampled_from([True, True, True, False]),
    )
    def start(self, count: int, preload: bool, scaling: Scaling | None, strategy: Strategy, is_booted: bool) -> None:
        self.preload = preload
        self.scaling = scaling
        self.strategy = strategy
        self.greatest_count = count
        self.drive = Drive(self._roles(count), strategy)
        if is_booted:
            self.drive.booted()

    def _roles(self, count: int) -> tuple[Role, ...]:
        roles = preloaded(count) if self.preload else workers(count)
        return tuple(replace(role, wear=WEAR, scaling=self.scaling) if role.is_scalable else role for role in roles)

    def _pick(self, data: st.DataObject, *states: ChildState) -> int | None:
        numbers = sorted(self.drive.numbers(*states))
        return data.draw(st.sampled_from(numbers)) if numbers else None

    def _answer(self, is_good: bool, count: int) -> None:
        """A request to prepare is always answered at once, as the shell does."""
        if self.drive.core.phase is Phase.RELOADING and self.drive.core.candidate is None:
            if is_good:
                self.drive.prepared(self._roles(count), self.strategy)
            else:
                self._check_failed_reload(self.drive.refused)

    def _check_failed_reload(self, fail: Callable[[], object]) -> None:
        before = set(self._ready(self.drive.core.current.generation))
        served = self._served()
        fail()
        assert set(self._ready(self.drive.core.current.generation)) == before
        assert self._served() == served

    def _ready(self, generation: int) -> list[int]:
        return [each.number for each in self.drive.children(ChildState.READY) if each.generation == generation]

    def _served(self) -> set[tuple[str, int]]:
        """The wanted slots in which somebody serves."""
        wanted = {(role.name, slot) for role, slot in self.drive.core.current.slots()}
        return {(each.role.name, each.slot) for each in self.drive.children(ChildState.READY)} & wanted

    @rule(data=st.data(), is_good=st.booleans(), count=COUNTS)
    def child_gets_ready(self, data: st.DataObject, is_good: bool, count: int) -> None:
        child = self._pick(data, ChildState.STARTING)
        if child is not None:
            self.drive.ready(child)
            self._answer(is_good, count)

    @rule(data=st.data(), is_good=st.booleans(), count=COUNTS)
    def child_cannot_load(self, data: st.DataObject, is_good: bool, count: int) -> None:
        child = self._pick(data, ChildState.STARTING)
        if child is None:
            return
        candidate = self.drive.core.candidate
        if candidate is not None and self.drive.core.children[child].generation == candidate.generation:
            self._check_failed_reload(lambda: self.drive.fail(child))
        else:
            self.drive.fail(child)
        self._answer(is_good, count)

    @rule(data=st.data(), is_good=st.booleans(), count=COUNTS)
    def child_ends(self, data: st.DataObject, is_good: bool, count: int) -> None:
        child = self._pick(data, *ChildState)
        if child is not None:
            self.drive.exit(child)
            self._answer(is_good, count)

    @rule(data=st.data())
    def child_asks_for_recycling(self, data: st.DataObject) -> None:
        child = self._pick(data, ChildState.READY)
        if child is not None:
            self.drive.recycle(child)

    @rule(seconds=st.sampled_from([0.0, 0.4, 1.0, 2.0, 30.0, 60.0]), is_good=st.booleans(), count=COUNTS)
    def time_passes(self, seconds: float, is_good: bool, count: int) -> None:
        self.drive.wait(seconds)
        self._answer(is_good, count)

    @rule(command=st.sampled_from([Command.MORE, Command.FEWER, Command.REOPEN_LOGS]))
    def operator_adjusts(self, command: Command) -> None:
        self.drive.command(command)

    @rule(count=COUNTS)
    def operator_resizes(self, count: int) -> None:
        self.drive.feed(Resized(count))

    @rule(is_good=st.booleans(), count=COUNTS)
    def operator_reloads(self, is_good: bool, count: int) -> None:
        self.drive.command(Command.RELOAD)
        self._answer(is_good, count)

    @rule(
        busy=st.sampled_from([0.0, 0.3, 0.95]),
        waiting=st.sampled_from([0, 0, 5]),
        requests=st.integers(0, 2),
        memory=st.sampled_from([10, 50, 200]),
        seconds=st.sampled_from([1.0, 3.0, 40.0]),
    )
    def load_is_measured(self, busy: float, waiting: int, requests: int, memory: int, seconds: float) -> None:
        served = self._served()
        self.drive.clock.advance(seconds)
        ready = dict.fromkeys(self.drive.numbers(ChildState.READY), memory)
        self.drive.feed(Measured(ready, {"worker": Load(busy, waiting, requests)}))
        if self.drive.core.phase in (Phase.STOPPING, Phase.ENDED):
            # A boot has not ended in time.
            return
        assert self._served() >= {(name, slot) for name, slot in served if self.drive.core.current.has_slot(name, slot)}

    @rule()
    def somebody_connects(self) -> None:
        was_awaited = self.drive.core.is_awaiting_knock
        self.drive.feed(Knocked())
        if was_awaited:
            assert self.drive.core.current.has_slot("worker", 1)

    @rule(is_good=st.booleans(), count=COUNTS)
    def operator_upgrades(self, is_good: bool, count: int) -> None:
        served = self._served()
        self.drive.command(Command.UPGRADE)
        self._answer(is_good, count)
        assert self._served() == served

    @precondition(lambda self: len(self.drive.actions) > 30)
    @rule(command=st.sampled_from([Command.DRAIN, Command.INTERRUPT, Command.STOP]))
    def operator_stops(self, command: Command) -> None:
        self.drive.command(command)

    @invariant()
    def never_more_than_wanted_and_one(self) -> None:
        core = self.drive.core
        for plan in filter(None, (core.current, core.candidate)):
            for role in plan.roles:
                active = [
                    each
                    for each in self.drive.children(*ACTIVE)
                    if each.generation == plan.generation and each.role.name == role.name
                ]
                # Successors that were begun before there were to be fewer stay.
                self.greatest_count = max(self.greatest_count, role.count)
                assert len(active) <= role.count + size_of_stage(plan.strategy, self.greatest_count + 1)

    @invariant()
    def nobody_else_takes_a_slot_but_who_serves_until_it_is_restored(self) -> None:
        core = self.drive.core
        known = {plan.generation for plan in (core.current, core.candidate) if plan is not None}
        for child in self.drive.children(*ACTIVE):
            if child.generation not in known:
                assert child.is_ready
                owner = core.plans.owner(child.role.name, child.slot)
                assert not core.roster.is_served(child.role.name, child.slot, owner.generation)

    @invariant()
    def new_supervisor_is_there_only_in_an_upgrade_and_only_once(self) -> None:
        core = self.drive.core
        new = [each for each in self.drive.children(*ACTIVE) if each.role.name == NEW_SUPERVISOR]
        assert len(new) == (core.phase is Phase.UPGRADING)

    @invariant()
    def listeners_are_given_away_or_closed_but_once(self) -> None:
        ends = len(self.drive.asked(HandOver)) + len(self.drive.asked(StopListening))
        assert ends == (self.drive.core.phase in (Phase.STOPPING, Phase.ENDED))

    @invariant()
    def everyone_on_the_way_out_has_a_deadline_or_is_killed(self) -> None:
        for child in self.drive.core.children.values():
            if child.state in (ChildState.STARTING, ChildState.DRAINING, ChildState.STOPPING):
                assert child.deadline is not None
            if child.state is ChildState.KILLED:
                assert Tell(child.number, Order.KILL) in self.drive.actions

    @invariant()
    def every_request_to_prepare_is_new(self) -> None:
        asked = self.drive.asked(Prepare)
        assert len({each.generation for each in asked}) == len(asked)

    @invariant()
    def every_reload_that_began_is_concluded_once(self) -> None:
        begun = len(self.drive.asked(Prepare))
        concluded = sum(each.command is Command.RELOAD for each in self.drive.asked(Concluded))
        match self.drive.core.phase:
            case Phase.RELOADING:
                assert concluded == begun - 1
            case Phase.RUNNING | Phase.UPGRADING:
                assert concluded == begun
            case _:
                assert begun <= concluded <= begun + 1

    @invariant()
    def every_upgrade_that_began_is_concluded_once(self) -> None:
        begun = len(self.drive.asked(Launch))
        concluded = sum(each.command is Command.UPGRADE for each in self.drive.asked(Concluded))
        match self.drive.core.phase:
            case Phase.UPGRADING:
                assert concluded == begun - 1
            case Phase.RUNNING | Phase.RELOADING:
                assert concluded == begun
            case _:
                assert begun <= concluded <= begun + 1

    @invariant()
    def nothing_runs_after_the_end(self) -> None:
        if self.drive.core.phase is Phase.ENDED:
            assert not self.drive.core.children
            assert self.drive.finish() is not None

    def teardown(self) -> None:
        """However it went, it ends when asked, within its deadlines."""
        if not hasattr(self, "drive"):
            return
        asked_at = self.drive.clock.now()
        self.drive.command(Command.DRAIN)
        for _ in range(100):
            deadline = self.drive.core.deadline()
            if deadline is None:
                break
            self.drive.wait(max(0.0, deadline - self.drive.clock.now()))
        for child in self.drive.numbers(*ChildState):
            self.drive.exit(child)
        assert self.drive.core.phase is Phase.ENDED
        assert self.drive.clock.now() - asked_at <= 32.001
        levels = {action.level for action in self.drive.asked(Log)}
        assert levels <= {"debug", "info", "warning", "error"}


SupervisorMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestSupervisorMachine = SupervisorMachine.TestCase
