"""What `hostler top` draws: numbers between two samples, and a picture that always fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.cli.requests import write_slowest as list_slowest
from hostler.cli.top_view import ORDERS, Picture, Sample, build_rows, render, scroll, write_requests, write_slowest
from hostler.server.load_report import describe_counts
from hostler.telemetry.durations import BOUNDS, Durations
from hostler.telemetry.layout import BUCKETS
from hostler.telemetry.reading import Counts


def durations(seconds: float, count: int) -> Durations:
    buckets = [0] * BUCKETS
    buckets[next(index for index, bound in enumerate(BOUNDS) if bound >= seconds)] = count
    return Durations(seconds * count, tuple(buckets))


def child(slot: int, **changes: object) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": f"worker {slot}", "role": "worker", "slot": slot, "generation": 1, "pid": 100 + slot, "state": "ready",
        "state_age": 1.0, "age": 9.0, "memory": 20_000_000, "cpu": 1.0, "threads": 2,
    }  # fmt: skip
    return {**facts, **changes}


def worker(slot: int, counts: Counts, **changes: object) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "worker": slot, "pid": 100 + slot, "child": slot, "age": 100.0, "threads": 4, "connections_open": 2,
        "activity": "busy", "in_flight": 1, "oldest": 0.5, "busy_for": 0.0, "counts": describe_counts(counts),
    }  # fmt: skip
    return {**facts, **changes}


def sample(at: float, children: list[dict[str, Any]], workers: list[dict[str, Any]], **changes: object) -> Sample:
    status: dict[str, Any] = {
        "name": "shop", "phase": "running", "uptime": at, "application": "shop:app", "listening": ["http://x:1"],
        "workers": len(children), "children": children, "last_reload": None,
    }  # fmt: skip
    load = {"at": at, "ended": describe_counts(Counts()), "workers": workers}
    return Sample({**status, **changes}, load, {"requests": [], "unshown": 0})


def two_samples() -> Picture:
    before = Counts(responses_2xx=100, busy_time=10.0, request_time=durations(0.001, 100))
    after = Counts(responses_2xx=120, busy_time=11.0, request_time=durations(0.001, 100) + durations(0.1, 20))
    return Picture(sample(10.0, [child(1)], [worker(1, before)]), sample(12.0, [child(1, cpu=2.0)], [worker(1, after)]))


def test_rates_are_those_between_the_samples() -> None:
    (row,) = build_rows(two_samples())
    assert row.rate == pytest.approx(10.0)
    assert row.cpu == pytest.approx(0.5)
    assert row.busy == pytest.approx(0.5)
    assert row.latency.percentile(0.5) == pytest.approx(0.1, rel=0.125)
    assert row.state == "busy"
    total = render(two_samples(), 100)[1]
    assert total.startswith("requests 10.0/s   5xx 0.0/s   p50 ")


def test_worker_that_came_meanwhile_is_counted_from_its_start() -> None:
    fresh = worker(2, Counts(responses_2xx=5), child=9, age=0.5)
    picture = Picture(sample(10.0, [child(1)], []), sample(12.0, [child(2)], [fresh]))
    assert build_rows(picture)[0].rate == pytest.approx(10.0)


def test_work_of_workers_that_ended_is_in_the_total() -> None:
    former = sample(10.0, [child(1)], [worker(1, Counts(responses_5xx=10))])
    latest = sample(12.0, [], [])
    latest = Sample(latest.status, {**latest.load, "ended": describe_counts(Counts(responses_5xx=14))}, latest.requests)
    assert "requests 2.0/s   5xx 2.0/s" in render(Picture(former, latest), 100)[1]


def test_first_picture_has_no_rates() -> None:
    picture = Picture(None, two_samples().latest)
    assert render(picture, 80)[1] == "requests -"
    assert build_rows(picture)[0].rate is None


def test_child_without_a_scoreboard_is_shown_with_what_is_known() -> None:
    starting = child(1, name="fork server", role="fork server", state="starting", pid=None, memory=None, cpu=None)
    lines = render(Picture(None, sample(1.0, [starting], [])), 80, 24)
    assert any(line.startswith("fork server") and "starting" in line for line in lines)


@pytest.mark.parametrize("order", ORDERS)
def test_children_can_be_ordered(order: str) -> None:
    children = [child(slot, memory=slot * 10_000_000) for slot in (1, 2, 3)]
    rows = render(Picture(None, sample(1.0, children, []), order), 80)
    assert [row[0] for row in rows[6:9]] == (["3", "2", "1"] if order == "memory" else ["1", "2", "3"])


def test_nothing_that_a_client_sends_moves_the_cursor() -> None:
    request = {"age": 1.0, "worker": 1, "method": "GET", "path": "/\x1b[2J\n\r", "client": "\x9b1m"}
    (_, line) = write_requests({"requests": [request]})
    assert line.isprintable()


def slow(**changes: object) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "worker": 1, "pid": 101, "id": "abc", "method": "GET", "path": "/report", "client": "", "status": 200,
        "is_lost": False, "duration": 2.5, "waited": 0.0004, "application_time": 2.4, "ended_for": 80.0,
    }  # fmt: skip
    return {**facts, **changes}


def test_slowest_requests_are_shown_in_place_of_those_in_progress() -> None:
    found = [slow(), slow(duration=0.25, status=None), slow(duration=0.0031, is_lost=True, status=None)]
    answer = {"requests": [], "unshown": 0, "slowest": {"seconds": 340.0, "requests": found}}
    made = sample(5.0, [child(1)], [])
    picture = Picture(None, Sample(made.status, made.load, answer), shows_slowest=True)
    lines = [line.split() for line in render(picture, 100, 24)]
    assert ["2.5s", "1m", "20s", "1", "200", "GET", "/report", "-"] in lines
    assert ["250ms", "1m", "20s", "1", "-", "GET", "/report", "-"] in lines
    assert ["3.1ms", "1m", "20s", "1", "lost", "GET", "/report", "-"] in lines


def test_slowest_requests_are_told_for_people() -> None:
    header, titles, line = list_slowest({"seconds": 340.0, "requests": [slow(path="/\x1b[2J")]})
    assert header == "the slowest that ended in the last 5m 40s:"
    assert " ".join(titles.split()) == "TOOK WAITED IN APP STATUS AGO WORKER PID CLIENT METHOD PATH ID"
    assert " ".join(line.split()) == "2.5s 400us 2.4s 200 1m 20s 1 101 - GET /\\x1b[2J abc"
    assert list_slowest({"seconds": 12.0, "requests": []}) == ["no request has ended in the last 12s"]
    assert write_slowest({"requests": [], "slowest": {"seconds": 12.0, "requests": []}}) == [
        "no request has ended in the last 12s"
    ]


def test_server_of_a_former_version_knows_no_slowest_requests() -> None:
    assert write_slowest({"requests": [], "unshown": 0}) == ["this server is too old to know its slowest requests"]


@given(
    columns=st.integers(1, 200),
    lines=st.integers(1, 60),
    count=st.integers(0, 40),
    requests=st.integers(0, 40),
    text=st.text(max_size=300),
    shows_slowest=st.booleans(),
)
def test_picture_fits_the_terminal(
    columns: int, lines: int, count: int, requests: int, text: str, *, shows_slowest: bool
) -> None:
    found = [{"age": 1.5, "worker": 1, "method": "GET", "path": text, "client": "10.0.0.1"} for _ in range(requests)]
    reload = {"outcome": "abandoned", "message": text, "age": 4.0}
    made = sample(5.0, [child(slot) for slot in range(1, count + 1)], [], name=text, last_reload=reload)
    slowest = {"seconds": 5.0, "requests": [slow(path=text, client=text) for _ in range(requests)]}
    latest = Sample(made.status, made.load, {"requests": found, "slowest": slowest})
    message = text.replace("\n", " ")
    drawn = render(Picture(None, latest, message=message, shows_slowest=shows_slowest), columns, lines)
    assert len(drawn) <= max(lines, 2)
    assert all(len(line) <= columns and "\n" not in line for line in drawn)


def test_small_terminal_shows_workers_and_the_oldest_requests() -> None:
    found = [{"age": 30.0 - n, "worker": 1, "method": "GET", "path": f"/{n}", "client": "10.0.0.1"} for n in range(30)]
    made = sample(5.0, [child(slot) for slot in range(1, 31)], [])
    drawn = render(Picture(None, Sample(made.status, made.load, {"requests": found})), 80, 24)
    assert len(drawn) == 24
    assert any("more children" in line for line in drawn)
    assert any(line.lstrip().startswith("30s") for line in drawn)
    assert drawn[-1].startswith("r reload")


@given(st.integers(0, 200), st.integers(-50, 300), st.integers(1, 50))
def test_long_text_is_scrolled_within_what_there_is(count: int, first: int, rows: int) -> None:
    drawn, start = scroll([f"line {n}" for n in range(count)], first, 80, rows)
    assert len(drawn) == max(2, rows)
    assert 0 <= start <= max(0, count - 1)
