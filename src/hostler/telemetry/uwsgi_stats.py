"""A snapshot as the statistics of uWSGI 2.0, so that its tools (uwsgitop, exporters) read Hostler.

Field for field what uWSGI's stats server writes. What has no counterpart here is there with the value that uWSGI gives
to what is not used: 0, or an empty list. Times are microseconds, but `last_spawn`, `startup_time` and `request_start`,
which are seconds since 1970. A core is a request that may be under way: of WSGI workers a thread.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hostler.telemetry.reading import Counts, RequestReading, WorkerReading
from hostler.telemetry.snapshot import Snapshot

_MICROSECONDS = 1_000_000
# What a JSON document of a server with many workers may come to; more cores of one worker than this are not shown
# (arbitrary).
MOST_CORES = 64


@dataclass(frozen=True, slots=True)
class Instance:
    """What the document says of the server beside its numbers.

    Attributes:
        pid: the supervisor's process id.
        uid: its user.
        gid: its group.
        cwd: the application's directory.
    """

    pid: int
    uid: int
    gid: int
    cwd: str


def write_stats(snapshot: Snapshot, instance: Instance, now: float) -> bytes:
    """Write the document.

    Args:
        snapshot: what it is made of.
        instance: the server.
        now: seconds since 1970.
    """
    return json.dumps(build_stats(snapshot, instance, now), indent="\t").encode() + b"\n"


def build_stats(snapshot: Snapshot, instance: Instance, now: float) -> dict[str, Any]:
    """Build the document; see `write_stats`."""
    waiting = [backlog.waiting for backlog in snapshot.backlogs.values()]
    return {
        "version": snapshot.version,
        "listen_queue": max(waiting, default=0),
        "listen_queue_errors": 0,
        "signal_queue": 0,
        "load": max(waiting, default=0),
        "pid": instance.pid,
        "uid": instance.uid,
        "gid": instance.gid,
        "cwd": instance.cwd,
        "locks": [],
        "sockets": [
            {
                "name": address,
                "proto": _protocol(address),
                "queue": backlog.waiting,
                "max_queue": backlog.limit,
                "shared": 0,
                "can_offload": 0,
            }
            for address, backlog in snapshot.backlogs.items()
        ],
        "workers": [_build_worker(worker, snapshot, instance, now) for worker in _one_for_each_slot(snapshot)],
    }


def _protocol(address: str) -> str:
    scheme, separator, _ = address.partition("://")
    return scheme if separator else "http"


def _one_for_each_slot(snapshot: Snapshot) -> list[WorkerReading]:
    """Return one worker for each number, as uWSGI has: the youngest in a slot, with what the others there have done."""
    slots: dict[int, WorkerReading] = {}
    for worker in sorted(snapshot.reading.workers, key=lambda worker: worker.child):
        older = slots.get(worker.slot)
        before = Counts() if older is None else older.former + older.counts
        # What its own `former` knows of has ended, and is known to the older one as well.
        slots[worker.slot] = worker if older is None else replace(worker, former=before)
    return [slots[slot] for slot in sorted(slots)]


def _build_worker(worker: WorkerReading, snapshot: Snapshot, instance: Instance, now: float) -> dict[str, Any]:
    counts, former = worker.counts, worker.former
    usage = snapshot.usage.get(worker.pid)
    average = counts.request_time.mean or 0.0
    spawned = int(now - worker.age)
    return {
        "id": worker.slot,
        "pid": worker.pid,
        "accepting": int(worker.state in ("idle", "busy") and not snapshot.reading.is_paused),
        "requests": former.requests + counts.requests,
        "delta_requests": counts.requests,
        "exceptions": former.failures + counts.failures,
        "harakiri_count": counts.expired,
        "signals": 0,
        "signal_queue": 0,
        "status": "busy" if worker.in_flight else "pause" if snapshot.reading.is_paused else "idle",
        "rss": usage.resident if usage is not None else 0,
        "vsz": usage.virtual if usage is not None else 0,
        "running_time": int((former.application_time + counts.application_time) * _MICROSECONDS),
        "last_spawn": spawned,
        "respawn_count": worker.spawns,
        "tx": former.bytes_sent + counts.bytes_sent,
        "avg_rt": int(average * _MICROSECONDS),
        "apps": [
            {
                "id": 0,
                "modifier1": 0,
                "mountpoint": "",
                "startup_time": 0,
                "requests": former.requests + counts.requests,
                "exceptions": former.failures + counts.failures,
                "chdir": instance.cwd,
            }
        ],
        "cores": _build_cores(worker, now),
    }


def _build_cores(worker: WorkerReading, now: float) -> list[dict[str, Any]]:
    """Requests under way come first; who does the idle ones' work is not told apart, so the first has all requests."""
    number = min(max(worker.threads, worker.in_flight, 1), MOST_CORES)
    running: list[RequestReading | None] = [*worker.requests, *([None] * number)]
    return [
        {
            "id": index,
            "requests": worker.former.requests + worker.counts.requests if index == 0 else 0,
            "static_requests": 0,
            "routed_requests": 0,
            "offloaded_requests": 0,
            "write_errors": worker.counts.abandoned if index == 0 else 0,
            "read_errors": 0,
            "in_request": int(request is not None),
            "vars": _build_vars(request),
            "req_info": {} if request is None else {"request_start": int(now - request.age)},
        }
        for index, request in enumerate(running[:number])
    ]


def _build_vars(request: RequestReading | None) -> list[str]:
    if request is None:
        return []
    told: Mapping[str, str] = {
        "REQUEST_METHOD": request.method,
        "REQUEST_URI": request.path,
        "PATH_INFO": request.path,
        "REMOTE_ADDR": request.client,
    }
    return [f"{name}={value}" for name, value in told.items()]
