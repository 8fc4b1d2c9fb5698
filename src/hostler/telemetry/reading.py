"""What is read from the scoreboard: values, and what can be said of the time between two readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import reduce
from typing import Any, Literal

from hostler.telemetry.durations import Durations

WorkerState = Literal["starting", "idle", "busy", "draining", "stopped"]
# Those fields of `Counts` that are no numbers.
_TIMES = ("request_time", "first_byte_time")


@dataclass(frozen=True, slots=True)
class Counts:
    """What only grows, of one worker or of several.

    Attributes:
        connections: connections accepted.
        requests: requests that the application was called for.
        responses_1xx: requests that were answered with 101, which became WebSockets.
        responses_2xx: responses by the class of their status, those of the server itself included.
        responses_3xx: see above.
        responses_4xx: see above.
        responses_5xx: see above.
        unanswered: requests that ended without a response.
        refusals: requests that the server answered in place of the application: malformed, too large, too many.
        failures: exceptions that left the application.
        aborts: responses that were broken off.
        abandoned: requests whose client was gone before they were answered.
        lost: requests that were in the application when their worker ended.
        expired: requests whose deadline came before their end.
        shed: requests that had waited for too long, and were refused (`overload.target`).
        websockets: WebSockets accepted.
        bytes_received: bytes read from clients.
        bytes_sent: bytes written to clients.
        turns: turns of the reactor.
        busy_time: seconds in which at least one request was in the application, up to the last time that none was.
        application_time: seconds that requests were in the application, added up, of those that have left it.
        request_time: from the complete head of a request to the end of its response, WebSockets excluded.
        first_byte_time: from the complete head of a request to the first byte of its response.
    """

    connections: int = 0
    requests: int = 0
    responses_1xx: int = 0
    responses_2xx: int = 0
    responses_3xx: int = 0
    responses_4xx: int = 0
    responses_5xx: int = 0
    unanswered: int = 0
    refusals: int = 0
    failures: int = 0
    aborts: int = 0
    abandoned: int = 0
    lost: int = 0
    expired: int = 0
    shed: int = 0
    websockets: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    turns: int = 0
    busy_time: float = 0.0
    application_time: float = 0.0
    request_time: Durations = field(default_factory=Durations)
    first_byte_time: Durations = field(default_factory=Durations)

    @property
    def finished(self) -> int:
        """Requests that have ended, answered or not, those that never reached the application included."""
        return sum(self.responses.values()) + self.unanswered

    @property
    def responses(self) -> Mapping[str, int]:
        """Responses by the class of their status: "2xx" and so on."""
        return {f"{each}xx": getattr(self, f"responses_{each}xx") for each in range(1, 6)}

    def __add__(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, earlier: Counts) -> Counts:
        """Return what has come since `earlier`; never less than nothing."""
        names = [each.name for each in fields(self) if each.name not in _TIMES]
        changes: dict[str, Any] = {name: max(0, getattr(self, name) - getattr(earlier, name)) for name in names}
        changes |= {name: getattr(self, name) - getattr(earlier, name) for name in _TIMES}
        return Counts(**changes)


@dataclass(frozen=True, slots=True)
class RequestReading:
    """A request that is in the application.

    Attributes:
        id: its id, as in the access log; cut after 32 characters.
        method: such as "GET".
        path: its path, cut after 160 bytes.
        client: the client's address; "" behind a unix socket.
        age: seconds since the application was called.
        thread: the thread that calls it, as `threading.get_ident` names it.
    """

    id: str
    method: str
    path: str
    client: str
    age: float
    thread: int


@dataclass(frozen=True, slots=True)
class SlowRequestReading:
    """A request that has ended, and took long.

    Attributes:
        worker: which worker had it, from 1.
        pid: that worker's process id; it may be gone.
        id: its id, as in the access log; cut after 32 characters.
        method: such as "GET".
        path: its path, cut after 160 bytes.
        client: the client's address; "" behind a unix socket.
        protocol: such as "HTTP/1.1"; "" where it is not known.
        status: of its response; 0 if there was none.
        is_lost: whether it ended with its worker, whatever was answered before.
        duration: seconds from its complete head to its end; of one that is lost, from the call of the application.
        waited: the part of that before the application was called: for its body, and for its turn.
        application_time: the part of that in the application.
        body_sent: bytes of its response's body.
        ended_for: seconds since its end.
    """

    worker: int
    pid: int
    id: str
    method: str
    path: str
    client: str
    protocol: str
    status: int
    is_lost: bool
    duration: float
    waited: float
    application_time: float
    body_sent: int
    ended_for: float


@dataclass(frozen=True, slots=True)
class SlowestReading:
    """The slowest requests of late, of all workers, those that have ended meanwhile included.

    Attributes:
        seconds: the time that is covered, up to now.
        requests: the slowest first.
    """

    seconds: float = 0.0
    requests: Sequence[SlowRequestReading] = ()


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """One worker.

    Attributes:
        child: its number among the supervisor's children, never given again.
        pid: its process id; 0 while that is not known.
        slot: which worker it is, from 1. While one replaces another both have the same.
        generation: the reading of the configuration that it was started from.
        state: "starting" until it serves; "draining" while it finishes what it has; "stopped" when it has closed all.
        age: seconds since it was started.
        threads: requests that it may have in the application at once; 1 for ASGI, where nothing is said.
        silent_for: seconds since its reactor last turned, or None while there is nothing to turn for. With requests in
            the application a reactor turns at least once a second, unless all threads are in the application or one of
            them keeps the interpreter to itself.
        connections_open: connections.
        websockets_open: WebSockets among them.
        in_flight: requests in the application.
        unshown: those of them that are not in `requests`, as there were too many.
        ready: requests that wait to be given to the application.
        buffered: bytes held for connections.
        busy_for: seconds since there was no request in the application; 0 while there is none.
        counts: what it has done so far.
        requests: what is in the application, the oldest first.
        spawns: workers that have been started in its slot so far, it included.
        former: what those before it did that have ended: requests, failures, bytes sent, time in the application.
    """

    child: int
    pid: int
    slot: int
    generation: int
    state: WorkerState
    age: float
    threads: int
    silent_for: float | None
    connections_open: int
    websockets_open: int
    in_flight: int
    unshown: int
    ready: int
    buffered: int
    busy_for: float
    counts: Counts
    requests: tuple[RequestReading, ...]
    spawns: int = 1
    former: Counts = field(default_factory=Counts)

    @property
    def oldest(self) -> float:
        """The age of the oldest request in the application, seconds; 0 without one."""
        return self.requests[0].age if self.requests else 0.0

    @property
    def running_time(self) -> float:
        """Seconds that the requests in the application have been there, added up."""
        return sum(request.age for request in self.requests)


@dataclass(frozen=True, slots=True)
class Reading:
    """The whole scoreboard at one moment.

    Attributes:
        at: that moment, seconds on the monotonic clock.
        started_at: when the scoreboard was made, at the start of the server, seconds since 1970.
        workers: those that live, by slot and age.
        ended: what workers did that have ended.
        is_consistent: False if a worker came or went meanwhile so often, or the supervisor died in the midst of noting
            one, that `ended` and `workers` may not fit each other.
        is_paused: whether workers are to take no requests.
    """

    at: float
    started_at: float
    workers: tuple[WorkerReading, ...]
    ended: Counts
    is_consistent: bool = True
    is_paused: bool = False

    @property
    def counts(self) -> Counts:
        """What all workers have done since the server was started; it never decreases."""
        return reduce(Counts.__add__, (worker.counts for worker in self.workers), self.ended)


@dataclass(frozen=True, slots=True)
class WorkerInterval:
    """One worker between two readings.

    Attributes:
        busy_share: the share of the time in which it had requests in the application, from 0 to 1.
        utilisation: the share of its threads' time that requests were in the application, from 0 to 1; for ASGI it is
            how many were in it on average, and may be more.
        counts: what it did.
    """

    busy_share: float
    utilisation: float
    counts: Counts


@dataclass(frozen=True, slots=True)
class Interval:
    """The time between two readings.

    Attributes:
        seconds: how long.
        counts: what all workers did.
        workers: what each did that was there at the end, by the number of the child.
    """

    seconds: float
    counts: Counts
    workers: Mapping[int, WorkerInterval]

    @property
    def requests_per_second(self) -> float:
        """Requests that ended in a second."""
        return self.counts.finished / self.seconds if self.seconds > 0 else 0.0


def compare(earlier: Reading, later: Reading) -> Interval:
    """Say what happened between two readings of one scoreboard."""
    seconds = max(0.0, later.at - earlier.at)
    known = {worker.child: worker for worker in earlier.workers}
    workers = {each.child: _compare_worker(known.get(each.child), each, seconds) for each in later.workers}
    return Interval(seconds, later.counts - earlier.counts, workers)


def _compare_worker(earlier: WorkerReading | None, later: WorkerReading, seconds: float) -> WorkerInterval:
    counts = later.counts - (earlier.counts if earlier is not None else Counts())
    lived = min(seconds, later.age) or 1.0
    # What has begun and not ended counts for the interval that it falls into.
    busy = counts.busy_time + later.busy_for - (earlier.busy_for if earlier is not None else 0.0)
    running = counts.application_time + later.running_time - (earlier.running_time if earlier is not None else 0.0)
    utilisation = max(0.0, running) / lived / max(1, later.threads)
    return WorkerInterval(min(1.0, max(0.0, busy) / lived), utilisation, counts)
