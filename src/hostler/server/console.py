"""The console: what the control socket's operations do to a running server. It has its turns in the supervisor's loop.

Theory: a handler answers its call at once, or parks it. Parked are those who wait for the end of a reload (first until
it begins, then until it ends), for a report of a child that was asked what it is doing, and for news in the log. Each
of the last two has a deadline, so nobody waits for a child that hangs.

Invariant: nothing here blocks, and a turn is bounded: a few reads of /proc and of memory per child at most.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hostler.control.server import Call, Clock, ControlServer, Handler
from hostler.supervisor.model import ChildFacts, ChildState, Command, Concluded, Outcome, Phase
from hostler.supervisor.shell import Supervisor
from hostler.system.vitals import read_vitals
from hostler.telemetry.log_tail import LogTail
from hostler.telemetry.reading import WorkerReading
from hostler.telemetry.scoreboard import Scoreboard
from hostler.tls.challenges import Challenges

# Seconds that a child gets to say what it is doing. One that runs Python does so in milliseconds.
REPORT_TIMEOUT = 1.0
MAX_WORKERS = 1024  # that of `workers.count`
WORKER = "worker"
_STOPPING = "the server is stopping"


@dataclass(slots=True)
class _Question:
    """Children that were asked what they are doing, for one call."""

    call: Call
    children: list[ChildFacts]
    deadline: float
    reports: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Somebody who waits for news in the log."""

    call: Call
    after: int
    deadline: float


class Console:
    """Implements `supervisor.shell.Attendant`."""

    def __init__(
        self,
        describe: Callable[[], Mapping[str, Any]],
        tail: LogTail,
        board: Scoreboard,
        clock: Clock,
        challenges: Challenges,
    ) -> None:
        """Begin without a socket; `serve` brings one.

        Args:
            describe: gives what the status says of the server as a whole.
            tail: the latest records of the server log.
            board: what workers tell of themselves.
            clock: tells the time.
            challenges: what authorities are answered.
        """
        self._describe = describe
        self._tail = tail
        self._board = board
        self._clock = clock
        self._challenges = challenges
        self._log = logging.getLogger("hostler")
        self._started = clock.now()
        self._supervisor: Supervisor
        self._server: ControlServer
        self._reloads_waiting: list[Call] = []
        self._reloads_begun: list[Call] = []
        self._upgrades: list[Call] = []
        self._last_reload: tuple[Concluded, float] | None = None
        self._questions: list[_Question] = []
        self._readers: list[_Reader] = []
        self.handlers: Mapping[str, Handler] = {
            "describe": self._answer_document,
            "status": self._answer_status,
            "load": self._answer_load,
            "requests": self._answer_requests,
            "reload": self._reload,
            "scale": self._scale,
            "stop": self._stop,
            "reopen": self._reopen,
            "pause": partial(self._pause, is_paused=True),
            "resume": partial(self._pause, is_paused=False),
            "upgrade": self._upgrade,
            "add_challenge": self._add_challenge,
            "remove_challenge": self._remove_challenge,
            "logs": self._answer_logs,
            "stacks": self._ask_all,
            "worker_stacks": self._ask_one,
        }

    def serve(self, server: ControlServer) -> None:
        """Take over the socket's server, whose handlers are ours."""
        self._server = server

    # Taking part in the loop.

    def attach(self, supervisor: Supervisor) -> None:
        """Meet the supervisor; see `Attendant.attach`."""
        self._supervisor = supervisor

    def watched(self) -> Iterable[tuple[int, int]]:
        """Return what to wait for; see `Attendant.watched`."""
        yield self._tail.fd, select.POLLIN
        yield from self._server.watched()

    def descriptors(self) -> Iterable[int]:
        """Return what no child shall keep; the end for copies of the log is for them. See `Attendant.descriptors`."""
        return [self._tail.fd, *self._server.descriptors()]

    def deadline(self) -> float | None:
        """Return when a turn is due; see `Attendant.deadline`."""
        points = [self._server.deadline(), *(each.deadline for each in self._questions)]
        points += [each.deadline for each in self._readers]
        return min((point for point in points if point is not None), default=None)

    def turn(self, ready: Mapping[int, int]) -> None:
        """Do what there is to do; see `Attendant.turn`."""
        if self._tail.fd in ready:
            self._tail.receive()
        self._server.turn(ready)
        self._settle_readers()
        self._settle_questions()

    def close(self) -> None:
        """Drop all clients, who learn by it that the server has ended, and remove the socket file."""
        self._server.close()

    # Status.

    def _answer_document(self, call: Call) -> None:
        from hostler.control.openapi import build_document  # for those who ask

        call.answer(build_document())

    def _answer_load(self, call: Call) -> None:
        from hostler.server.load_report import describe_load  # as all that only answers need

        call.answer(describe_load(self._board.read()))

    def _answer_requests(self, call: Call) -> None:
        from hostler.server.load_report import describe_requests

        # First those that are in progress: so none is missed that ends in between.
        reading = self._board.read()
        call.answer(describe_requests(reading, self._board.read_slowest(int(call.arguments["slowest"]))))

    def _answer_status(self, call: Call) -> None:
        supervisor, now = self._supervisor, self._clock.now()
        readings = {worker.child: worker for worker in self._board.read().workers}
        call.answer(
            {
                **self._describe(),
                "phase": supervisor.phase.value,
                "is_paused": supervisor.is_paused,
                "uptime": round(now - self._started, 3),
                "generation": supervisor.generation(),
                "workers": supervisor.wanted(WORKER),
                "last_reload": self._describe_reload(),
                "children": [
                    self._describe_child(each, readings.get(each.number), now) for each in supervisor.children()
                ],
            }
        )

    def _describe_child(self, child: ChildFacts, reading: WorkerReading | None, now: float) -> dict[str, Any]:
        from hostler.server.load_report import summarise_worker

        vitals = read_vitals(child.pid) if child.pid else None
        return {
            "name": child.name,
            "role": child.role,
            "slot": child.slot,
            "generation": child.generation,
            "pid": child.pid or None,
            "state": child.state.value,
            "state_age": round(now - child.since, 3),
            "age": round(now - child.started, 3),
            "memory": vitals.memory if vitals else None,
            "cpu": round(vitals.cpu, 2) if vitals else None,
            "threads": vitals.threads if vitals else None,
            "load": summarise_worker(reading) if reading is not None else None,
        }

    def _describe_reload(self) -> dict[str, Any] | None:
        if self._last_reload is None:
            return None
        conclusion, at = self._last_reload
        return {
            "outcome": conclusion.outcome.value,
            "message": conclusion.message,
            "details": conclusion.details,
            "age": round(self._clock.now() - at, 3),
        }

    # Commands.

    def _note(self, call: Call, what: str) -> None:
        self._log.info("%s was asked for on the control socket by %s", what, call.who)

    def _reload(self, call: Call) -> None:
        if self._is_stopping():
            call.refuse(409, _STOPPING, outcome=Outcome.STOPPED.value)
            return
        self._note(call, "a reload")
        # First: it may begin, and be refused, within the command.
        self._reloads_waiting.append(call)
        self._supervisor.command(Command.RELOAD)

    def reload_began(self) -> None:
        """Those who have asked before now get to know how this one ends; see `Attendant.reload_began`."""
        self._reloads_begun += self._reloads_waiting
        self._reloads_waiting = []

    def concluded(self, conclusion: Concluded) -> None:
        """Tell who waits how the reload or the upgrade has ended; see `Attendant.concluded`."""
        if conclusion.command is Command.UPGRADE:
            calls, self._upgrades = self._upgrades, []
            for call in calls:
                self._tell(call, conclusion)
            return
        self._last_reload = conclusion, self._clock.now()
        calls, self._reloads_begun = self._reloads_begun, []
        if conclusion.outcome is Outcome.STOPPED:
            calls += self._reloads_waiting
            self._reloads_waiting = []
        for call in calls:
            self._tell(call, conclusion)

    def _tell(self, call: Call, conclusion: Concluded) -> None:
        if conclusion.outcome in (Outcome.RELOADED, Outcome.UPGRADED):
            call.answer({"outcome": conclusion.outcome.value})
        else:
            call.refuse(409, conclusion.message, conclusion.details, outcome=conclusion.outcome.value)

    def _upgrade(self, call: Call) -> None:
        if self._is_stopping():
            call.refuse(409, _STOPPING, outcome=Outcome.STOPPED.value)
            return
        self._note(call, "an upgrade")
        # First: it may fail within the command.
        self._upgrades.append(call)
        self._supervisor.command(Command.UPGRADE)

    def _scale(self, call: Call) -> None:
        given = call.arguments
        if len(given) != 1:
            call.refuse(400, "give either workers or by")
            return
        if self._is_stopping():
            call.refuse(409, _STOPPING)
            return
        former = self._supervisor.wanted(WORKER)
        wanted = given["workers"] if "workers" in given else former + given["by"]
        wanted = min(max(1, wanted), MAX_WORKERS)
        self._note(call, f"a change from {former} to {wanted} workers")
        self._supervisor.resize(wanted)
        call.answer({"former": former, "workers": self._supervisor.wanted(WORKER)})

    def _stop(self, call: Call) -> None:
        now = bool(call.arguments["now"])
        self._note(call, "a stop" + (" at once" if now else ""))
        # First: it may be all over when the command returns.
        call.answer({"phase": Phase.STOPPING.value})
        self._supervisor.command(Command.STOP if now else Command.DRAIN)

    def _reopen(self, call: Call) -> None:
        self._supervisor.command(Command.REOPEN_LOGS)
        call.answer({"children": len(self._supervisor.children())})

    def _add_challenge(self, call: Call) -> None:
        try:
            token = self._challenges.add(call.arguments.get("key_authorization", ""))
        except ValueError as error:
            call.refuse(400, str(error))
            return
        self._note(call, f"an answer to the challenge {token}")
        call.answer({"token": token, "challenges": len(self._challenges)})

    def _remove_challenge(self, call: Call) -> None:
        token = call.arguments["token"]
        if not self._challenges.remove(token):
            call.refuse(404, f"there is no answer to a challenge {token[:200]!r}")
            return
        self._note(call, f"the end of the challenge {token}")
        call.answer({"token": token, "challenges": len(self._challenges)})

    def _pause(self, call: Call, *, is_paused: bool) -> None:
        if self._is_stopping():
            call.refuse(409, _STOPPING)
            return
        was_paused = self._supervisor.is_paused
        self._note(call, "a pause" if is_paused else "the end of a pause")
        self._supervisor.pause(is_paused=is_paused)
        call.answer({"is_paused": is_paused, "was_paused": was_paused})

    def _is_stopping(self) -> bool:
        return self._supervisor.phase in (Phase.STOPPING, Phase.ENDED)

    # Log.

    def _answer_logs(self, call: Call) -> None:
        self._tail.receive()
        after, wait = int(call.arguments.get("after", 0)), float(call.arguments["wait"])
        # A number from the future is from another life of the server: there is news for who has it.
        if wait and after == self._tail.last:
            self._readers.append(_Reader(call, after, self._clock.now() + wait))
        else:
            self._send_records(call, after)

    def _send_records(self, call: Call, after: int) -> None:
        lines, latest = self._tail.read(after, int(call.arguments["lines"]))
        missed = self._tail.missed(after)
        call.answer({"lines": lines, "next": latest, "missed": missed, "file": self._describe()["log_file"]})

    def _settle_readers(self) -> None:
        now, waiting = self._clock.now(), []
        for reader in self._readers:
            if self._tail.last > reader.after or now >= reader.deadline:
                self._send_records(reader.call, reader.after)
            elif reader.call.is_open:
                waiting.append(reader)
        self._readers = waiting

    # Stacks.

    def _ask_all(self, call: Call) -> None:
        self._ask(call, [each for each in self._supervisor.children() if each.role == WORKER])

    def _ask_one(self, call: Call) -> None:
        wanted = call.arguments["worker"]
        children = self._supervisor.children()
        chosen = [each for each in children if each.pid == wanted or (each.role == WORKER and each.slot == wanted)]
        if not chosen:
            slots = ", ".join(str(each.slot) for each in children if each.role == WORKER) or "none"
            call.refuse(404, f"there is no worker {wanted}; there are {slots}")
            return
        self._ask(call, chosen)

    def _ask(self, call: Call, children: list[ChildFacts]) -> None:
        question = _Question(call, children, self._clock.now() + REPORT_TIMEOUT)
        asked_already = {number for each in self._questions for number in each.waiting}
        for child in children:
            is_known = child.pid and child.state is not ChildState.KILLED
            if is_known and (child.number in asked_already or self._supervisor.ask_report(child.number)):
                question.waiting.add(child.number)
        self._questions.append(question)

    def child_reported(self, number: int) -> None:
        """Take over the report of a child; see `Attendant.child_reported`."""
        report = self._supervisor.read_report(number)
        for question in self._questions:
            if number in question.waiting:
                question.waiting.discard(number)
                question.reports[number] = report

    def child_ended(self, number: int) -> None:
        """Wait no longer for a child; see `Attendant.child_ended`."""
        for question in self._questions:
            question.waiting.discard(number)

    def _settle_questions(self) -> None:
        now, open_ones = self._clock.now(), []
        for question in self._questions:
            if question.waiting and now < question.deadline:
                if question.call.is_open:
                    open_ones.append(question)
                continue
            for number in question.waiting:
                question.reports[number] = self._supervisor.read_report(number)
            question.call.answer({"children": self._describe_question(question)})
        self._questions = open_ones

    def _describe_question(self, question: _Question) -> list[dict[str, Any]]:
        from hostler.server.stack_report import describe_report

        return [
            {
                "name": child.name,
                "pid": child.pid,
                "state": child.state.value,
                **describe_report(child.pid, *question.reports[child.number]),
            }
            for child in question.children
            if child.number in question.reports
        ]
