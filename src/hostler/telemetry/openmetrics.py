"""A snapshot as text for Prometheus: OpenMetrics 1.0.0, or the older format 0.0.4 for those who do not ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hostler.telemetry.durations import Durations
from hostler.telemetry.metric import HISTOGRAM_BOUNDS, METRICS, Metric, Sample, read_samples
from hostler.telemetry.snapshot import Snapshot

OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def wants_openmetrics(accept: str) -> bool:
    """Tell from a request's Accept header whether it is answered in OpenMetrics."""
    return "application/openmetrics-text" in accept.lower()


def render(snapshot: Snapshot, *, openmetrics: bool) -> str:
    """Write all metrics.

    Args:
        snapshot: what they are made of.
        openmetrics: write OpenMetrics; otherwise the older format.
    """
    lines: list[str] = []
    for metric, samples in read_samples(snapshot):
        lines += _describe(metric, openmetrics=openmetrics)
        for sample in samples:
            lines += _write(metric, sample)
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _describe(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    """The older format has no information and no units, and names counters with their suffix."""
    name = metric.name if openmetrics else f"{metric.name}{_SUFFIXES.get(metric.kind, '')}"
    kind = metric.kind if openmetrics or metric.kind != "info" else "gauge"
    yield f"# TYPE {name} {kind}"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}"
    yield f"# HELP {name} {metric.doc.translate(_ESCAPES) if openmetrics else metric.doc}"


# OpenMetrics 1.0.0, "Suffixes".
_SUFFIXES = {"counter": "_total", "info": "_info"}


def _write(metric: Metric, sample: Sample) -> Iterator[str]:
    if isinstance(sample.value, Durations):
        yield from _write_histogram(metric.name, sample.value, sample.labels)
    else:
        yield f"{metric.name}{_SUFFIXES.get(metric.kind, '')}{_labels(sample.labels)} {_number(sample.value)}"


def _write_histogram(name: str, durations: Durations, labels: Mapping[str, str]) -> Iterator[str]:
    count = durations.count
    for bound, reached in zip(HISTOGRAM_BOUNDS, durations.cumulative(HISTOGRAM_BOUNDS), strict=True):
        yield f"{name}_bucket{_labels({**labels, 'le': _number(bound)})} {reached}"
    yield f"{name}_bucket{_labels({**labels, 'le': '+Inf'})} {count}"
    yield f"{name}_count{_labels(labels)} {count}"
    yield f"{name}_sum{_labels(labels)} {_number(durations.total)}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(round(value, 9))


def write_reference() -> str:
    """Write the page of the documentation that lists all metrics."""
    rows = "\n".join(
        f"| `{metric.name}{_SUFFIXES.get(metric.kind, '')}` | {metric.kind} | "
        f"{', '.join(f'`{label}`' for label in metric.labels)} | {metric.doc} |"
        for metric in METRICS
    )
    return (
        "# Metrics\n\nGenerated (`make docs`); do not edit. How they are collected is in "
        "[the guide](../guides/metrics.md).\n\n"
        f"| metric | kind | labels | what it tells |\n|---|---|---|---|\n{rows}\n\n"
        f"Histograms have the bounds {', '.join(_number(bound) for bound in HISTOGRAM_BOUNDS)} seconds.\n"
    )
