"""What the scoreboard says, as the control socket gives it."""

from __future__ import annotations

from typing import Any

from hostler.telemetry.durations import BOUNDS, Durations
from hostler.telemetry.reading import Counts, Reading, SlowestReading, SlowRequestReading, WorkerReading

_NUMBERS = (
    "requests",
    "finished",
    "responses",
    "unanswered",
    "refusals",
    "failures",
    "aborts",
    "abandoned",
    "lost",
    "connections",
    "websockets",
    "bytes_received",
    "bytes_sent",
    "busy_time",
    "application_time",
)


def describe_load(reading: Reading) -> dict[str, Any]:
    """Describe a reading of the scoreboard; see `control.operation.LOAD`."""
    return {
        "at": reading.at,
        "bounds": BOUNDS[:-1],
        "ended": describe_counts(reading.ended),
        "workers": [describe_worker(worker) for worker in reading.workers],
    }


def describe_worker(worker: WorkerReading) -> dict[str, Any]:
    """Describe a worker with all that it has counted."""
    return {
        "worker": worker.slot,
        "pid": worker.pid,
        "child": worker.child,
        "age": worker.age,
        "threads": worker.threads,
        "connections_open": worker.connections_open,
        "websockets_open": worker.websockets_open,
        "waiting": worker.ready,
        "buffered": worker.buffered,
        "busy_for": worker.busy_for,
        "running_time": worker.running_time,
        **summarise_worker(worker),
        "counts": describe_counts(worker.counts),
    }


def summarise_worker(worker: WorkerReading) -> dict[str, Any]:
    """Describe a worker in a few numbers."""
    return {
        "activity": worker.state,
        "in_flight": worker.in_flight,
        "oldest": worker.oldest,
        "silent_for": worker.silent_for,
        "finished": worker.counts.finished,
    }


def describe_counts(counts: Counts) -> dict[str, Any]:
    """Describe what was counted."""
    return {
        **{name: getattr(counts, name) for name in _NUMBERS if name != "responses"},
        "responses": dict(counts.responses),
        "request_time": _describe_durations(counts.request_time),
        "first_byte_time": _describe_durations(counts.first_byte_time),
    }


def _describe_durations(durations: Durations) -> dict[str, Any]:
    """Describe a distribution; buckets with nothing in them are left out."""
    filled = {str(index): count for index, count in enumerate(durations.buckets) if count}
    return {"count": durations.count, "total": durations.total, "buckets": filled}


def describe_requests(reading: Reading, slowest: SlowestReading) -> dict[str, Any]:
    """Describe the requests that are in the application, and the slowest of late; see `control.operation.REQUESTS`."""
    found = [
        {
            "worker": worker.slot,
            "pid": worker.pid,
            "id": request.id,
            "method": request.method,
            "path": request.path,
            "client": request.client,
            "age": request.age,
            "thread": request.thread,
        }
        for worker in reading.workers
        for request in worker.requests
    ]
    return {
        "requests": sorted(found, key=lambda each: -each["age"]),
        "unshown": sum(worker.unshown for worker in reading.workers),
        "slowest": {
            "seconds": slowest.seconds,
            "requests": [_describe_slow(request) for request in slowest.requests],
        },
    }


def _describe_slow(request: SlowRequestReading) -> dict[str, Any]:
    return {
        "worker": request.worker,
        "pid": request.pid,
        "id": request.id,
        "method": request.method,
        "path": request.path,
        "client": request.client,
        "protocol": request.protocol,
        "status": request.status or None,
        "is_lost": request.is_lost,
        "duration": request.duration,
        "waited": request.waited,
        "application_time": request.application_time,
        "body_sent": request.body_sent,
        "ended_for": request.ended_for,
    }
