"""Lines for statsd and DogStatsD."""

from __future__ import annotations

import re
from dataclasses import replace

from hostler.telemetry.durations import Durations
from hostler.telemetry.layout import BUCKETS
from hostler.telemetry.reading import Counts
from hostler.telemetry.snapshot import Snapshot
from hostler.telemetry.statsd import StatsdForm, StatsdWriter
from tests.unit.telemetry.test_openmetrics import WORKER, snapshot


def counted(**counts: object) -> Snapshot:
    return snapshot(replace(WORKER, counts=Counts(**counts)))  # type: ignore[arg-type]


def lines(datagrams: list[bytes]) -> list[str]:
    return b"\n".join(datagrams).decode().split("\n")


def test_counters_are_sent_as_what_has_come_since() -> None:
    writer = StatsdWriter(StatsdForm())
    assert not any("|c" in line for line in lines(writer.write(counted(requests=10))))
    sent = lines(writer.write(counted(requests=25, responses_5xx=2)))
    assert "hostler.requests:15|c" in sent
    assert "hostler.responses.5xx:2|c" in sent


def test_counter_that_began_anew_is_sent_whole() -> None:
    writer = StatsdWriter(StatsdForm())
    writer.write(counted(requests=10))
    assert "hostler.requests:3|c" in lines(writer.write(counted(requests=3)))


def test_labels_become_parts_of_the_name() -> None:
    sent = lines(StatsdWriter(StatsdForm(prefix="shop.web")).write(snapshot(WORKER)))
    assert "shop.web.workers.busy:1|g" in sent
    assert "shop.web.worker_resident_memory_bytes.1:50000000|g" in sent
    assert "shop.web.listener_backlog.unix__run_a_b:3|g" in sent


def test_labels_become_tags_where_there_are_tags() -> None:
    form = StatsdForm(prefix="", has_tags=True, tags={"env": "a|b"})
    sent = lines(StatsdWriter(form).write(snapshot(WORKER)))
    assert "workers:1|g|#env:a_b,state:busy" in sent
    assert "listener_backlog:3|g|#env:a_b,listener:unix:/run/a_b" in sent


def test_durations_are_told_of_the_interval_alone() -> None:
    writer = StatsdWriter(StatsdForm())
    slow, quick = [0] * BUCKETS, [0] * BUCKETS
    slow[100] = 1000
    quick[0], quick[100] = 4, 1000
    writer.write(counted(request_time=Durations(1000.0, tuple(slow))))
    sent = lines(writer.write(counted(request_time=Durations(1000.0001, tuple(quick)))))
    assert "hostler.request_duration_seconds.count:4|c" in sent
    assert "hostler.request_duration_seconds.mean:0.000025|g" in sent
    assert "hostler.request_duration_seconds.p99:0.00005|g" in sent
    assert not any(
        "p99" in line for line in lines(writer.write(counted(request_time=Durations(1000.0001, tuple(quick)))))
    )


def test_datagrams_are_no_larger_than_they_may_be() -> None:
    writer = StatsdWriter(StatsdForm(size=200))
    writer.write(snapshot(WORKER))
    datagrams = writer.write(snapshot(WORKER))
    assert len(datagrams) > 5
    assert all(0 < len(datagram) <= 200 for datagram in datagrams)


def test_line_that_fits_into_no_datagram_is_left_out() -> None:
    assert StatsdWriter(StatsdForm(prefix="x" * 300, size=200)).write(snapshot(WORKER)) == []


def test_every_line_is_one_that_statsd_understands() -> None:
    writer = StatsdWriter(StatsdForm())
    first, second = lines(writer.write(snapshot(WORKER))), lines(writer.write(snapshot(WORKER)))
    for line in first + second:
        assert re.fullmatch(r"[\w.-]+:[0-9]+(\.[0-9]+)?\|[cg]", line), line
