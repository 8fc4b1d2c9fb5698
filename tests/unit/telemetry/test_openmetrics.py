"""The text for Prometheus, read by the parsers of its own client library."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from hostler.system.backlog import Backlog
from hostler.system.usage import Usage
from hostler.telemetry.durations import Durations
from hostler.telemetry.layout import BUCKETS
from hostler.telemetry.metric import HISTOGRAM_BOUNDS, METRICS
from hostler.telemetry.openmetrics import render, wants_openmetrics
from hostler.telemetry.reading import Counts, Reading, RequestReading, WorkerReading
from hostler.telemetry.snapshot import Snapshot

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]

WORKER = WorkerReading(
    child=7,
    pid=100,
    slot=1,
    generation=1,
    state="busy",
    age=60.0,
    threads=4,
    silent_for=0.25,
    connections_open=3,
    websockets_open=1,
    in_flight=1,
    unshown=0,
    ready=2,
    buffered=4096,
    busy_for=1.5,
    counts=Counts(requests=10, responses_2xx=8, responses_5xx=1, bytes_sent=1000, busy_time=2.5),
    requests=(RequestReading("id", "GET", "/", "192.0.2.1", 1.5, 1),),
)


def snapshot(*workers: WorkerReading, ended: Counts | None = None) -> Snapshot:
    return Snapshot(
        Reading(100.0, 1_700_000_000.0, workers, ended or Counts()),
        version='1.0"beta\\',
        python="3.11.2",
        supervisor=Usage(1000, None, 1.25, 1, 60.0),
        usage={100: Usage(50_000_000, 30_000_000, 12.5, 6, 60.0)},
        backlogs={"unix:/run/a\nb": Backlog(3, 128)},
    )


def read(shown: Snapshot, *, openmetrics: bool = True) -> Values:
    parse = parse_openmetrics if openmetrics else parse_plain
    families = list(parse(render(shown, openmetrics=openmetrics)))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize("openmetrics", [True, False])
def test_parser_of_prometheus_reads_every_metric(openmetrics: bool) -> None:
    values = read(snapshot(WORKER), openmetrics=openmetrics)
    assert values["hostler_requests_total", ()] == 10
    assert values["hostler_responses_total", (("status", "5xx"),)] == 1
    assert values["hostler_workers", (("state", "busy"),)] == 1
    assert values["hostler_worker_resident_memory_bytes", (("worker", "1"),)] == 50_000_000
    assert values["hostler_worker_cpu_seconds_total", (("worker", "1"),)] == 12.5
    assert values["hostler_worker_oldest_request_seconds", (("worker", "1"),)] == 1.5
    assert values["hostler_listener_backlog", (("listener", "unix:/run/a\nb"),)] == 3
    assert values["hostler_build_info", (("python", "3.11.2"), ("version", '1.0"beta\\'))] == 1
    names = {name for name, _ in values}
    missing = [each.name for each in METRICS if not any(name.startswith(each.name) for name in names)]
    assert missing == []


def test_kinds_and_units_are_those_of_the_names() -> None:
    text = render(snapshot(WORKER), openmetrics=True)
    for family in parse_openmetrics(text):  # type: ignore[no-untyped-call]
        metric = next(each for each in METRICS if each.name == family.name)
        assert (family.type, family.unit, family.documentation) == (metric.kind, metric.unit, metric.doc)
        assert metric.name.endswith(metric.unit)


def test_ended_workers_are_in_the_sums() -> None:
    values = read(snapshot(WORKER, ended=Counts(requests=90, lost=2)))
    assert values["hostler_requests_total", ()] == 100
    assert values["hostler_lost_requests_total", ()] == 2


def test_worker_and_its_successor_are_one_series() -> None:
    old = replace(WORKER, child=3, state="draining", in_flight=2, silent_for=9.0)
    values = read(snapshot(old, WORKER))
    assert values["hostler_worker_requests_in_flight", (("worker", "1"),)] == 3
    assert values["hostler_worker_silent_seconds", (("worker", "1"),)] == 9.0


def test_histogram_has_the_engines_own_bounds() -> None:
    buckets = [0] * BUCKETS
    buckets[7], buckets[8], buckets[BUCKETS - 1] = 4, 1, 2
    counts = Counts(request_time=Durations(3.5, tuple(buckets)))
    values = read(snapshot(replace(WORKER, counts=counts)))
    name = "hostler_request_duration_seconds"
    assert values[f"{name}_bucket", (("le", "0.0004"),)] == 4
    assert values[f"{name}_bucket", (("le", "0.0008"),)] == 5
    assert values[f"{name}_bucket", (("le", str(HISTOGRAM_BOUNDS[-1])),)] == 5
    assert values[f"{name}_bucket", (("le", "+Inf"),)] == values[f"{name}_count", ()] == 7
    assert values[f"{name}_sum", ()] == 3.5


def test_what_is_not_known_is_left_out() -> None:
    values = read(replace(snapshot(WORKER), usage={}, supervisor=None, backlogs={}))
    assert not any("memory" in name or "cpu" in name or "backlog" in name for name, _ in values)


def test_server_without_workers_has_metrics() -> None:
    assert read(snapshot())["hostler_workers", (("state", "idle"),)] == 0


@pytest.mark.parametrize(
    "accept, wanted",
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", True),
        ("text/plain", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_openmetrics_is_for_those_who_ask_for_it(accept: str, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted
