"""Metrics and traces for OpenTelemetry, as a collector receives them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.collector import Collector, attributes
from tests.e2e.gate import Gate
from tests.e2e.harness import StartServer

WSGI = "tests.e2e.apps.robust:app"
ASGI = "tests.e2e.apps.asgi_robust:app"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def test_metrics_are_sent(hostler_server: StartServer) -> None:
    with Collector() as collector:
        options = ("--otel", collector.url, "--metrics-push-interval", "0.2", "--workers", "1")
        server = hostler_server(WSGI, *options, env={"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"})
        for _ in range(3):
            server.get("/work")

        def has_all() -> bool:
            metric = collector.metrics.get("hostler.requests")
            return metric is not None and metric.sum.data_points[0].as_int == 3

        collector.wait_for(has_all, "a sum of three requests")
        # The last push comes when the worker is gone, and has no memory any more.
        memory = collector.metrics["hostler.worker_resident_memory"].gauge.data_points[0]
        server.stop()
    requests = collector.metrics["hostler.requests"].sum
    assert requests.is_monotonic
    assert requests.aggregation_temporality == 2  # cumulative
    durations = collector.metrics["hostler.request_duration"]
    point = durations.histogram.data_points[0]
    assert (durations.unit, point.count, sum(point.bucket_counts)) == ("s", 3, 3)
    assert point.sum > 0.015
    assert attributes(memory.attributes) == {"worker": "1"}
    assert memory.as_int > 10_000_000
    resource = collector.resources[0]
    assert resource["service.name"] == WSGI
    assert resource["deployment.environment.name"] == "test"


@pytest.mark.parametrize("app, options", [(WSGI, ()), (WSGI, ("--preload",)), (ASGI, ())])
def test_requests_are_spans_within_their_callers(
    hostler_server: StartServer, app: str, options: tuple[str, ...]
) -> None:
    with Collector() as collector:
        server = hostler_server(app, "--otel", collector.url, "--otel-traces", "--workers", "1", *options)
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "User-Agent": "hay/1"}
        assert server.get("/work?a=1", headers).status == 200
        server.get("/fail" if app == ASGI else "/error")
        # What is under way is sent when the worker ends.
        server.stop()
        collector.wait_for(lambda: len(collector.spans) == 2, "two spans")
    worked, failed = sorted(collector.spans, key=lambda span: span.start_time_unix_nano)
    assert (worked.trace_id.hex(), worked.parent_span_id.hex()) == (TRACE, PARENT)
    assert (worked.name, worked.kind) == ("GET", Span.SPAN_KIND_SERVER)
    assert worked.end_time_unix_nano - worked.start_time_unix_nano > 4_000_000
    told = attributes(worked.attributes)
    assert told == told | {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.path": "/work",
        "url.query": "a=1",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "client.address": "127.0.0.1",
        "user_agent.original": "hay/1",
    }
    assert failed.parent_span_id == b""
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert [event.name for event in failed.events] == ["exception"]


def test_span_of_an_iterable_ends_with_it(hostler_server: StartServer, gate: Gate) -> None:
    with Collector() as collector:
        options = ("--otel", collector.url, "--otel-traces", "--workers", "1")
        server = hostler_server(WSGI, *options, env=gate.env)
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(server.get, "/drip")
            gate.wait("drip")
            began = time.time_ns()
            gate.release("drip")
            assert call.result().body == b"first\nlast\n"
        gate.wait("closed")
        server.stop()
        collector.wait_for(lambda: len(collector.spans) == 1, "a span")
    assert collector.spans[0].start_time_unix_nano < began < collector.spans[0].end_time_unix_nano


def test_collector_that_is_not_there_holds_up_nothing(hostler_server: StartServer) -> None:
    with Collector() as closed:
        url = closed.url
    options = ("--otel", url, "--otel-traces", "--metrics-push-interval", "0.1")
    server = hostler_server(WSGI, *options)
    assert server.get("/").status == 200
    server.stderr.wait_for(f"metrics: cannot send to {url}/v1/metrics: ")
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_traces_without_a_collector_are_refused(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, "--otel-traces", ready=False)
    assert server.wait() == 2
    assert "otel.traces needs otel.endpoint" in server.log()
