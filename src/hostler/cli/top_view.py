"""What `hostler top` shows: from two samples of a server to lines of text; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostler.cli.display import clean_line, format_age, format_duration, format_known, format_memory, write_table
from hostler.cli.status import format_phase
from hostler.telemetry.durations import Durations
from hostler.telemetry.layout import BUCKETS

KEYS = "r reload  + - workers  s stacks  o order  t slowest  q quit"
KEYS_SLOWEST = KEYS.replace("t slowest", "t in progress")
ORDERS = ("worker", "requests", "latency", "busy", "cpu", "memory")
_HEADER = ("WORKER", "PID", "STATE", "REQ/S", "P50", "P95", "P99", "BUSY", "FLIGHT", "OLDEST", "CPU", "MEM")
_WIDEST_STATE = 8
# Requests in progress, beside what else must fit on 24 lines.
_LEAST_REQUESTS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """What a server has said at one moment.

    Attributes:
        status: the answer to `status`.
        load: the answer to `load`.
        requests: the answer to `requests`.
    """

    status: Mapping[str, Any]
    load: Mapping[str, Any]
    requests: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One child, as it was between two samples; what is not known is None."""

    slot: int
    name: str
    pid: int | None
    state: str
    rate: float | None
    latency: Durations
    busy: float | None
    in_flight: int | None
    oldest: float
    cpu: float | None
    memory: int | None


_SORTING: Mapping[str, Callable[[Row], Any]] = {
    "worker": lambda row: (row.name.rpartition(" ")[0], row.slot),
    "requests": lambda row: -(row.rate or 0.0),
    "latency": lambda row: -(row.latency.percentile(0.95) or 0.0),
    "busy": lambda row: -(row.busy or 0.0),
    "cpu": lambda row: -(row.cpu or 0.0),
    "memory": lambda row: -(row.memory or 0),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is shown.

    Attributes:
        former: the sample before, or None.
        latest: the last one.
        order: what children are sorted by.
        message: one line on what was done last.
        shows_slowest: whether the slowest requests of late are shown in place of those in progress.
    """

    former: Sample | None
    latest: Sample
    order: str = "worker"
    message: str = ""
    shows_slowest: bool = False


def render(picture: Picture, columns: int, lines: int | None = None) -> list[str]:
    """Draw the picture.

    Args:
        picture: what to draw.
        columns: how wide it may be.
        lines: how high it may be; None for as high as it gets.
    """
    rows = sorted(build_rows(picture), key=_SORTING[picture.order])
    head = [*_write_head(picture, rows), ""]
    table = _write_rows(rows)
    keys = KEYS_SLOWEST if picture.shows_slowest else KEYS
    foot = ["", picture.message or keys] if lines is not None else []
    requests = (write_slowest if picture.shows_slowest else write_requests)(picture.latest.requests)
    if lines is not None:
        room = max(0, lines - len(head) - len(foot))
        table = _cut(table, max(2, room - min(len(requests), _LEAST_REQUESTS) - 1), "children")
        requests = _cut(requests, max(0, room - len(table) - 1), "requests")
    drawn = [*head, *table, *(["", *requests] if requests else [])]
    if lines is not None:
        drawn = drawn[: max(0, lines - len(foot))]
        drawn += [""] * (lines - len(drawn) - len(foot))
    return [line[:columns] for line in (*drawn, *foot)]


def _cut(lines: list[str], room: int, what: str) -> list[str]:
    """Leave out what there is no room for, and say so."""
    if len(lines) <= room:
        return lines
    return [*lines[: max(0, room - 1)], f"... {len(lines) - max(0, room - 1)} more {what}"][:room]


def build_rows(picture: Picture) -> list[Row]:
    """Put together what is known of each child."""
    seconds = _seconds(picture)
    known = {child["pid"]: child for child in picture.former.status["children"]} if picture.former else {}
    loads = {worker["pid"]: worker for worker in picture.latest.load["workers"]}
    former = {worker["child"]: worker for worker in picture.former.load["workers"]} if picture.former else {}
    return [
        _build_row(child, known.get(child["pid"]), loads.get(child["pid"]), former, seconds)
        for child in picture.latest.status["children"]
    ]


def _build_row(
    child: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    load: Mapping[str, Any] | None,
    former: Mapping[int, Mapping[str, Any]],
    seconds: float,
) -> Row:
    state = child["state"]
    if load is not None and state == "ready":
        state = load["activity"]
    cpu = None
    if before is not None and child["cpu"] is not None and before["cpu"] is not None and seconds > 0:
        cpu = max(0.0, child["cpu"] - before["cpu"]) / seconds
    rate, latency, busy = _compare(load, former.get(load["child"]) if load else None, seconds)
    return Row(
        slot=child["slot"],
        name=child["name"],
        pid=child["pid"],
        state=state,
        rate=rate,
        latency=latency,
        busy=busy,
        in_flight=load["in_flight"] if load else None,
        oldest=load["oldest"] if load else 0.0,
        cpu=cpu,
        memory=child["memory"],
    )


def _compare(
    load: Mapping[str, Any] | None, former: Mapping[str, Any] | None, seconds: float
) -> tuple[float | None, Durations, float | None]:
    """Return a worker's requests per second, its latency, and the share of the time that it was busy."""
    if load is None or seconds <= 0:
        return None, Durations(), None
    lived = min(seconds, load["age"]) or seconds
    counts, before = load["counts"], former["counts"] if former else None
    finished = counts["finished"] - (before["finished"] if before else 0)
    busy = counts["busy_time"] + load["busy_for"]
    busy -= before["busy_time"] + former["busy_for"] if before and former else 0.0
    return max(0, finished) / lived, _latency(counts, before), min(1.0, max(0.0, busy / lived))


def _latency(counts: Mapping[str, Any], before: Mapping[str, Any] | None) -> Durations:
    latest = read_durations(counts["request_time"])
    return latest - read_durations(before["request_time"]) if before else latest


def read_durations(described: Mapping[str, Any]) -> Durations:
    """Read a distribution as the control socket gives it; buckets that there cannot be are left out."""
    buckets = [0] * BUCKETS
    for index, count in described["buckets"].items():
        if index.isdecimal() and int(index) < BUCKETS:
            buckets[int(index)] = count
    return Durations(described["total"], tuple(buckets))


def _seconds(picture: Picture) -> float:
    if picture.former is None:
        return 0.0
    return float(picture.latest.load["at"]) - float(picture.former.load["at"])


def _write_head(picture: Picture, rows: Sequence[Row]) -> list[str]:
    status, load = picture.latest.status, picture.latest.load
    ready = sum(child["role"] == "worker" and child["state"] == "ready" for child in status["children"])
    memory = sum(child["memory"] or 0 for child in status["children"])
    cpu = sum(row.cpu or 0.0 for row in rows)
    in_flight = sum(worker["in_flight"] for worker in load["workers"])
    connections = sum(worker["connections_open"] for worker in load["workers"])
    what = f"{clean_line(status['application'])} at {clean_line(', '.join(status['listening']))}"
    lines = [
        f"{clean_line(status['name'])}  {format_phase(status)}, up {format_age(status['uptime'])}, {what}",
        _write_total(picture),
        f"workers {status['workers']} wanted, {ready} ready   in flight {in_flight}   connections {connections}",
        f"cpu {cpu:.0%}   memory {format_memory(memory)}",
    ]
    reload = status["last_reload"]
    if reload is not None:
        reason = f": {clean_line(reload['message'])}" if reload["message"] else ""
        lines[-1] += f"   last reload {clean_line(reload['outcome'])} {format_age(reload['age'])} ago{reason}"
    return lines


def _write_total(picture: Picture) -> str:
    """Write what all workers did together, those that have ended meanwhile included."""
    seconds = _seconds(picture)
    if picture.former is None or seconds <= 0:
        return "requests -"
    finished, errors, latency = _sum(picture.latest.load)
    finished_before, errors_before, latency_before = _sum(picture.former.load)
    between = latency - latency_before
    return (
        f"requests {max(0, finished - finished_before) / seconds:.1f}/s   "
        f"5xx {max(0, errors - errors_before) / seconds:.1f}/s   "
        f"p50 {_percentile(between, 0.5)}   p95 {_percentile(between, 0.95)}   p99 {_percentile(between, 0.99)}"
    )


def _sum(load: Mapping[str, Any]) -> tuple[int, int, Durations]:
    every = [load["ended"], *(worker["counts"] for worker in load["workers"])]
    latency = Durations()
    for counts in every:
        latency += read_durations(counts["request_time"])
    errors = sum(counts["responses"].get("5xx", 0) for counts in every)
    return sum(counts["finished"] for counts in every), errors, latency


def _write_rows(rows: Sequence[Row]) -> list[str]:
    cells = [
        (
            str(row.slot) if row.name.startswith("worker ") else clean_line(row.name),
            format_known(row.pid),
            clean_line(row.state)[:_WIDEST_STATE],
            "-" if row.rate is None else f"{row.rate:.1f}",
            _percentile(row.latency, 0.5),
            _percentile(row.latency, 0.95),
            _percentile(row.latency, 0.99),
            "-" if row.busy is None else f"{row.busy:.0%}",
            format_known(row.in_flight),
            format_age(row.oldest) if row.in_flight else "-",
            "-" if row.cpu is None else f"{row.cpu:.0%}",
            format_memory(row.memory),
        )
        for row in rows
    ]
    return write_table(_HEADER, cells, right=(_HEADER[1], *_HEADER[3:]), gap=1)


def write_requests(answer: Mapping[str, Any]) -> list[str]:
    """Write the requests in progress, the oldest first."""
    found = [
        (
            format_age(request["age"]),
            str(request["worker"]),
            clean_line(request["method"]),
            clean_line(request["path"]),
            clean_line(request["client"]) or "-",
        )
        for request in answer["requests"]
    ]
    return write_table(("AGE", "WORKER", "METHOD", "PATH", "CLIENT"), found, right=("AGE", "WORKER")) if found else []


def write_slowest(answer: Mapping[str, Any]) -> list[str]:
    """Write the slowest requests of late, the slowest first."""
    told = answer.get("slowest")
    if told is None:
        return ["this server is too old to know its slowest requests"]
    if not told["requests"]:
        return [f"no request has ended in the last {format_age(told['seconds'])}"]
    found = [
        (
            format_duration(request["duration"]),
            format_age(request["ended_for"]),
            str(request["worker"]),
            format_status(request),
            clean_line(request["method"]),
            clean_line(request["path"]),
            clean_line(request["client"]) or "-",
        )
        for request in told["requests"]
    ]
    header = ("TOOK", "AGO", "WORKER", "STATUS", "METHOD", "PATH", "CLIENT")
    return write_table(header, found, right=header[:4])


def format_status(request: Mapping[str, Any]) -> str:
    """Write how a request ended: the status of its response, "lost" with its worker, or "-" without a response."""
    return "lost" if request["is_lost"] else format_known(request["status"])


def _percentile(durations: Durations, fraction: float) -> str:
    seconds = durations.percentile(fraction)
    return "-" if seconds is None else format_duration(seconds)


def scroll(lines: Sequence[str], first: int, columns: int, rows: int) -> tuple[list[str], int]:
    """Show a part of a long text.

    Returns:
        The lines of the picture, and the first line that it begins with, within what there is.
    """
    room = max(1, rows - 1)
    first = max(0, min(first, len(lines) - room))
    shown = [line[:columns] for line in lines[first : first + room]]
    foot = f"lines {first + 1} to {first + len(shown)} of {len(lines)}   arrows scroll   q back"
    return [*shown, *[""] * (room - len(shown)), foot[:columns]], first
