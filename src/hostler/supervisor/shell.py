"""The shell around the core: carries out its actions and tells it what happened, in one loop of four calls.

Theory: `wait` sleeps until a descriptor is ready or a deadline has come, `reap` takes in what the operating system has
to say (signals, messages of children, ends of children), `reconcile` lets the core look at its deadlines, and `attend`
gives those a turn who take part in the loop beside the children, such as the control socket.
Signals come first, because a terminal interrupts children as well as us, and their ends must not look like crashes.

A child's pid is known when we fork it; a child that a fork server forks says its own in its first message. Its end is
what `waitpid` reports, or the end of its status pipe while its pid is unknown. Messages are always read before the end.

Invariants: no threads; nothing blocks but `wait`; a descriptor belongs to exactly one record.
"""

from __future__ import annotations

import logging
import select
import signal
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from hostler.contracts import ChildContext, ChildMain, Listener
from hostler.errors import HostlerError
from hostler.supervisor.core import NEW_SUPERVISOR, Core
from hostler.supervisor.model import (
    Abandon,
    Action,
    Adopt,
    Announce,
    ChildAskedRecycling,
    ChildExited,
    ChildFacts,
    ChildFailed,
    ChildReady,
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
    Vacate,
)
from hostler.supervisor.scaling import Load
from hostler.system.channel import Message, MessageReader, open_control_pair, open_pipe, send_message
from hostler.system.forking import ForkRequest, send_fork_request
from hostler.system.process import Exit, ProcessTable, close_descriptors
from hostler.system.report import REPORT_SIGNALS, clear_report, open_report, read_report
from hostler.system.signals import SignalQueue

COMMANDS: dict[int, Command] = {
    signal.SIGTERM: Command.DRAIN,
    signal.SIGINT: Command.INTERRUPT,
    signal.SIGQUIT: Command.STOP,
    signal.SIGHUP: Command.RELOAD,
    signal.SIGTTIN: Command.MORE,
    signal.SIGTTOU: Command.FEWER,
    signal.SIGUSR1: Command.REOPEN_LOGS,
    signal.SIGUSR2: Command.UPGRADE,
}
# SIGCHLD only wakes the loop up.
CAUGHT = (*COMMANDS, signal.SIGCHLD)
ORDERS: dict[Order, int] = {
    Order.DRAIN: signal.SIGTERM,
    Order.STOP: signal.SIGQUIT,
    Order.ABORT: signal.SIGABRT,
    Order.KILL: signal.SIGKILL,
    Order.REOPEN_LOGS: signal.SIGUSR1,
}
_LEVELS = logging.getLevelNamesMapping()


@dataclass(frozen=True, slots=True)
class Meanings:
    """What signals mean to the supervisor.

    Attributes:
        commands: those that are commands.
        calls: what is done at others, in the supervisor's loop; it must not block.
    """

    commands: Mapping[int, Command] = field(default_factory=lambda: COMMANDS)
    calls: Mapping[int, Callable[[], None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generation:
    """One reading of the configuration, ready to be started.

    Attributes:
        number: identifies it.
        roles: what is wanted.
        mains: what the children of a role run, by role name.
        forking_roles: the names of roles whose children fork others.
        listeners: returns the listeners of a role's slot, opening them where need be.
        kept: the host's descriptors that children of a role keep, by role name.
        strategy: how many children are replaced at a time.
    """

    number: int
    roles: tuple[Role, ...]
    mains: Mapping[str, ChildMain]
    forking_roles: frozenset[str]
    listeners: Callable[[str, int], tuple[Listener, ...]]
    kept: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    strategy: Strategy = Strategy.ALL


class Host(Protocol):
    """What the supervisor asks of the server that it runs in."""

    def prepare(self, number: int) -> Generation:
        """Read the configuration and open new listeners.

        Raises:
            HostlerError: that cannot be done; nothing has changed.
        """

    def note_service(self, serves: str) -> None:
        """Note what a child that became ready says of how it serves, such as "ASGI on uvloop"; for people."""

    def announce(self) -> None:
        """Tell people and the service manager that the first generation serves."""

    def reloading(self) -> None:
        """Tell the service manager that a reload begins."""

    def adopt(self, number: int) -> None:
        """Close what only older generations used."""

    def abandon(self, number: int) -> None:
        """Close what only this generation used."""

    def refused(self) -> None:
        """A reload has ended without a change."""

    def launch(self, status_fd: int) -> Callable[[], NoReturn]:
        """Return what a child does to become a new supervisor, which tells over `status_fd` how it goes.

        Raises:
            HostlerError: there can be no other; nothing has changed.
        """

    def hand_over(self, pid: int) -> None:
        """A new supervisor serves: let go of the listeners and tell the service manager who is the server now."""

    def resume(self) -> None:
        """No new supervisor came up: take back what was meant for it."""

    def vacate(self, role: str, slot: int) -> None:
        """Close what only this slot of a role used."""

    def stop_listening(self) -> None:
        """Close the listeners and tell the service manager that we drain."""

    def reopen_logs(self) -> None:
        """Reopen the server log."""

    def forking(self, generation: int, role: str, slot: int) -> None:
        """The supervisor is about to fork a child of a generation, which inherits what this does."""

    def started(self, role: str, slot: int, pid: int) -> None:
        """The process id of a child is known, whoever has forked it."""

    def ended(self, role: str, slot: int, pid: int, reason: str) -> None:
        """A child whose process id was known is gone. `reason` reads on from its name: "exited with status 1"."""

    def allot(self, child: int, role: str, slot: int, generation: int) -> tuple[int, int]:
        """Give a child that is about to be started its place on the scoreboard: descriptor and offset, or -1 and 0.

        Raises:
            OSError: there is no memory.
        """

    def note_pid(self, child: int, pid: int) -> None:
        """The process id of a child that has a place on the scoreboard is known."""

    def free(self, child: int) -> None:
        """A child is gone, or could not be started: its place on the scoreboard is free."""

    def scaled(self, role: str, count: int) -> None:
        """An operator wants so many children of a role."""

    def pause(self, *, is_paused: bool) -> None:
        """Let workers take no requests, or again; those that the application has go on."""

    @property
    def is_paused(self) -> bool:
        """Whether workers take no requests."""

    def listening(self) -> Iterable[int]:
        """Return the listeners, on which somebody may connect while there is no worker."""

    def measure(self) -> Mapping[str, Load]:
        """Return what each role that scales has to do."""

    def descriptors(self) -> Iterable[int]:
        """Return the descriptors of the host, which no child shall keep but its own listeners."""

    def ping_interval(self) -> float | None:
        """Return the seconds between two calls of `ping`, or None."""

    def ping(self) -> None:
        """Tell the watchdog that the loop turns."""


class Attendant(Protocol):
    """Somebody who takes part in the loop: serves descriptors of its own, and may ask the supervisor for things.

    Nothing that it does may block: while it has its turn, no child is looked after.
    """

    def attach(self, supervisor: Supervisor) -> None:
        """Meet the supervisor, before the first child is started."""

    def watched(self) -> Iterable[tuple[int, int]]:
        """Return what to wait for: descriptors and their events, those of `select.poll`."""

    def descriptors(self) -> Iterable[int]:
        """Return all its descriptors, none of which a child shall keep."""

    def deadline(self) -> float | None:
        """Return the point in time at which it wants a turn in any case, or None."""

    def turn(self, ready: Mapping[int, int]) -> None:
        """Do what there is to do, in bounded time. `ready` has the events that came, by descriptor, others' too."""

    def reload_began(self) -> None:
        """A reload begins, which reads the configuration now."""

    def concluded(self, conclusion: Concluded) -> None:
        """A reload has ended, or will never begin."""

    def child_reported(self, number: int) -> None:
        """The report of a child that was asked for one is complete."""

    def child_ended(self, number: int) -> None:
        """A child is gone."""


class Clock(Protocol):
    """A monotonic clock."""

    def now(self) -> float:
        """Return seconds since an arbitrary point."""


@dataclass(slots=True)
class _Record:
    """What the operating system knows of a child. `pid` is 0 until it is known, descriptors -1 without one."""

    number: int
    role: str
    slot: int
    pid: int
    reader: MessageReader
    started: float
    report_fd: int
    control_fd: int = -1

    def descriptors(self) -> list[int]:
        return [fd for fd in (self.reader.fd, self.report_fd, self.control_fd) if fd >= 0]


class Supervisor:
    """Runs one `Core` on the real machine, or on a fake one."""

    def __init__(
        self,
        host: Host,
        first: Generation,
        *,
        own_pid: int,
        processes: ProcessTable,
        clock: Clock,
        signals: SignalQueue,
        random_fraction: Callable[[], float],
        meanings: Meanings = Meanings(),
    ) -> None:
        """Take over the first generation; `run` starts it.

        Args:
            host: what is asked of the server.
            first: the first generation.
            own_pid: the supervisor's process id.
            processes: forks, signals and reaps.
            clock: for deadlines.
            signals: those that arrive.
            random_fraction: returns a number from 0 to 1, for jitter.
            meanings: what signals mean.
        """
        self._host = host
        self._own_pid = own_pid
        self._processes = processes
        self._clock = clock
        self._signals = signals
        self._meanings = meanings
        self._core = Core(first.roles, random_fraction, first.strategy)
        self._generations = {first.number: first}
        self._records: dict[int, _Record] = {}
        self._events: deque[Event] = deque()
        self._is_feeding = False
        self._finish: Finish | None = None
        self._lifeline_read, self._lifeline_write = open_pipe()
        self._log = logging.getLogger("hostler")
        self._next_ping = clock.now()
        self._attendants: list[Attendant] = []
        self._acts: dict[type, Callable[..., None]] = {
            Spawn: self._spawn,
            Launch: self._launch,
            HandOver: self._hand_over,
            Resume: lambda _: self._host.resume(),
            Tell: self._tell,
            Prepare: self._prepare,
            Announce: lambda _: self._host.announce(),
            Adopt: self._adopt,
            Abandon: self._abandon,
            Vacate: lambda action: self._host.vacate(action.role, action.slot),
            Measure: lambda _: self._measure(),
            Scaled: lambda action: self._host.scaled(action.role, action.count),
            StopListening: lambda _: self._host.stop_listening(),
            ReopenLogs: lambda _: self._host.reopen_logs(),
            Log: self._say,
            Concluded: self._conclude,
            Finish: self._end,
        }

    def run(self) -> Finish:
        """Start the children and keep them, until an operator or a failed start ends it all."""
        self._feed(Ticked())
        while self._finish is None:
            ready = self._wait()
            self._reap()
            self._reconcile()
            self._attend(ready)
        close_descriptors((self._lifeline_read, self._lifeline_write))
        return self._finish

    def command(self, command: Command) -> None:
        """Take a command, as its signal would bring it. Main thread only."""
        self._feed(Commanded(command))

    def resize(self, count: int) -> None:
        """Have so many workers from now on. Main thread only."""
        self._feed(Resized(count))

    def attend(self, attendant: Attendant) -> None:
        """Let somebody take part in the loop; before `run`."""
        self._attendants.append(attendant)
        attendant.attach(self)

    def children(self) -> list[ChildFacts]:
        """Return all children, in the order of their roles and slots."""
        return [
            ChildFacts(
                number=child.number,
                name=child.name,
                role=child.role.name,
                slot=child.slot,
                generation=child.generation,
                state=child.state,
                since=child.since,
                started=record.started,
                pid=record.pid,
            )
            for child in sorted(self._core.children.values(), key=lambda each: (each.role.name, each.slot, each.number))
            if (record := self._records.get(child.number)) is not None
        ]

    def generation(self) -> int:
        """Return the number of the generation that serves."""
        return self._core.current.generation

    def wanted(self, role: str) -> int:
        """Return how many children of a role are wanted."""
        return next((each.count for each in self._core.current.roles if each.name == role), 0)

    def pause(self, *, is_paused: bool) -> None:
        """Let workers take no requests, or again. What is paused still reloads, scales and stops."""
        if self.phase not in (Phase.STOPPING, Phase.ENDED):
            self._host.pause(is_paused=is_paused)

    @property
    def is_paused(self) -> bool:
        """Whether workers take no requests."""
        return self._host.is_paused

    def ask_report(self, number: int) -> bool:
        """Ask a child what it is doing; attendants hear when its report is there.

        Returns:
            False when it cannot be asked: it is gone, or not there yet.
        """
        record = self._records.get(number)
        if record is None or not record.pid or record.report_fd < 0:
            return False
        clear_report(record.report_fd)
        for each in REPORT_SIGNALS:
            self._processes.signal_main_thread(record.pid, each)
        return True

    def read_report(self, number: int) -> tuple[str, bytes]:
        """Return the report of a child, as far as it is there: its two parts."""
        record = self._records.get(number)
        return ("", b"") if record is None or record.report_fd < 0 else read_report(record.report_fd)

    # The calls of the loop.

    def _reap(self) -> None:
        numbers, ends = self._collect()
        for number in numbers:
            if number in self._meanings.calls:
                self._meanings.calls[number]()
            elif number in self._meanings.commands:
                self.command(self._meanings.commands[number])
        for record in list(self._records.values()):
            self._read(record)
        for pid, end in ends:
            self._note_end(pid, end)

    def _collect(self) -> tuple[list[int], list[tuple[int, Exit]]]:
        """Return the signals that arrived and the children that ended.

        Signals are read again after each end that was found: a child that ended because its whole group was interrupted
        must not look as if it had ended by itself. Ends are looked for last, as a SIGCHLD that was read is gone.
        """
        numbers, ends = self._signals.receive(), self._processes.reap()
        latest = ends
        while latest:
            numbers += self._signals.receive()
            latest = self._processes.reap()
            ends = ends + latest
        return numbers, ends

    def _reconcile(self) -> None:
        self._feed(Ticked())
        interval = self._host.ping_interval()
        if interval is not None and self._clock.now() >= self._next_ping:
            self._next_ping = self._clock.now() + interval
            self._host.ping()

    def _measure(self) -> None:
        known = {record.number: record.pid for record in self._records.values() if record.pid}
        sizes = {number: self._processes.memory(pid) for number, pid in known.items()}
        memory = {number: size for number, size in sizes.items() if size}
        self._events.append(Measured(memory, self._host.measure()))

    def _attend(self, ready: Mapping[int, int]) -> None:
        for attendant in self._attendants:
            attendant.turn(ready)

    def _wait(self) -> dict[int, int]:
        poller = select.poll()
        poller.register(self._signals.fd, select.POLLIN)
        for record in self._records.values():
            # A closed pipe is always readable; its child's end comes by signal.
            if not record.reader.is_closed:
                poller.register(record.reader.fd, select.POLLIN)
        for attendant in self._attendants:
            for fd, events in attendant.watched():
                poller.register(fd, events)
        knocks = set(self._host.listening()) if self._core.is_awaiting_knock else set()
        for fd in knocks:
            poller.register(fd, select.POLLIN)
        ready = dict(poller.poll(self._patience()))
        if knocks & ready.keys():
            self._feed(Knocked())
        return ready

    def _patience(self) -> float | None:
        """Return the milliseconds until the next deadline, or None. Rounded up, so that it has passed when we wake."""
        points = [self._core.deadline(), *(each.deadline() for each in self._attendants)]
        if self._host.ping_interval() is not None:
            points.append(self._next_ping)
        known = [point for point in points if point is not None]
        if not known:
            return None
        return max(0.0, min(known) - self._clock.now()) * 1000 + 1

    # Taking in what happened.

    def _feed(self, event: Event) -> None:
        """Hand an event to the core and carry out what follows; events that come up meanwhile wait for their turn."""
        self._events.append(event)
        if self._is_feeding:
            return
        self._is_feeding = True
        while self._events:
            for action in self._core.step(self._events.popleft(), self._clock.now()):
                self._act(action)
        self._is_feeding = False

    def _act(self, action: Action) -> None:
        self._acts[type(action)](action)

    def _read(self, record: _Record) -> None:
        for message in record.reader.receive():
            self._take(record, message)
        if record.reader.is_closed and record.pid == 0:
            self._forget(record, "ended")

    def _take(self, record: _Record, message: Message) -> None:
        """Take in one message of a child; what we do not understand is dropped."""
        number = record.number
        match message:
            case {"event": "started", "pid": int(pid)}:
                if record.pid == 0:
                    record.pid = pid
                    self._note_pid(record)
            case {"event": "ready"}:
                if isinstance(message.get("serves"), str):
                    self._host.note_service(message["serves"])
                self._feed(ChildReady(number))
            case {"event": "failed", "message": str(text)}:
                details, status = message.get("details"), message.get("status")
                known = status if isinstance(status, int) and status > 0 else 3
                self._feed(ChildFailed(number, text, str(details or ""), known))
            case {"event": "recycle"}:
                self._feed(ChildAskedRecycling(number))
            case {"event": "reported"}:
                for attendant in self._attendants:
                    attendant.child_reported(number)
            case {"event": "stuck", "message": str(text), "hopeless": bool(is_hopeless)}:
                self._feed(ChildStuck(number, text, is_hopeless))

    def _note_end(self, pid: int, end: Exit) -> None:
        # A child that was forked for us may have told its pid only now; all else are strangers that were handed to us.
        for record in list(self._records.values()):
            if record.pid in (0, pid):
                for message in record.reader.receive():
                    self._take(record, message)
            if record.pid == pid:
                self._forget(record, str(end))
                return

    def _forget(self, record: _Record, reason: str) -> None:
        if self._records.pop(record.number, None) is None:
            return
        close_descriptors(record.descriptors())
        self._host.free(record.number)
        if record.pid:
            self._host.ended(record.role, record.slot, record.pid, reason)
        for attendant in self._attendants:
            attendant.child_ended(record.number)
        self._feed(ChildExited(record.number, f"(pid {record.pid}) {reason}" if record.pid else reason))

    # Carrying out what is to be done.

    def _spawn(self, action: Spawn) -> None:
        generation = self._generations[action.generation]
        try:
            listeners = generation.listeners(action.role, action.slot)
            place = self._host.allot(action.child, action.role, action.slot, action.generation)
            if action.via:
                self._request_fork(action, listeners, place)
            else:
                self._fork(action, generation, listeners, place)
        except (OSError, HostlerError) as error:
            self._host.free(action.child)
            self._events.append(ChildExited(action.child, f"could not be started ({error})"))

    def _fork(
        self, action: Spawn, generation: Generation, listeners: tuple[Listener, ...], place: tuple[int, int]
    ) -> None:
        status_read, status_write = open_pipe()
        ours, theirs = open_control_pair() if action.role in generation.forking_roles else (-1, -1)
        report = open_report()
        context = ChildContext(
            action.role,
            action.slot,
            status_write,
            self._lifeline_read,
            theirs,
            self._own_pid,
            listeners,
            *place,
            report,
        )
        kept = {status_write, self._lifeline_read, theirs, place[0], *(each.fd for each in listeners)}
        kept.update(generation.kept.get(action.role, ()))
        closed = [fd for fd in (*self._descriptors(), status_read, ours) if fd >= 0 and fd not in kept]
        main = generation.mains[action.role]

        def child_main() -> int:
            self._signals.close_descriptors()
            close_descriptors(closed)
            return main(context)

        try:
            self._host.forking(action.generation, action.role, action.slot)
            pid = self._processes.start(child_main)
        except OSError:
            close_descriptors(fd for fd in (status_read, ours, report) if fd >= 0)
            raise
        finally:
            close_descriptors(fd for fd in (status_write, theirs) if fd >= 0)
        self._keep(action, pid, status_read, report, ours)
        self._note_pid(self._records[action.child])

    def _note_pid(self, record: _Record) -> None:
        self._host.note_pid(record.number, record.pid)
        self._host.started(record.role, record.slot, record.pid)

    def _keep(self, action: Spawn, pid: int, status_read: int, report_fd: int, control_fd: int = -1) -> None:
        reader = MessageReader(status_read)
        self._records[action.child] = _Record(
            action.child, action.role, action.slot, pid, reader, self._clock.now(), report_fd, control_fd
        )

    def _request_fork(self, action: Spawn, listeners: tuple[Listener, ...], place: tuple[int, int]) -> None:
        status_read, status_write = open_pipe()
        report = open_report()
        self._keep(action, 0, status_read, report)
        request = ForkRequest(action.role, action.slot, status_write, self._lifeline_read, listeners, *place, report)
        is_sent = send_fork_request(self._records[action.via].control_fd, request)
        close_descriptors((status_write,))
        if not is_sent:
            # Its status pipe has no writer now, so its end is noted like any other.
            self._log.warning("the fork server does not answer")

    def _launch(self, action: Launch) -> None:
        status_read, status_write = open_pipe()
        try:
            become = self._host.launch(status_write)
            pid = self._processes.start(lambda: self._become_supervisor(become, status_write))
        except (OSError, HostlerError) as error:
            close_descriptors((status_read,))
            self._events.append(ChildFailed(action.child, str(error)))
            self._events.append(ChildExited(action.child, "was not started"))
            return
        finally:
            close_descriptors((status_write,))
        self._records[action.child] = _Record(
            action.child, NEW_SUPERVISOR, 1, pid, MessageReader(status_read), self._clock.now(), report_fd=-1
        )
        self._host.started(NEW_SUPERVISOR, 1, pid)

    def _become_supervisor(self, become: Callable[[], NoReturn], status_fd: int) -> int:
        """After fork. All other descriptors are closed by the kernel as the program begins."""
        try:
            become()
        except OSError as error:
            message = f"cannot start {error.filename or 'the program'}: {error.strerror}"
            send_message(status_fd, {"event": "failed", "message": message})
            return 1

    def _hand_over(self, action: HandOver) -> None:
        record = self._records.pop(action.child)
        record.reader.close()
        self._host.hand_over(record.pid)

    def _descriptors(self) -> list[int]:
        """Return everything that a child has no business with."""
        mine = [self._lifeline_write, *self._host.descriptors()]
        for attendant in self._attendants:
            mine += attendant.descriptors()
        for record in self._records.values():
            mine += record.descriptors()
        return [fd for fd in mine if fd >= 0]

    def _tell(self, action: Tell) -> None:
        record = self._records.get(action.child)
        if record is None:
            return
        if record.pid:
            self._processes.send_signal(record.pid, ORDERS[action.order])
        elif action.order is Order.KILL:
            # Nobody to kill yet. Should it be forked after all, it ends when it finds nobody to report to.
            self._forget(record, "never started")

    def _prepare(self, action: Prepare) -> None:
        self._host.reloading()
        for attendant in self._attendants:
            attendant.reload_began()
        try:
            generation = self._host.prepare(action.generation)
        except HostlerError as error:
            self._host.refused()
            self._events.append(Refused(str(error)))
            return
        self._generations[generation.number] = generation
        self._events.append(Prepared(generation.number, generation.roles, generation.strategy))

    def _adopt(self, action: Adopt) -> None:
        self._host.adopt(action.generation)
        self._generations = {action.generation: self._generations[action.generation]}

    def _abandon(self, action: Abandon) -> None:
        self._host.abandon(action.generation)
        del self._generations[action.generation]

    def _say(self, action: Log) -> None:
        details = f"\n{action.details.rstrip()}" if action.details else ""
        self._log.log(_LEVELS[action.level.upper()], "%s%s", action.message, details)

    def _conclude(self, action: Concluded) -> None:
        for attendant in self._attendants:
            attendant.concluded(action)

    def _end(self, action: Finish) -> None:
        self._finish = action

    @property
    def phase(self) -> Phase:
        """Where the supervisor is in its life."""
        return self._core.phase
