"""The loop around the core, with real children that are plain functions."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from hostler.contracts import ChildContext
from hostler.errors import ConfigurationError
from hostler.supervisor.model import Command, Concluded, Finish, Role
from hostler.supervisor.scaling import Load
from hostler.supervisor.shell import CAUGHT, Attendant, Generation, Supervisor
from hostler.system.channel import send_message
from hostler.system.clock import SystemClock
from hostler.system.process import SystemProcesses
from hostler.system.report import SEPARATOR
from hostler.system.signals import SignalQueue

ChildFunction = Callable[[ChildContext], int]


class FakeHost:
    """Notes what it is asked for; once all are ready it does what the test wants."""

    def __init__(self, when_ready: Callable[[], None] = lambda: None, kept_fd: int = -1) -> None:
        self.calls: list[str] = []
        self.life: list[str] = []
        self.pids: list[int] = []
        self.places: list[str] = []
        self._when_ready = when_ready
        self._kept_fd = kept_fd
        self.is_paused = False
        self.launched: Callable[[int], NoReturn] | None = None

    def prepare(self, number: int) -> Generation:
        self.calls.append("prepare")
        raise ConfigurationError("hostler.toml: there is no option 'treads'")

    def note_service(self, serves: str) -> None:
        self.calls.append(f"serves {serves}")

    def announce(self) -> None:
        self.calls.append("announce")
        self._when_ready()

    def reloading(self) -> None:
        self.calls.append("reloading")

    def adopt(self, number: int) -> None:
        self.calls.append("adopt")

    def abandon(self, number: int) -> None:
        self.calls.append("abandon")

    def refused(self) -> None:
        self.calls.append("refused")
        os.kill(os.getpid(), signal.SIGTERM)

    def launch(self, status_fd: int) -> Callable[[], NoReturn]:
        self.calls.append("launch")
        if self.launched is None:
            raise ConfigurationError("this is process 1 of a container")
        return partial(self.launched, status_fd)

    def hand_over(self, pid: int) -> None:
        self.calls.append("hand over")
        self.pids.append(pid)

    def resume(self) -> None:
        self.calls.append("resume")
        os.kill(os.getpid(), signal.SIGTERM)

    def vacate(self, role: str, slot: int) -> None:
        self.calls.append("vacate")

    def stop_listening(self) -> None:
        self.calls.append("stop listening")

    def reopen_logs(self) -> None:
        self.calls.append("reopen logs")
        os.kill(os.getpid(), signal.SIGTERM)

    def forking(self, generation: int, role: str, slot: int) -> None:
        self.life.append(f"forking {role} {slot}")

    def started(self, role: str, slot: int, pid: int) -> None:
        self.life.append(f"started {role} {slot}")
        self.pids.append(pid)

    def ended(self, role: str, slot: int, pid: int, reason: str) -> None:
        self.life.append(f"ended {role}")
        assert pid in self.pids

    def allot(self, child: int, role: str, slot: int, generation: int) -> tuple[int, int]:
        self.places.append(f"allot {child}")
        return -1, 0

    def note_pid(self, child: int, pid: int) -> None:
        assert pid > 0

    def free(self, child: int) -> None:
        self.places.append(f"free {child}")

    def scaled(self, role: str, count: int) -> None:
        self.life.append(f"{count} of {role}")

    def pause(self, *, is_paused: bool) -> None:
        self.is_paused = is_paused

    def listening(self) -> list[int]:
        return []

    def measure(self) -> dict[str, Load]:
        return {}

    def descriptors(self) -> list[int]:
        return [self._kept_fd] if self._kept_fd >= 0 else []

    def ping_interval(self) -> float | None:
        return None

    def ping(self) -> None:
        self.calls.append("ping")


@pytest.fixture(name="signals")
def fixture_signals() -> Iterator[SignalQueue]:
    queue = SignalQueue(CAUGHT)
    yield queue
    queue.close()


class FullProcesses(SystemProcesses):
    """A machine that has no room for one more process at chosen times."""

    def __init__(self, *refused: int) -> None:
        self._refused = refused
        self.asked = 0

    def start(self, child_main: Callable[[], int]) -> int:
        self.asked += 1
        if self.asked in self._refused:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return super().start(child_main)


def supervise(
    signals: SignalQueue,
    host: FakeHost,
    main: ChildFunction,
    *,
    boot_timeout: float = 20,
    processes: SystemProcesses | None = None,
    attendant: Attendant | None = None,
) -> Finish:
    roles = (Role("worker", 1, is_scalable=True, boot_timeout=boot_timeout, graceful_timeout=5),)
    generation = Generation(1, roles, {"worker": main}, frozenset(), lambda role, slot: ())
    supervisor = Supervisor(
        host,
        generation,
        own_pid=os.getpid(),
        processes=processes or SystemProcesses(),
        clock=SystemClock(),
        signals=signals,
        random_fraction=lambda: 0.5,
    )
    if attendant is not None:
        supervisor.attend(attendant)
    return supervisor.run()


class FakeAttendant:
    """Watches the end of a pipe; what is written there are commands for the supervisor."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.heard: list[str] = []
        self.wanted_at: float | None = None

    def attach(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def watched(self) -> list[tuple[int, int]]:
        return [(self.reader, select.POLLIN)]

    def descriptors(self) -> list[int]:
        return [self.reader, self.writer]

    def deadline(self) -> float | None:
        return self.wanted_at

    def turn(self, ready: Mapping[int, int]) -> None:
        if self.wanted_at is not None and SystemClock().now() >= self.wanted_at:
            self.wanted_at = None
            self.supervisor.command(Command.DRAIN)
        if ready.get(self.reader, 0) & select.POLLIN:
            word = os.read(self.reader, 100).decode()
            if word.isdigit():
                self.supervisor.resize(int(word))
                word = "drain"
            self.supervisor.command(Command(word))

    def reload_began(self) -> None:
        self.heard.append("began")

    def concluded(self, conclusion: Concluded) -> None:
        self.heard.append(f"{conclusion.outcome.value}: {conclusion.message}")

    def child_reported(self, number: int) -> None:
        first, second = self.supervisor.read_report(number)
        self.heard.append(f"{first}, {second.decode()}")
        self.supervisor.command(Command.DRAIN)

    def child_ended(self, number: int) -> None:
        self.heard.append(f"{number} ended")

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture(name="attendant")
def fixture_attendant() -> Iterator[FakeAttendant]:
    made = FakeAttendant()
    yield made
    made.close()


def serve(context: ChildContext) -> int:
    send_message(context.status_fd, {"event": "ready"})
    # Until the supervisor tells us to end, or is gone.
    select.select([context.lifeline_fd], [], [])
    return 0


def own_signal(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_it_ends_when_asked(signals: SignalQueue, number: signal.Signals) -> None:
    host = FakeHost(own_signal(number))
    assert supervise(signals, host, serve) == Finish(0)
    assert host.calls == ["announce", "stop listening"]


def test_host_hears_how_a_child_serves_before_it_announces(signals: SignalQueue) -> None:
    def serve_saying(context: ChildContext) -> int:
        send_message(context.status_fd, {"event": "ready", "serves": "ASGI on uvloop"})
        select.select([context.lifeline_fd], [], [])
        return 0

    host = FakeHost(own_signal(signal.SIGTERM))
    assert supervise(signals, host, serve_saying) == Finish(0)
    assert host.calls[:2] == ["serves ASGI on uvloop", "announce"]


def test_last_words_of_a_child_are_read_before_its_end(signals: SignalQueue) -> None:
    # More than a pipe holds, so that it is read while it is written.
    details = "Traceback\n" * 20_000

    def fail(context: ChildContext) -> int:
        send_message(context.status_fd, {"event": "failed", "message": "no shop", "details": details, "status": 3})
        return 3

    assert supervise(signals, FakeHost(), fail) == Finish(3, "no shop", details)


def test_child_that_ends_without_a_word_is_explained(signals: SignalQueue) -> None:
    finish = supervise(signals, FakeHost(), lambda _: 7)
    assert finish.status == 3
    assert "exited with status 7 before it was ready" in finish.message


def test_child_that_never_gets_ready_is_killed(signals: SignalQueue) -> None:
    def hang(_: ChildContext) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        select.select([], [], [])
        return 0

    assert "not ready within 0.2 s" in supervise(signals, FakeHost(), hang, boot_timeout=0.2).message


@pytest.mark.parametrize("noise", [b"hello\n", b'{"event": 3}\n', b'{"event": "failed"}\n', b"[]\n{}\n"])
def test_noise_on_the_status_pipe_is_dropped(signals: SignalQueue, noise: bytes) -> None:
    def chatter(context: ChildContext) -> int:
        os.write(context.status_fd, noise)
        return serve(context)

    assert supervise(signals, FakeHost(own_signal(signal.SIGTERM)), chatter) == Finish(0)


def test_refused_reload_changes_nothing(signals: SignalQueue) -> None:
    host = FakeHost(own_signal(signal.SIGHUP))
    assert supervise(signals, host, serve) == Finish(0)
    assert host.calls == ["announce", "reloading", "prepare", "refused", "stop listening"]


def test_logs_are_reopened(signals: SignalQueue) -> None:
    host = FakeHost(own_signal(signal.SIGUSR1))
    supervise(signals, host, serve)
    assert host.calls == ["announce", "reopen logs", "stop listening"]


def test_refused_upgrade_changes_nothing(signals: SignalQueue) -> None:
    host = FakeHost(own_signal(signal.SIGUSR2))
    assert supervise(signals, host, serve) == Finish(0)
    assert host.calls == ["announce", "launch", "resume", "stop listening"]


def test_start_without_room_for_a_process_is_explained(signals: SignalQueue) -> None:
    finish = supervise(signals, FakeHost(), serve, processes=FullProcesses(1))
    assert finish.status == 3
    assert "worker 1 could not be started ([Errno 11] Resource temporarily unavailable)" in finish.message


def test_replacement_without_room_is_tried_again(signals: SignalQueue, tmp_path: Path) -> None:
    """The first worker dies; two forks for its replacement fail, the third succeeds, and that one ends the test."""
    first = tmp_path / "first"
    supervisor = os.getpid()

    def die_once(context: ChildContext) -> int:
        send_message(context.status_fd, {"event": "ready"})
        if not first.exists():
            first.touch()
            return 1
        os.kill(supervisor, signal.SIGTERM)
        select.select([context.lifeline_fd], [], [])
        return 0

    processes = FullProcesses(2, 3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert supervise(signals, FakeHost(), die_once, processes=processes) == Finish(0)
    assert processes.asked == 4
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_upgrade_without_room_for_a_process_changes_nothing(signals: SignalQueue) -> None:
    host = FakeHost(own_signal(signal.SIGUSR2))
    host.launched = lambda _: os._exit(0)
    assert supervise(signals, host, serve, processes=FullProcesses(2)) == Finish(0)
    assert host.calls == ["announce", "launch", "resume", "stop listening"]


def test_program_that_cannot_be_started_changes_nothing(signals: SignalQueue) -> None:
    def become(_: int) -> NoReturn:
        os.execve("/nowhere/hostler", ["hostler"], {})

    host = FakeHost(own_signal(signal.SIGUSR2))
    host.launched = become
    assert supervise(signals, host, serve) == Finish(0)
    assert host.calls == ["announce", "launch", "resume", "stop listening"]


def test_new_supervisor_that_serves_is_left_to_itself(signals: SignalQueue) -> None:
    def become(status_fd: int) -> NoReturn:
        send_message(status_fd, {"event": "ready"})
        select.select([], [], [], 20)
        os._exit(0)

    host = FakeHost(own_signal(signal.SIGUSR2))
    host.launched = become
    assert supervise(signals, host, serve) == Finish(0)
    assert host.calls == ["announce", "launch", "hand over"]
    new = host.pids[-1]
    os.kill(new, signal.SIGKILL)
    os.waitpid(new, 0)


def test_strangers_are_reaped_and_ignored(signals: SignalQueue) -> None:
    stranger = os.fork()
    if stranger == 0:
        os._exit(9)
    assert supervise(signals, FakeHost(own_signal(signal.SIGTERM)), serve) == Finish(0)
    with pytest.raises(ChildProcessError):
        os.waitpid(stranger, os.WNOHANG)


def test_child_keeps_no_descriptor_of_its_supervisor(signals: SignalQueue) -> None:
    source, target = os.pipe()

    def look(context: ChildContext) -> int:
        try:
            os.fstat(target)
        except OSError:
            return serve(context)
        return 1

    assert supervise(signals, FakeHost(own_signal(signal.SIGTERM), kept_fd=target), look) == Finish(0)
    os.close(source)
    os.close(target)


def test_nothing_is_left_open(signals: SignalQueue) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    supervise(signals, FakeHost(own_signal(signal.SIGTERM)), serve)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_child_that_ends_with_its_group_is_not_replaced(
    signals: SignalQueue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An interrupt of the whole group may end a child before the supervisor has read its own signal."""
    starts = tmp_path / "starts"

    def note_and_serve(context: ChildContext) -> int:
        with starts.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return serve(context)

    def end_group() -> None:
        child = int(starts.read_text())
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    assert supervise(signals, FakeHost(end_group), note_and_serve) == Finish(0)
    assert "starting another" not in caplog.text


def test_life_of_children_is_told(signals: SignalQueue) -> None:
    host = FakeHost(own_signal(signal.SIGTERM))
    supervise(signals, host, serve)
    assert host.life == ["forking worker 1", "started worker 1", "ended worker"]
    assert host.places == ["allot 1", "free 1"]


def test_wish_for_more_children_is_told(signals: SignalQueue) -> None:
    def ask() -> None:
        os.kill(os.getpid(), signal.SIGTTIN)
        os.kill(os.getpid(), signal.SIGTERM)

    host = FakeHost(ask)
    supervise(signals, host, serve)
    assert "2 of worker" in host.life


def test_attendant_has_its_turn_when_its_descriptor_is_ready(signals: SignalQueue, attendant: FakeAttendant) -> None:
    host = FakeHost(lambda: attendant_says(attendant, "drain"))
    assert supervise(signals, host, serve, attendant=attendant) == Finish(0)


def test_attendant_can_ask_for_a_number_of_children(signals: SignalQueue, attendant: FakeAttendant) -> None:
    host = FakeHost(lambda: attendant_says(attendant, "3"))
    assert supervise(signals, host, serve, attendant=attendant) == Finish(0)
    assert "3 of worker" in host.life


def test_attendant_has_its_turn_at_its_deadline(signals: SignalQueue, attendant: FakeAttendant) -> None:
    def wish() -> None:
        attendant.wanted_at = SystemClock().now() + 0.05

    assert supervise(signals, FakeHost(wish), serve, attendant=attendant) == Finish(0)


def test_attendant_hears_how_a_reload_ended(signals: SignalQueue, attendant: FakeAttendant) -> None:
    host = FakeHost(lambda: attendant_says(attendant, "reload"))
    assert supervise(signals, host, serve, attendant=attendant) == Finish(0)
    assert attendant.heard == ["began", "refused: hostler.toml: there is no option 'treads'", "1 ended"]


def test_child_keeps_no_descriptor_of_an_attendant(signals: SignalQueue, attendant: FakeAttendant) -> None:
    def look(context: ChildContext) -> int:
        open_ones = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
        return 1 if {attendant.reader, attendant.writer} & open_ones else serve(context)

    host = FakeHost(own_signal(signal.SIGTERM))
    assert supervise(signals, host, look, attendant=attendant) == Finish(0)


def test_attendant_hears_of_reports_and_ends(signals: SignalQueue, attendant: FakeAttendant) -> None:
    def report(context: ChildContext) -> int:
        os.write(context.report_fd, b"first" + SEPARATOR + b"second")
        send_message(context.status_fd, {"event": "reported"})
        return serve(context)

    assert supervise(signals, FakeHost(), report, attendant=attendant) == Finish(0)
    assert attendant.heard == ["first, second", "1 ended"]


def attendant_says(attendant: FakeAttendant, word: str) -> None:
    os.write(attendant.writer, word.encode())
