"""The statistics in uWSGI's form."""

from __future__ import annotations

import json
from dataclasses import replace

from hostler.telemetry.durations import Durations
from hostler.telemetry.layout import BUCKETS
from hostler.telemetry.reading import Counts
from hostler.telemetry.uwsgi_stats import Instance, build_stats, write_stats
from tests.unit.telemetry.test_openmetrics import WORKER, snapshot

INSTANCE = Instance(42, 1000, 1001, "/srv/shop")
NOW = 1_700_000_100.0
# What uWSGI 2.0 writes for an instance that uses none of its optional parts, and for each of its workers.
FIELDS = [
    "version",
    "listen_queue",
    "listen_queue_errors",
    "signal_queue",
    "load",
    "pid",
    "uid",
    "gid",
    "cwd",
    "locks",
    "sockets",
    "workers",
]
WORKER_FIELDS = [
    "id",
    "pid",
    "accepting",
    "requests",
    "delta_requests",
    "exceptions",
    "harakiri_count",
    "signals",
    "signal_queue",
    "status",
    "rss",
    "vsz",
    "running_time",
    "last_spawn",
    "respawn_count",
    "tx",
    "avg_rt",
    "apps",
    "cores",
]


def test_fields_are_those_of_uwsgi_in_its_order() -> None:
    document = json.loads(write_stats(snapshot(WORKER), INSTANCE, NOW))
    assert list(document) == FIELDS
    assert list(document["workers"][0]) == WORKER_FIELDS
    assert (document["pid"], document["uid"], document["gid"], document["cwd"]) == (42, 1000, 1001, "/srv/shop")


def test_queue_of_unix_sockets_is_real() -> None:
    document = build_stats(snapshot(WORKER), INSTANCE, NOW)
    assert document["listen_queue"] == 3
    assert document["sockets"][0]["max_queue"] == 128


def test_worker_is_told_in_uwsgis_units() -> None:
    buckets = [0] * BUCKETS
    buckets[10] = 2
    counts = replace(WORKER.counts, failures=1, application_time=1.5, request_time=Durations(0.5, tuple(buckets)))
    worker = replace(WORKER, counts=counts, spawns=3, former=Counts(requests=90, bytes_sent=5, application_time=1.0))
    (told,) = build_stats(snapshot(worker), INSTANCE, NOW)["workers"]
    assert (told["requests"], told["delta_requests"], told["exceptions"], told["tx"]) == (100, 10, 1, 1005)
    assert (told["running_time"], told["avg_rt"]) == (2_500_000, 250_000)
    assert (told["last_spawn"], told["respawn_count"]) == (1_700_000_040, 3)
    assert (told["rss"], told["status"], told["accepting"]) == (50_000_000, "busy", 1)


def test_worker_of_a_paused_server_pauses_once_it_is_idle() -> None:
    paused = snapshot(WORKER, replace(WORKER, slot=2, child=2, in_flight=0, requests=()))
    paused = replace(paused, reading=replace(paused.reading, is_paused=True))
    told = build_stats(paused, INSTANCE, NOW)["workers"]
    assert [(each["status"], each["accepting"]) for each in told] == [("busy", 0), ("pause", 0)]


def test_cores_show_the_requests_under_way() -> None:
    cores = build_stats(snapshot(WORKER), INSTANCE, NOW)["workers"][0]["cores"]
    assert [core["in_request"] for core in cores] == [1, 0, 0, 0]
    assert "REQUEST_URI=/" in cores[0]["vars"]
    assert cores[0]["req_info"] == {"request_start": 1_700_000_098}
    assert cores[1]["req_info"] == {}


def test_younger_of_two_workers_has_the_number() -> None:
    old = replace(WORKER, child=1, pid=7, state="draining")
    (told,) = build_stats(snapshot(old, WORKER), INSTANCE, NOW)["workers"]
    assert (told["pid"], told["requests"], told["delta_requests"]) == (100, 20, 10)
