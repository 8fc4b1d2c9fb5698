"""Every metric that Hostler offers, each declared once: for OpenMetrics, statsd, OpenTelemetry, and the documentation.

Names follow OpenMetrics: lower case, the unit at the end, base units (seconds, bytes). What is told of a single worker
carries the label `worker`, its slot, and not its process id: a label whose values never end would fill the memory of
whoever collects. While a worker and its successor have the same slot they are told as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from hostler.system.usage import Usage
from hostler.telemetry.durations import BOUNDS, Durations
from hostler.telemetry.layout import BUCKET_PRECISION
from hostler.telemetry.reading import Counts, WorkerReading, WorkerState
from hostler.telemetry.snapshot import Snapshot

Kind = Literal["counter", "gauge", "histogram", "info"]
Value = float | Durations

# A bound for each doubling of the engine's buckets, from 0.4 ms to 105 s, so that none is guessed.
HISTOGRAM_BOUNDS = BOUNDS[(2 << BUCKET_PRECISION) - 1 - 8 :: 1 << BUCKET_PRECISION][:19]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value.

    Attributes:
        value: a number, or for a histogram the distribution.
        labels: what tells it from other values of the metric.
    """

    value: Value
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: with the unit, without the suffix of counters.
        kind: as OpenMetrics has it.
        unit: "seconds", "bytes" or "", also the end of the name.
        doc: a sentence for people.
        labels: the names of labels, for the documentation.
        read: takes the values from a snapshot.
    """

    name: str
    kind: Kind
    unit: str
    doc: str
    labels: tuple[str, ...]
    read: Callable[[Snapshot], Iterator[Sample]]


def read_samples(snapshot: Snapshot) -> list[tuple[Metric, list[Sample]]]:
    """Return all metrics that have values now, in order."""
    found = ((metric, list(metric.read(snapshot))) for metric in METRICS)
    return [(metric, samples) for metric, samples in found if samples]


def _info(snapshot: Snapshot) -> Iterator[Sample]:
    yield Sample(1, {"version": snapshot.version, "python": snapshot.python})


def _one(read: Callable[[Snapshot], Value | None]) -> Callable[[Snapshot], Iterator[Sample]]:
    """A metric with one value, which may be unknown."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        value = read(snapshot)
        if value is not None:
            yield Sample(value, {})

    return samples


def _count(read: Callable[[Counts], Value]) -> Callable[[Snapshot], Iterator[Sample]]:
    """A sum over all workers, ended ones included."""
    return _one(lambda snapshot: read(snapshot.reading.counts))


def _supervisor(read: Callable[[Usage], float]) -> Callable[[Snapshot], Iterator[Sample]]:
    return _one(lambda snapshot: None if snapshot.supervisor is None else read(snapshot.supervisor))


def _responses(snapshot: Snapshot) -> Iterator[Sample]:
    for status, count in snapshot.reading.counts.responses.items():
        yield Sample(count, {"status": status})


def _states(snapshot: Snapshot) -> Iterator[Sample]:
    for state in get_args(WorkerState):
        yield Sample(sum(worker.state == state for worker in snapshot.reading.workers), {"state": state})


def _slots(
    read: Callable[[WorkerReading, Snapshot], float | None], merge: Callable[[Sequence[float]], float] = sum
) -> Callable[[Snapshot], Iterator[Sample]]:
    """A value for each slot; workers that share one are merged."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        values: dict[int, list[float]] = {}
        for worker in snapshot.reading.workers:
            value = read(worker, snapshot)
            if value is not None:
                values.setdefault(worker.slot, []).append(value)
        for slot, several in sorted(values.items()):
            yield Sample(merge(several), {"worker": str(slot)})

    return samples


def _usage(read: Callable[[Usage], float | None]) -> Callable[[WorkerReading, Snapshot], float | None]:
    def value(worker: WorkerReading, snapshot: Snapshot) -> float | None:
        usage = snapshot.usage.get(worker.pid)
        return None if usage is None else read(usage)

    return value


def _backlogs(snapshot: Snapshot) -> Iterator[Sample]:
    for address, backlog in snapshot.backlogs.items():
        yield Sample(backlog.waiting, {"listener": address})


def _backlog_limits(snapshot: Snapshot) -> Iterator[Sample]:
    for address, backlog in snapshot.backlogs.items():
        yield Sample(backlog.limit, {"listener": address})


_WORKER = ("worker",)

METRICS: tuple[Metric, ...] = (
    Metric("hostler_build", "info", "", "The versions of Hostler and of Python.", ("version", "python"), _info),
    Metric(
        "hostler_start_time_seconds",
        "gauge",
        "seconds",
        "When the server was started, in seconds since 1970.",
        (),
        _one(lambda snapshot: snapshot.reading.started_at),
    ),
    # Requests.
    Metric(
        "hostler_requests",
        "counter",
        "",
        "Requests that the application was called for.",
        (),
        _count(lambda counts: counts.requests),
    ),
    Metric(
        "hostler_responses",
        "counter",
        "",
        "Responses by the class of their status, such as `5xx`, those of the server itself included.",
        ("status",),
        _responses,
    ),
    Metric(
        "hostler_refused_requests",
        "counter",
        "",
        "Requests that the server answered in place of the application: malformed, too large, too many.",
        (),
        _count(lambda counts: counts.refusals),
    ),
    Metric(
        "hostler_application_failures",
        "counter",
        "",
        "Exceptions that left the application.",
        (),
        _count(lambda counts: counts.failures),
    ),
    Metric(
        "hostler_aborted_responses",
        "counter",
        "",
        "Responses that were broken off.",
        (),
        _count(lambda counts: counts.aborts),
    ),
    Metric(
        "hostler_abandoned_requests",
        "counter",
        "",
        "Requests whose client was gone before they were answered.",
        (),
        _count(lambda counts: counts.abandoned),
    ),
    Metric(
        "hostler_lost_requests",
        "counter",
        "",
        "Requests that were in the application when their worker ended.",
        (),
        _count(lambda counts: counts.lost),
    ),
    Metric(
        "hostler_expired_requests",
        "counter",
        "",
        "Requests whose deadline came before their end.",
        (),
        _count(lambda counts: counts.expired),
    ),
    Metric(
        "hostler_shed_requests",
        "counter",
        "",
        "Requests that had waited for too long and were refused, as `overload.target` asks.",
        (),
        _count(lambda counts: counts.shed),
    ),
    Metric(
        "hostler_request_duration_seconds",
        "histogram",
        "seconds",
        "From the complete head of a request to the end of its response, WebSockets excluded.",
        (),
        _count(lambda counts: counts.request_time),
    ),
    Metric(
        "hostler_first_byte_duration_seconds",
        "histogram",
        "seconds",
        "From the complete head of a request to the first byte of its response.",
        (),
        _count(lambda counts: counts.first_byte_time),
    ),
    # Connections.
    Metric(
        "hostler_connections",
        "counter",
        "",
        "Connections that were accepted.",
        (),
        _count(lambda counts: counts.connections),
    ),
    Metric(
        "hostler_websockets",
        "counter",
        "",
        "WebSockets that were accepted.",
        (),
        _count(lambda counts: counts.websockets),
    ),
    Metric(
        "hostler_received_bytes",
        "counter",
        "bytes",
        "Bytes read from clients.",
        (),
        _count(lambda counts: counts.bytes_received),
    ),
    Metric(
        "hostler_sent_bytes",
        "counter",
        "bytes",
        "Bytes written to clients.",
        (),
        _count(lambda counts: counts.bytes_sent),
    ),
    Metric(
        "hostler_listener_backlog",
        "gauge",
        "",
        "Connections that the kernel holds for a listener and no worker has accepted yet.",
        ("listener",),
        _backlogs,
    ),
    Metric(
        "hostler_listener_backlog_limit",
        "gauge",
        "",
        "How many connections the kernel holds for a listener at most.",
        ("listener",),
        _backlog_limits,
    ),
    # Work.
    Metric(
        "hostler_busy_seconds",
        "counter",
        "seconds",
        "Time in which workers had at least one request in the application, added up.",
        (),
        _count(lambda counts: counts.busy_time),
    ),
    Metric(
        "hostler_application_seconds",
        "counter",
        "seconds",
        "Time that requests were in the application, added up.",
        (),
        _count(lambda counts: counts.application_time),
    ),
    Metric("hostler_workers", "gauge", "", "Workers by what they do.", ("state",), _states),
    # Single workers.
    Metric(
        "hostler_worker_threads",
        "gauge",
        "",
        "Requests that a worker may have in the application at once; 1 for ASGI, where that is not what bounds them.",
        _WORKER,
        _slots(lambda worker, _: worker.threads),
    ),
    Metric(
        "hostler_worker_requests_in_flight",
        "gauge",
        "",
        "Requests in the application.",
        _WORKER,
        _slots(lambda worker, _: worker.in_flight),
    ),
    Metric(
        "hostler_worker_queued_requests",
        "gauge",
        "",
        "Requests that wait to be given to the application.",
        _WORKER,
        _slots(lambda worker, _: worker.ready),
    ),
    Metric(
        "hostler_worker_oldest_request_seconds",
        "gauge",
        "seconds",
        "The age of the oldest request in the application; 0 without one.",
        _WORKER,
        _slots(lambda worker, _: worker.oldest, max),
    ),
    Metric(
        "hostler_worker_silent_seconds",
        "gauge",
        "seconds",
        "Since when a worker's reactor has not turned, though it had reason to; 0 while it waits for clients. Beyond a "
        "few seconds all threads are in the application, or one of them keeps the interpreter to itself.",
        _WORKER,
        _slots(lambda worker, _: worker.silent_for or 0.0, max),
    ),
    Metric(
        "hostler_worker_open_connections",
        "gauge",
        "",
        "Connections that are open.",
        _WORKER,
        _slots(lambda worker, _: worker.connections_open),
    ),
    Metric(
        "hostler_worker_open_websockets",
        "gauge",
        "",
        "WebSockets that are open.",
        _WORKER,
        _slots(lambda worker, _: worker.websockets_open),
    ),
    Metric(
        "hostler_worker_buffered_bytes",
        "gauge",
        "bytes",
        "Memory that unread requests and unsent responses take.",
        _WORKER,
        _slots(lambda worker, _: worker.buffered),
    ),
    Metric(
        "hostler_worker_resident_memory_bytes",
        "gauge",
        "bytes",
        "Memory that is present, pages shared with other workers included.",
        _WORKER,
        _slots(_usage(lambda usage: usage.resident)),
    ),
    Metric(
        "hostler_worker_proportional_memory_bytes",
        "gauge",
        "bytes",
        "Memory in which each shared page counts for its share; where it may be read.",
        _WORKER,
        _slots(_usage(lambda usage: usage.proportional)),
    ),
    Metric(
        "hostler_worker_cpu_seconds",
        "counter",
        "seconds",
        "Processor time of the worker that has the slot; it begins anew with each worker.",
        _WORKER,
        _slots(_usage(lambda usage: usage.cpu)),
    ),
    # The supervisor.
    Metric(
        "hostler_paused",
        "gauge",
        "",
        "1 while requests wait until the server is resumed, else 0.",
        (),
        _one(lambda snapshot: int(snapshot.reading.is_paused)),
    ),
    Metric(
        "hostler_supervisor_resident_memory_bytes",
        "gauge",
        "bytes",
        "Memory of the supervisor that is present.",
        (),
        _supervisor(lambda usage: usage.resident),
    ),
    Metric(
        "hostler_supervisor_cpu_seconds",
        "counter",
        "seconds",
        "Processor time of the supervisor.",
        (),
        _supervisor(lambda usage: usage.cpu),
    ),
)
