"""The supervisor's decisions, without an operating system."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostler.supervisor.core import PROMPT_TIMEOUT
from hostler.supervisor.model import (
    TRANSITIONS,
    Abandon,
    Adopt,
    Announce,
    ChildState,
    Command,
    Concluded,
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
    ReopenLogs,
    Resized,
    Resume,
    Scaled,
    Spawn,
    StopListening,
    Strategy,
    Tell,
    Turn,
    Vacate,
)
from hostler.supervisor.recycling import Wear
from hostler.supervisor.scaling import Load, Scaling
from tests.fakes.supervision import Drive, preloaded, prepared, workers


class TestBoot:
    def test_all_slots_are_filled_at_once(self) -> None:
        assert Drive(workers(3)).spawned() == [("worker", 1, 1), ("worker", 2, 1), ("worker", 3, 1)]

    def test_server_is_announced_when_the_last_worker_is_ready(self) -> None:
        drive = Drive(workers(2))
        assert Announce() not in drive.ready(1)
        assert Announce() in drive.ready(2)
        assert drive.core.phase is Phase.RUNNING

    def test_worker_that_cannot_load_ends_everything_with_its_own_words(self) -> None:
        drive = Drive(workers(2))
        drive.fail(1, "there is no module 'shop'", "Traceback of shop")
        drive.exit(1)
        drive.exit(2)
        assert drive.finish() == Finish(3, "there is no module 'shop'", "Traceback of shop")

    def test_failed_start_is_not_tried_again(self) -> None:
        drive = Drive(workers(2))
        drive.fail(1)
        drive.exit(1)
        drive.wait(100)
        assert len(drive.spawned()) == 2

    def test_first_failure_is_the_one_that_is_told(self) -> None:
        drive = Drive(workers(2))
        drive.fail(1, "first")
        drive.fail(2, "second")
        drive.exit(1)
        drive.exit(2)
        finish = drive.finish()
        assert finish is not None
        assert finish.message == "first"

    def test_worker_that_dies_while_it_loads_ends_everything(self) -> None:
        drive = Drive(workers(1))
        drive.exit(1, "was killed by SIGSEGV")
        assert drive.finish() == Finish(3, "worker 1 was killed by SIGSEGV before it was ready")

    def test_worker_that_is_not_ready_in_time_is_killed_and_ends_everything(self) -> None:
        drive = Drive(workers(1))
        drive.wait(59)
        assert drive.orders(Order.KILL) == []
        drive.wait(1)
        assert drive.orders(Order.KILL) == [1]
        drive.exit(1, "was killed by SIGKILL")
        assert drive.finish() == Finish(3, "worker 1 was not ready within 60 s (workers.boot_timeout)")

    def test_stop_during_the_start_is_a_clean_stop(self) -> None:
        drive = Drive(workers(1))
        drive.command(Command.DRAIN)
        drive.exit(1, "was killed by SIGTERM")
        assert drive.finish() == Finish(0)

    def test_reload_during_the_start_follows_it(self) -> None:
        drive = Drive(workers(1))
        drive.command(Command.RELOAD)
        assert drive.asked(Prepare) == []
        drive.ready(1)
        assert drive.asked(Prepare) == [Prepare(2)]


class TestOrder:
    """Roles that come after another one."""

    def test_nobody_starts_before_what_they_come_after_is_ready(self) -> None:
        drive = Drive(prepared(2))
        assert drive.spawned() == [("hooks", 1, 1)]
        drive.ready(1)
        assert drive.spawned() == [("hooks", 1, 1), ("worker", 1, 1), ("worker", 2, 1)]

    def test_preparation_that_fails_ends_the_start_without_a_worker(self) -> None:
        drive = Drive(prepared(2))
        drive.fail(1, "the migration failed", "")
        drive.exit(1)
        assert drive.spawned() == [("hooks", 1, 1)]
        assert drive.finish() == Finish(3, "the migration failed")

    def test_preparation_of_a_reload_that_fails_abandons_it(self) -> None:
        drive = Drive(prepared(1))
        drive.ready(1)
        drive.ready(2)
        drive.command(Command.RELOAD)
        drive.prepared(prepared(1))
        assert drive.spawned()[-1] == ("hooks", 1, 2)
        drive.fail(3, "the migration failed")
        assert drive.asked(Abandon) == [Abandon(2)]
        assert [drive.core.children[number].state for number in (1, 2)] == [ChildState.READY] * 2


class TestCrash:
    def test_crashed_worker_is_replaced_at_once_in_its_slot(self) -> None:
        drive = Drive().booted()
        drive.exit(2, "was killed by SIGKILL")
        assert drive.spawned() == [("worker", 2, 1)]
        assert "worker 2 was killed by SIGKILL; starting another now" in drive.logged()

    def test_second_crash_in_a_row_waits(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.exit(1)
        drive.ready(2)
        drive.exit(2)
        assert len(drive.spawned()) == 1
        deadline = drive.core.deadline()
        assert deadline is not None
        assert deadline - drive.clock.now() == pytest.approx(0.5)
        drive.wait(0.5)
        assert len(drive.spawned()) == 2

    def test_other_slots_do_not_wait(self) -> None:
        drive = Drive(workers(2)).booted()
        for child in (1, 3):
            drive.exit(child)
            drive.ready(*drive.numbers(ChildState.STARTING))
        drive.exit(2)
        assert drive.spawned()[-1] == ("worker", 2, 1)

    def test_stable_worker_is_replaced_at_once_again(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.exit(1)
        drive.ready(2)
        drive.wait(10)
        drive.exit(2)
        assert len(drive.spawned()) == 2

    def test_replacement_that_cannot_load_backs_off_and_nothing_ends(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.exit(1)
        drive.fail(2)
        drive.exit(2)
        assert drive.core.phase is Phase.RUNNING
        assert len(drive.spawned()) == 1
        drive.wait(0.5)
        assert len(drive.spawned()) == 2

    def test_one_failure_counts_once(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.exit(1)
        drive.fail(2)
        drive.exit(2)
        assert drive.core._backoffs[1, "worker", 1].crashes == 2

    def test_late_exit_of_an_unknown_child_is_nothing(self) -> None:
        drive = Drive().booted()
        assert drive.exit(99) == []


class TestReload:
    def test_new_workers_are_ready_before_old_ones_drain(self) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(2))
        assert drive.spawned() == [("worker", 1, 2), ("worker", 2, 2)]
        drive.ready(3)
        assert drive.orders(Order.DRAIN) == []
        drive.ready(4)
        assert drive.orders(Order.DRAIN) == [1, 2]
        assert drive.asked(Adopt) == [Adopt(2)]

    def test_single_worker_is_never_missed(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        assert drive.numbers(ChildState.READY) == [1]
        drive.ready(2)
        assert drive.numbers(ChildState.READY) == [2]

    def test_wrong_configuration_leaves_the_old_workers(self) -> None:
        drive = Drive().booted()
        drive.command(Command.RELOAD)
        drive.refused("hostler.toml: unknown option 'treads'")
        assert drive.core.phase is Phase.RUNNING
        assert drive.spawned() == []
        assert drive.orders(Order.DRAIN) == []
        assert "unknown option 'treads'" in drive.logged()

    def test_release_that_cannot_load_never_replaces_one_that_runs(self) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(2))
        drive.ready(3)
        drive.fail(4, "no module named 'shop'", "Traceback of shop")
        assert drive.asked(Abandon) == [Abandon(2)]
        assert sorted(drive.orders(Order.DRAIN)) == [3, 4]
        assert sorted(drive.numbers(ChildState.READY)) == [1, 2]
        errors = [action for action in drive.asked(Log) if action.level == "error"]
        assert [action.details for action in errors] == ["Traceback of shop"]

    def test_abandoned_release_is_not_tried_again(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.fail(2)
        drive.exit(2)
        drive.wait(100)
        assert len(drive.spawned()) == 1

    @pytest.mark.parametrize("is_ready", [False, True])
    def test_release_that_crashes_before_it_serves_is_abandoned(self, is_ready: bool) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(2))
        if is_ready:
            drive.ready(3)
        drive.exit(3, "was killed by SIGSEGV")
        assert drive.asked(Abandon) == [Abandon(2)]
        assert sorted(drive.numbers(ChildState.READY)) == [1, 2]

    def test_release_that_never_gets_ready_is_abandoned(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.wait(60)
        assert drive.orders(Order.KILL) == [2]
        assert drive.core.phase is Phase.RUNNING
        assert drive.numbers(ChildState.READY) == [1]

    def test_reloads_during_a_reload_become_one(self) -> None:
        drive = Drive(workers(1)).booted()
        for _ in range(5):
            drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.command(Command.RELOAD)
        drive.command(Command.RELOAD)
        assert drive.asked(Prepare) == [Prepare(2)]
        drive.ready(2)
        assert drive.asked(Prepare) == [Prepare(2), Prepare(3)]
        drive.prepared(workers(1))
        drive.ready(3)
        assert drive.asked(Prepare) == [Prepare(2), Prepare(3)]

    def test_crashed_worker_is_replaced_while_a_reload_loads(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.exit(1, "was killed by SIGKILL")
        assert drive.spawned() == [("worker", 1, 2), ("worker", 1, 1)]

    def test_new_configuration_changes_the_number_of_workers(self) -> None:
        drive = Drive(workers(3)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.ready(4)
        assert drive.orders(Order.DRAIN) == [1, 2, 3]
        assert len(drive.spawned()) == 1

    def test_old_worker_that_does_not_drain_in_time_is_killed(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.ready(2)
        drive.wait(29)
        assert drive.orders(Order.KILL) == []
        drive.wait(1)
        assert drive.orders(Order.KILL) == [1]

    def test_end_of_a_drained_worker_starts_nothing(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.ready(2)
        assert [action for action in drive.exit(1) if isinstance(action, Spawn)] == []


class TestStages:
    """Reloads that replace some workers at a time."""

    def test_one_by_one_starts_a_worker_only_when_the_former_has_ended(self) -> None:
        drive = Drive(workers(2), Strategy.ONE_BY_ONE).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(2), Strategy.ONE_BY_ONE)
        assert drive.spawned() == [("worker", 1, 2)]
        drive.ready(3)
        assert drive.orders(Order.DRAIN) == [1]
        assert len(drive.spawned()) == 1
        drive.exit(1)
        assert drive.spawned()[-1] == ("worker", 2, 2)
        assert drive.asked(Adopt) == []
        drive.ready(4)
        assert drive.asked(Adopt) == [Adopt(2)]
        assert drive.orders(Order.DRAIN) == [1, 2]

    def test_rolling_replaces_a_quarter_at_a_time(self) -> None:
        drive = Drive(workers(8)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(8), Strategy.ROLLING)
        for stage in range(4):
            assert drive.spawned()[-2:] == [("worker", 2 * stage + 1, 2), ("worker", 2 * stage + 2, 2)]
            drive.ready(*drive.numbers(ChildState.STARTING))
            for child in drive.numbers(ChildState.DRAINING):
                drive.exit(child)
        assert len(drive.spawned()) == 8
        assert drive.asked(Adopt) == [Adopt(2)]

    def test_first_worker_that_cannot_load_changes_nothing(self) -> None:
        drive = Drive(workers(3)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(3), Strategy.ONE_BY_ONE)
        drive.fail(4)
        drive.exit(4)
        assert drive.numbers(ChildState.READY) == [1, 2, 3]
        assert len(drive.spawned()) == 1

    def test_later_worker_that_cannot_load_brings_back_those_that_were_replaced(self) -> None:
        drive = Drive(workers(3)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(3), Strategy.ONE_BY_ONE)
        drive.ready(4)
        drive.exit(1)
        drive.fail(5)
        assert drive.asked(Abandon) == [Abandon(2)]
        assert drive.spawned()[-1] == ("worker", 1, 1)
        assert 4 in drive.numbers(ChildState.READY), "it serves until the old one is back"
        drive.ready(6)
        assert 4 in drive.numbers(ChildState.DRAINING)
        assert drive.numbers(ChildState.READY) == [2, 3, 6]

    def test_new_worker_serves_on_when_the_old_code_does_not_load_any_more(self) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(2), Strategy.ONE_BY_ONE)
        drive.ready(3)
        drive.exit(1)
        drive.fail(4)
        drive.exit(4)
        for _ in range(3):
            (restored,) = drive.numbers(ChildState.STARTING)
            drive.fail(restored)
            drive.exit(restored)
            drive.wait(30)
        assert drive.numbers(ChildState.READY) == [2, 3]
        drive.command(Command.RELOAD)
        drive.prepared(workers(2))
        drive.ready(*drive.numbers(ChildState.STARTING))
        assert {child.generation for child in drive.children(ChildState.READY)} == {3}

    def test_old_worker_is_replaced_by_an_old_one_while_its_turn_has_not_come(self) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(2), Strategy.ONE_BY_ONE)
        drive.exit(2, "was killed by SIGKILL")
        assert drive.spawned()[-1] == ("worker", 2, 1)

    def test_new_fork_server_comes_first_and_the_old_one_stays_to_the_end(self) -> None:
        drive = Drive(preloaded(2)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(preloaded(2), Strategy.ONE_BY_ONE)
        drive.ready(4)
        drive.ready(5)
        assert drive.orders(Order.DRAIN) == [2]
        drive.exit(2)
        drive.ready(6)
        assert sorted(drive.orders(Order.DRAIN)) == [1, 2, 3]


class TestUpgrade:
    def test_everything_drains_when_the_new_supervisor_serves(self) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.UPGRADE)
        assert drive.asked(Launch) == [Launch(3)]
        assert drive.core.phase is Phase.UPGRADING
        drive.ready(3)
        assert drive.asked(HandOver) == [HandOver(3)]
        assert drive.orders(Order.DRAIN) == [1, 2]
        assert drive.asked(StopListening) == []
        drive.exit(1)
        drive.exit(2)
        assert drive.finish() == Finish(0)

    def test_supervisor_that_does_not_come_up_changes_nothing(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.UPGRADE)
        drive.fail(2, "hostler.toml: there is no option 'treads'")
        assert drive.asked(Resume) == [Resume()]
        drive.exit(2)
        assert drive.core.phase is Phase.RUNNING
        assert drive.numbers(ChildState.READY) == [1]
        drive.wait(100)
        assert len(drive.asked(Launch)) == 1
        assert "upgrade abandoned, this supervisor and its workers stay: hostler.toml" in drive.logged()

    def test_supervisor_that_takes_too_long_is_killed(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.UPGRADE)
        drive.wait(74)
        assert drive.asked(Resume) == []
        drive.wait(1)
        assert drive.asked(Resume) == [Resume()]
        assert drive.orders(Order.KILL) == [2]
        assert "new supervisor was not ready within 75 s" in drive.logged()

    def test_worker_that_crashes_meanwhile_is_replaced(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.UPGRADE)
        drive.exit(1)
        assert drive.spawned() == [("worker", 1, 1)]

    def test_reload_waits_for_the_end_of_the_upgrade(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.UPGRADE)
        drive.command(Command.RELOAD)
        assert drive.asked(Prepare) == []
        drive.fail(2)
        assert drive.asked(Prepare) == [Prepare(2)]

    def test_upgrade_waits_for_the_end_of_a_reload(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.command(Command.UPGRADE)
        assert drive.asked(Launch) == []
        drive.ready(2)
        assert drive.asked(Launch) == [Launch(3)]

    def test_stop_ends_the_new_supervisor_too(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.UPGRADE)
        drive.command(Command.DRAIN)
        assert sorted(drive.orders(Order.DRAIN)) == [1, 2]
        assert drive.ready(2) == []
        drive.exit(1)
        drive.exit(2)
        assert drive.finish() == Finish(0)


class TestRecycling:
    def test_successor_is_ready_before_the_worker_drains(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.recycle(1)
        assert drive.spawned() == [("worker", 1, 1)]
        assert drive.orders(Order.DRAIN) == []
        drive.ready(2)
        assert drive.orders(Order.DRAIN) == [1]

    def test_workers_that_ask_together_are_replaced_one_after_the_other(self) -> None:
        drive = Drive(workers(3)).booted()
        for child in (1, 2, 3):
            drive.recycle(child)
        for successor in (4, 5, 6):
            assert drive.numbers(ChildState.STARTING) == [successor]
            drive.ready(successor)
        assert drive.orders(Order.DRAIN) == [1, 2, 3]
        assert len(drive.spawned()) == 3

    def test_worker_goes_on_while_its_successor_does_not_load(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.recycle(1)
        drive.fail(2)
        drive.exit(2)
        assert drive.numbers(ChildState.READY) == [1]
        drive.wait(1)
        assert drive.numbers(ChildState.STARTING) == [3]

    def test_worker_asks_only_once(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.recycle(1)
        drive.recycle(1)
        assert len(drive.spawned()) == 1

    def test_reload_takes_the_place_of_recycling(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.recycle(1)
        assert drive.spawned() == [("worker", 1, 2)]


class TestWear:
    """Recycling that nobody has asked for."""

    def worn(self, count: int, **limits: float) -> Drive:
        wear = Wear(**limits)  # type: ignore[arg-type]
        return Drive((replace(workers(count)[0], wear=wear),)).booted()

    def test_worker_is_recycled_when_it_is_old(self) -> None:
        drive = self.worn(1, age=100.0)
        # Half of a tenth less: the jitter is at its middle.
        assert drive.core.deadline() == drive.clock.now() + 95
        drive.wait(94)
        assert drive.spawned() == []
        drive.wait(1)
        assert drive.spawned() == [("worker", 1, 1)]
        assert drive.orders(Order.DRAIN) == []
        drive.ready(2)
        assert drive.orders(Order.DRAIN) == [1]
        assert "it has served for 95 s (workers.max_age)" in drive.logged()

    def test_only_a_share_is_replaced_at_once(self) -> None:
        drive = self.worn(8, age=100.0)
        drive.wait(100)
        assert len(drive.spawned()) == 2
        drive.ready(9)
        assert len(drive.spawned()) == 3

    def test_worker_that_has_grown_is_recycled(self) -> None:
        drive = self.worn(2, growth=100)
        drive.feed(Measured({1: 1000, 2: 1000}))
        drive.feed(Measured({1: 1095, 2: 1096}))
        assert drive.spawned() == [("worker", 2, 1)]

    def test_worker_with_too_much_memory_is_recycled(self) -> None:
        drive = self.worn(1, memory=1000)
        drive.feed(Measured({1: 900}))
        drive.feed(Measured({1: 951}))
        assert drive.spawned() == [("worker", 1, 1)]

    def test_worker_that_is_large_from_the_beginning_is_left_alone(self) -> None:
        drive = self.worn(1, memory=1000)
        drive.feed(Measured({1: 1200}))
        drive.feed(Measured({1: 1300}))
        assert drive.spawned() == []

    def test_memory_is_looked_at_only_where_it_matters(self) -> None:
        drive = self.worn(1, age=100.0)
        drive.wait(50)
        assert drive.asked(Measure) == []
        drive = self.worn(1, growth=100)
        drive.wait(2)
        drive.wait(1)
        drive.wait(1)
        assert len(drive.asked(Measure)) == 2


class TestFollowingLoad:
    """Counts that follow the load."""

    BUSY = Load(0.9, 3, 100)

    def scaled(self, count: int, minimum: int = 1, maximum: int = 4, idle: float = 30.0) -> Drive:
        scaling = Scaling(minimum, maximum, idle=idle)
        return Drive((replace(workers(count)[0], scaling=scaling),)).booted()

    def measure(self, drive: Drive, load: Load, times: int = 1) -> None:
        for _ in range(times):
            drive.wait(1)
            drive.feed(Measured({}, {"worker": load}))

    def test_reading_is_asked_for_every_second(self) -> None:
        drive = self.scaled(1)
        drive.wait(1)
        drive.wait(1)
        assert len(drive.asked(Measure)) == 2

    def test_busy_workers_get_company(self) -> None:
        drive = self.scaled(1)
        self.measure(drive, self.BUSY, 3)
        assert drive.spawned() == [("worker", 2, 1)]
        assert drive.asked(Scaled) == [Scaled("worker", 2)]
        assert "scaling from 1 to 2 workers: 90% busy, 3 waiting" in drive.logged()

    def test_operators_count_holds_until_the_next_reload(self) -> None:
        drive = self.scaled(2)
        drive.command(Command.MORE)
        assert "now wanted: 3 workers; scaling pauses until the next reload" in drive.logged()
        self.measure(drive, self.BUSY, 10)
        assert drive.core.current.roles[0].count == 3
        drive.command(Command.RELOAD)
        drive.prepared(drive.core.current.roles)
        drive.ready(*drive.numbers(ChildState.STARTING))
        self.measure(drive, self.BUSY, 10)
        assert drive.core.current.roles[0].count == 4

    def test_reload_goes_on_with_the_count_of_the_load(self) -> None:
        drive = self.scaled(1)
        self.measure(drive, self.BUSY, 3)
        drive.command(Command.RELOAD)
        drive.prepared((replace(workers(1)[0], scaling=Scaling(1, 4, idle=30.0)),))
        assert drive.spawned()[-2:] == [("worker", 1, 2), ("worker", 2, 2)]

    def test_nobody_is_left_when_nobody_asks_and_a_knock_brings_one_back(self) -> None:
        drive = self.scaled(1, minimum=0)
        self.measure(drive, Load(), 40)
        assert drive.orders(Order.DRAIN) == [1]
        assert drive.core.is_awaiting_knock
        drive.exit(1)
        assert drive.core.phase is Phase.RUNNING
        asked = len(drive.asked(Measure))
        drive.wait(1000)
        assert len(drive.asked(Measure)) == asked, "there is nothing to be measured"
        assert drive.core.deadline() is None
        drive.feed(Knocked())
        assert drive.spawned() == [("worker", 1, 1)]
        assert not drive.core.is_awaiting_knock

    def test_nobody_is_let_go_in_a_reload(self) -> None:
        drive = self.scaled(1, minimum=0)
        drive.command(Command.RELOAD)
        drive.prepared(drive.core.current.roles)
        self.measure(drive, Load(), 40)
        assert drive.core.current.roles[0].count == 1
        drive.ready(2)
        self.measure(drive, Load(), 1)
        assert drive.core.current.roles[0].count == 0

    def test_knock_that_comes_late_is_nothing(self) -> None:
        drive = self.scaled(1, minimum=0)
        assert drive.feed(Knocked()) == []

    def test_reload_of_nobody_brings_one_who_shows_that_the_release_loads(self) -> None:
        drive = self.scaled(1, minimum=0)
        self.measure(drive, Load(), 40)
        drive.exit(1)
        drive.command(Command.RELOAD)
        drive.prepared(drive.core.current.roles)
        assert drive.spawned() == [("worker", 1, 2)]
        drive.fail(2)
        assert drive.asked(Abandon) == [Abandon(2)]
        assert drive.core.is_awaiting_knock


class TestScaling:
    def test_more_adds_a_slot(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.MORE)
        assert drive.spawned() == [("worker", 2, 1)]

    def test_fewer_drains_the_last_slot(self) -> None:
        drive = Drive(workers(3)).booted()
        drive.command(Command.FEWER)
        assert drive.orders(Order.DRAIN) == [3]
        assert drive.asked(Vacate) == [Vacate("worker", 3)]
        drive.exit(3)
        assert drive.spawned() == []

    def test_last_worker_stays(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.FEWER)
        assert drive.orders(Order.DRAIN) == []
        assert drive.asked(Vacate) == []

    def test_scaling_during_a_reload_holds_for_old_and_new(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.command(Command.MORE)
        assert sorted(drive.spawned()) == [("worker", 1, 2), ("worker", 2, 1), ("worker", 2, 2)]


class TestStop:
    def test_drain_stops_listening_first_and_lets_requests_finish(self) -> None:
        drive = Drive(workers(2)).booted()
        actions = [action for action in drive.command(Command.DRAIN) if not isinstance(action, Log)]
        assert actions == [StopListening(), Tell(1, Order.DRAIN), Tell(2, Order.DRAIN)]
        drive.exit(1)
        assert drive.finish() is None
        drive.exit(2)
        assert drive.finish() == Finish(0)
        assert drive.core.phase is Phase.ENDED

    def test_worker_that_does_not_drain_in_time_is_killed(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.DRAIN)
        assert drive.core.deadline() == drive.clock.now() + 30
        drive.wait(30)
        assert drive.orders(Order.KILL) == [1]
        drive.wait(30)
        assert drive.orders(Order.KILL) == [1]

    def test_second_interrupt_stops_now(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.INTERRUPT)
        assert drive.orders(Order.STOP) == []
        drive.command(Command.INTERRUPT)
        assert drive.orders(Order.STOP) == [1]
        drive.wait(PROMPT_TIMEOUT)
        assert drive.orders(Order.KILL) == [1]

    def test_second_term_does_not_hurry(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.DRAIN)
        assert drive.command(Command.DRAIN) == []

    def test_stop_now_stops_listening_and_all_children(self) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.STOP)
        assert drive.asked(StopListening) == [StopListening()]
        assert drive.orders(Order.STOP) == [1, 2]

    def test_nothing_is_started_any_more(self) -> None:
        drive = Drive(workers(2)).booted()
        drive.command(Command.DRAIN)
        drive.command(Command.RELOAD)
        drive.command(Command.MORE)
        drive.exit(1)
        drive.wait(10)
        assert drive.spawned() == []
        assert drive.asked(Prepare) == []

    def test_stop_during_a_reload_ends_both_generations(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(workers(1))
        drive.command(Command.DRAIN)
        assert sorted(drive.orders(Order.DRAIN)) == [1, 2]
        drive.exit(1)
        drive.exit(2)
        assert drive.finish() == Finish(0)

    def test_nothing_follows_the_end(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.command(Command.STOP)
        drive.exit(1)
        assert drive.command(Command.RELOAD) == []
        assert drive.wait(100) == []


class TestLogs:
    def test_own_log_is_reopened_before_those_of_children(self) -> None:
        drive = Drive(workers(2)).booted()
        assert drive.command(Command.REOPEN_LOGS) == [
            ReopenLogs(),
            Tell(1, Order.REOPEN_LOGS),
            Tell(2, Order.REOPEN_LOGS),
        ]


class TestForkServer:
    def test_workers_wait_for_their_fork_server(self) -> None:
        drive = Drive(preloaded(2))
        assert drive.spawned() == [("fork server", 1, 1)]
        drive.ready(1)
        assert [(each.role, each.via) for each in drive.asked(Spawn)[1:]] == [("worker", 1), ("worker", 1)]

    def test_fork_server_that_cannot_load_ends_the_start(self) -> None:
        drive = Drive(preloaded(2))
        drive.fail(1, "there is no module 'shop'")
        drive.exit(1)
        assert drive.finish() == Finish(3, "there is no module 'shop'", "Traceback")

    def test_workers_outlive_a_crashed_fork_server(self) -> None:
        drive = Drive(preloaded(2)).booted()
        drive.exit(1, "was killed by SIGKILL")
        assert drive.spawned() == [("fork server", 1, 1)]
        assert drive.orders(Order.DRAIN) == []

    def test_crashed_worker_waits_for_the_new_fork_server(self) -> None:
        drive = Drive(preloaded(1)).booted()
        drive.exit(1, "was killed by SIGKILL")
        drive.exit(2, "was killed by SIGKILL")
        assert drive.spawned() == [("fork server", 1, 1)]
        drive.ready(3)
        assert drive.asked(Spawn)[-1] == Spawn(4, "worker", 1, 1, via=3)

    def test_reload_loads_new_code_in_a_new_fork_server(self) -> None:
        drive = Drive(preloaded(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(preloaded(1))
        assert drive.spawned() == [("fork server", 1, 2)]
        drive.ready(3)
        drive.ready(4)
        assert sorted(drive.orders(Order.DRAIN)) == [1, 2]

    def test_old_fork_server_goes_on_when_the_new_one_does_not_load(self) -> None:
        drive = Drive(preloaded(1)).booted()
        drive.command(Command.RELOAD)
        drive.prepared(preloaded(1))
        drive.fail(3)
        assert sorted(drive.numbers(ChildState.READY)) == [1, 2]


class TestTransitions:
    def test_no_child_comes_back_from_the_way_out(self) -> None:
        order = [
            ChildState.STARTING,
            ChildState.READY,
            ChildState.DRAINING,
            ChildState.STOPPING,
            ChildState.KILLED,
        ]
        assert all(order.index(before) < order.index(after) for (before, _), after in TRANSITIONS.items())

    def test_every_living_child_can_be_killed(self) -> None:
        alive = set(ChildState) - {ChildState.KILLED}
        assert {state for state, turn in TRANSITIONS if turn is Turn.KILL} == alive


class TestConclusion:
    """Who asked for a reload hears how it ended, once."""

    def test_reload_that_replaces_is_concluded_after_it_is_adopted(self) -> None:
        drive = Drive().booted()
        drive.command(Command.RELOAD)
        drive.prepared()
        actions = drive.ready(*drive.numbers(ChildState.STARTING))
        assert drive.asked(Concluded) == [Concluded(Outcome.RELOADED)]
        assert [type(each) for each in actions if isinstance(each, Adopt | Concluded)] == [Adopt, Concluded]

    def test_refused_configuration_is_concluded_with_its_reason(self) -> None:
        drive = Drive().booted()
        drive.command(Command.RELOAD)
        drive.refused("hostler.toml: unknown option 'treads'")
        assert drive.asked(Concluded) == [Concluded(Outcome.REFUSED, "hostler.toml: unknown option 'treads'")]

    def test_application_that_does_not_load_is_concluded_with_its_traceback(self) -> None:
        drive = Drive().booted()
        drive.command(Command.RELOAD)
        drive.prepared()
        drive.fail(drive.numbers(ChildState.STARTING)[0], "no module named 'shop'", "Traceback")
        assert drive.asked(Concluded) == [Concluded(Outcome.ABANDONED, "no module named 'shop'", "Traceback")]

    @pytest.mark.parametrize("command", [Command.DRAIN, Command.STOP])
    def test_stop_concludes_a_reload_that_is_under_way(self, command: Command) -> None:
        drive = Drive().booted()
        drive.command(Command.RELOAD)
        drive.prepared()
        drive.command(command)
        drive.command(command)
        assert [each.outcome for each in drive.asked(Concluded)] == [Outcome.STOPPED]

    def test_stop_without_a_reload_concludes_nothing(self) -> None:
        drive = Drive().booted()
        drive.command(Command.DRAIN)
        assert not drive.asked(Concluded)

    def test_stop_while_booting_concludes_the_reload_that_was_to_come(self) -> None:
        drive = Drive()
        drive.command(Command.RELOAD)
        drive.command(Command.DRAIN)
        assert [each.outcome for each in drive.asked(Concluded)] == [Outcome.STOPPED]


class TestResize:
    def test_more_children_are_started_at_once(self) -> None:
        drive = Drive(workers(1)).booted()
        drive.feed(Resized(4))
        assert [slot for _, slot, _ in drive.spawned()] == [2, 3, 4]

    def test_fewer_leave_from_the_last_and_their_slots_are_vacated(self) -> None:
        drive = Drive(workers(4)).booted()
        drive.feed(Resized(1))
        assert [action.slot for action in drive.asked(Vacate)] == [4, 3, 2]
        assert sorted(child.slot for child in drive.children(ChildState.DRAINING)) == [2, 3, 4]

    @pytest.mark.parametrize("count", [0, -3])
    def test_there_is_always_one(self, count: int) -> None:
        drive = Drive(workers(2)).booted()
        drive.feed(Resized(count))
        assert drive.core.current.roles[0].count == 1
