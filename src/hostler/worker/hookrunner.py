"""The hook runner: a child that runs the actions of the configuration which belong to no worker.

Theory: the supervisor runs nothing of the application's and waits for nothing. So a child of its own runs what the
operator wants before workers start, and what is told of later events comes through a pipe, one message each, and is
done in order. Each action is a process again: it has the rights, directory and environment of a worker, unless it is a
command that shall keep the supervisor's rights; it can be killed when it takes too long.

The runner of a generation is ready when all actions of `prepare` have succeeded, and workers are started after that. At
a stop it goes last: it hears of the end of the last worker.
"""

from __future__ import annotations

import logging
import select
import signal
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from hostler.app.hook import Action, build_variables, log_failure, parse_action, run_action
from hostler.config import Config
from hostler.contracts import ChildContext, HookEvent
from hostler.errors import ApplicationError, HostlerError
from hostler.system.channel import Message, MessageReader, open_pipe, send_message
from hostler.system.clock import SystemClock
from hostler.system.command import become_command, kill_group, lead_group
from hostler.system.process import Exit, SystemProcesses, close_descriptors, own_pid, tie_to_parent
from hostler.system.signals import SignalQueue
from hostler.system.title import set_title
from hostler.worker.assignment import Assignment
from hostler.worker.report import report_failure
from hostler.worker.role import prepare_process

_TOLD = ("serving", "worker_started", "worker_ended", "stopping", "ended")


@dataclass(frozen=True, slots=True)
class Errand:
    """What a hook runner has to do.

    Attributes:
        reason: why its generation is started: "start", "reload" or "upgrade"; "" when it is there already and
            `prepare` is over.
        messages_fd: a pipe with a message for each event, as `build_message` makes them.
    """

    reason: str
    messages_fd: int


def has_errands(config: Config) -> bool:
    """Tell whether a hook runner is needed."""
    hooks = config.hooks
    return bool(hooks.prepare or any(getattr(hooks, phase) for phase in _TOLD))


def build_message(
    phase: str, *, worker: int = 0, pid: int = 0, reason: str = "", addresses: Sequence[str] = ()
) -> Message:
    """Put an event into words for the pipe; see `HookEvent`."""
    return {"phase": phase, "worker": worker, "pid": pid, "reason": reason, "addresses": list(addresses)}


def run_hook_runner(assignment: Assignment, errand: Errand, context: ChildContext) -> int:
    """Be a hook runner; after fork. Returns the exit status."""
    set_title(f"hostler: hooks {assignment.title}")
    signals = SignalQueue((signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD))
    tie_to_parent(context.supervisor_pid, signal.SIGTERM)
    return _Runner(assignment, errand, context, signals).run()


class _InterruptedError(Exception):
    """An order to end has come while an action was running."""


class _Runner:
    def __init__(self, assignment: Assignment, errand: Errand, context: ChildContext, signals: SignalQueue) -> None:
        self._assignment = assignment
        self._errand = errand
        self._context = context
        self._signals = signals
        self._messages = MessageReader(errand.messages_fd)
        self._processes = SystemProcesses()
        self._clock = SystemClock()
        self._log = logging.getLogger("hostler")
        self._orders: set[int] = set()
        self._is_stopping = False
        self._has_ended = False

    def run(self) -> int:
        try:
            if self._errand.reason:
                event = HookEvent("prepare", self._context.supervisor_pid, reason=self._errand.reason)
                self._do(event, is_interruptible=True)
        except HostlerError as error:
            report_failure(self._context.status_fd, error)
            return error.exit_status
        except _InterruptedError:
            return 0
        send_message(self._context.status_fd, {"event": "ready"})
        self._listen()
        return 0

    def _listen(self) -> None:
        while True:
            # What came with an order was written before it: the order is looked at after all that is read from now on.
            orders = frozenset(self._orders)
            for message in self._messages.receive():
                self._hear(message)
            if self._is_over(orders):
                return
            if orders == self._orders:
                self._wait(None)

    def _is_over(self, orders: AbstractSet[int]) -> bool:
        """Whether there is nothing more to hear: the server has ended, or only our generation has, or all else has."""
        if self._has_ended or self._messages.is_closed or signal.SIGQUIT in orders:
            return True
        return signal.SIGTERM in orders and not self._is_stopping

    def _hear(self, message: Message) -> None:
        match message:
            case {
                "phase": str(phase), "worker": int(worker), "pid": int(pid), "reason": str(reason),
                "addresses": list(addresses),
            } if phase in _TOLD:  # fmt: skip
                self._is_stopping |= phase == "stopping"
                event = HookEvent(phase, self._context.supervisor_pid, worker, pid, reason, tuple(addresses))
                self._do_what_can_be_done(event)
                self._has_ended |= phase == "ended"

    def _do_what_can_be_done(self, event: HookEvent) -> None:
        try:
            self._do(event, is_interruptible=False)
        except HostlerError as error:
            log_failure(error)
        except _InterruptedError:
            self._log.warning("the hooks of %s were not finished", event.phase)

    def _do(self, event: HookEvent, *, is_interruptible: bool) -> None:
        for text in getattr(self._assignment.config.hooks, event.phase):
            self._run_one(parse_action(text), event, is_interruptible=is_interruptible)

    def _run_one(self, action: Action, event: HookEvent, *, is_interruptible: bool) -> None:
        """Run one action in a process of its own and wait for its end.

        Raises:
            ApplicationError: it failed, or took too long.
            _InterruptedError: we are to end; the action was killed.
        """
        timeout = self._assignment.config.hooks.timeout
        report_read, report_write = open_pipe()
        runner = own_pid()
        pid = self._processes.start(lambda: self._act(action, event, report_write, runner))
        close_descriptors((report_write,))
        report = MessageReader(report_read)
        deadline = self._clock.now() + timeout
        try:
            while (end := self._find_end(pid)) is None:
                if self._clock.now() >= deadline:
                    kill_group(pid)
                    raise ApplicationError(f"the hook {action.text!r} took longer than {timeout:g} s (hooks.timeout)")
                if signal.SIGQUIT in self._orders or (is_interruptible and signal.SIGTERM in self._orders):
                    kill_group(pid)
                    raise _InterruptedError
                self._wait(deadline)
            if end.code != 0:
                raise _find_fault(report.receive(), f"the hook {action.text!r} {end} (hooks.{event.phase})")
        finally:
            report.close()

    def _find_end(self, pid: int) -> Exit | None:
        return next((end for ended, end in self._processes.reap() if ended == pid), None)

    def _act(self, action: Action, event: HookEvent, report_fd: int, runner: int) -> int:
        """Be an action; after fork."""
        self._signals.close_descriptors()
        lead_group()
        try:
            if not action.is_privileged:
                context = ChildContext("hook", 0, report_fd, self._context.lifeline_fd, -1, runner)
                prepare_process(self._assignment, context, "hostler: hook")
            if action.command:
                become_command(action.command, build_variables(event))
            run_action(action, event, None)
        except OSError as error:
            report_failure(report_fd, ApplicationError(f"the hook {action.text!r} could not be run: {error.strerror}"))
            return ApplicationError.exit_status
        except HostlerError as error:
            report_failure(report_fd, error)
            return error.exit_status
        return 0

    def _wait(self, deadline: float | None) -> None:
        """Wait for a signal, the end of the supervisor or the point in time; without one, for messages too."""
        poller = select.poll()
        poller.register(self._signals.fd, select.POLLIN)
        poller.register(self._context.lifeline_fd, select.POLLIN)
        if deadline is None:
            poller.register(self._messages.fd, select.POLLIN)
        ready = poller.poll(None if deadline is None else max(0.0, deadline - self._clock.now()) * 1000 + 1)
        self._orders.update(self._signals.receive())
        if any(fd == self._context.lifeline_fd for fd, _ in ready):
            self._orders.add(signal.SIGQUIT)


def _find_fault(reported: list[Message], otherwise: str) -> ApplicationError:
    """Return what an action that failed has said of itself, or what its end says."""
    for message in reported:
        match message:
            case {"event": "failed", "message": str(text), "details": str(details)}:
                return ApplicationError(text, details or None)
    return ApplicationError(otherwise)
