"""Sending metrics to a collector of OpenTelemetry, by OTLP over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import pairwise
from time import time_ns
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as OtlpMetric
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import hostler
from hostler.telemetry.durations import Durations
from hostler.telemetry.metric import HISTOGRAM_BOUNDS, Metric, Sample, read_samples
from hostler.telemetry.otel import EXPORT_TIMEOUT, SCOPE, build_resource, export_address
from hostler.telemetry.snapshot import Snapshot

# UCUM, as OpenTelemetry asks for; the unit is no part of a name there.
_UNITS = {"seconds": "s", "bytes": "By", "": "1"}
_SECOND = 1_000_000_000


class OtlpTarget:
    """Implements `pusher.Target`."""

    def __init__(self, endpoint: str, service: str) -> None:
        """Send to a collector.

        Args:
            endpoint: its address, without the path of the signal.
            service: what the server is called.
        """
        # It logs each failure with a traceback; the pusher says what has to be said.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self.name = export_address(endpoint, "metrics")
        self._exporter = OTLPMetricExporter(endpoint=self.name, timeout=EXPORT_TIMEOUT)
        self._resource = build_resource(service)

    def push(self, snapshot: Snapshot) -> str:
        """Send a snapshot; see `pusher.Target`."""
        scope = InstrumentationScope(SCOPE, hostler.__version__)
        metrics = list(convert_metrics(snapshot, time_ns()))
        data = MetricsData([ResourceMetrics(self._resource, [ScopeMetrics(scope, metrics, "")], "")])
        result = self._exporter.export(data, timeout_millis=EXPORT_TIMEOUT * 1000)
        return "" if result is MetricExportResult.SUCCESS else "it does not answer, or refuses them"


def convert_metrics(snapshot: Snapshot, now: int) -> Iterable[OtlpMetric]:
    """Write a snapshot in OpenTelemetry's words.

    Args:
        snapshot: what is to be told.
        now: nanoseconds since 1970.
    """
    start = int(snapshot.reading.started_at * _SECOND)
    for metric, samples in read_samples(snapshot):
        if metric.kind != "info":
            name = metric.name.removesuffix(f"_{metric.unit}").replace("hostler_", "hostler.", 1)
            yield OtlpMetric(name, metric.doc, _UNITS[metric.unit], _convert(metric, samples, start, now))


def _convert(metric: Metric, samples: list[Sample], start: int, now: int) -> Sum | Gauge | Histogram:
    cumulative = AggregationTemporality.CUMULATIVE
    if metric.kind == "histogram":
        return Histogram([_spread(sample, start, now) for sample in samples], cumulative)
    points = [
        NumberDataPoint(_attributes(sample), start, now, sample.value)
        for sample in samples
        if not isinstance(sample.value, Durations)
    ]
    return Sum(points, cumulative, is_monotonic=True) if metric.kind == "counter" else Gauge(points)


def _spread(sample: Sample, start: int, now: int) -> HistogramDataPoint:
    durations = sample.value
    assert isinstance(durations, Durations)
    reached = (0, *durations.cumulative(HISTOGRAM_BOUNDS), durations.count)
    counts = [later - earlier for earlier, later in pairwise(reached)]
    # Neither the least nor the greatest is known.
    extremes: dict[str, Any] = {"min": None, "max": None}
    return HistogramDataPoint(
        attributes=_attributes(sample),
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=durations.count,
        sum=durations.total,
        bucket_counts=counts,
        explicit_bounds=list(HISTOGRAM_BOUNDS),
        **extremes,
    )


def _attributes(sample: Sample) -> dict[str, str]:
    return dict(sample.labels)
