"""Snapshots as datagrams for statsd, or for DogStatsD, which has tags.

Counters are sent as what has come since the last time, gauges as they are. Distributions are counted already, so they
are sent as gauges of their mean and percentiles in the interval.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hostler.telemetry.durations import Durations
from hostler.telemetry.metric import Metric, Sample, read_samples
from hostler.telemetry.snapshot import Snapshot

# What goes through Ethernet in one piece: 1500 bytes less the heads of IPv6 and UDP, and some room for tunnels. The
# documentation of statsd and of Datadog's agent name 1432.
UDP_SIZE = 1432
# The default of Datadog's agent (dogstatsd_buffer_size).
UNIX_SIZE = 8192
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

_OURS = "hostler_"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
# DogStatsD separates by these.
_UNSAFE_IN_TAG = re.compile(r"[,|#\s]")


@dataclass(frozen=True, slots=True)
class StatsdForm:
    """How lines are written.

    Attributes:
        prefix: what all names begin with, before a dot.
        has_tags: write labels as DogStatsD's tags; otherwise they become parts of the name.
        tags: further tags for each line.
        size: bytes in a datagram, at most.
    """

    prefix: str = "hostler"
    has_tags: bool = False
    tags: Mapping[str, str] | None = None
    size: int = UDP_SIZE


class StatsdWriter:
    """Writes one snapshot after the other."""

    def __init__(self, form: StatsdForm) -> None:
        """Begin; the first snapshot is what later ones are compared with."""
        self._form = form
        self._counted: dict[str, float] = {}
        self._spread: dict[str, Durations] = {}

    def write(self, snapshot: Snapshot) -> list[bytes]:
        """Return the datagrams of a snapshot; a line that is longer than one may be is left out."""
        lines = (line for metric, samples in read_samples(snapshot) for line in self._write_metric(metric, samples))
        return list(_pack(lines, self._form.size))

    def _write_metric(self, metric: Metric, samples: Iterable[Sample]) -> Iterator[str]:
        if metric.kind == "info":
            return
        for sample in samples:
            yield from self._write_sample(metric, sample)

    def _write_sample(self, metric: Metric, sample: Sample) -> Iterator[str]:
        name, tags = self._name(metric, sample.labels)
        if isinstance(sample.value, Durations):
            yield from self._write_durations(name, tags, sample.value)
        elif metric.kind == "counter":
            grown = self._grow(f"{name}{tags}", sample.value)
            if grown is not None:
                yield f"{name}:{_number(grown)}|c{tags}"
        else:
            yield f"{name}:{_number(sample.value)}|g{tags}"

    def _grow(self, key: str, value: float) -> float | None:
        """Return what has come since the last time; None the first time. What is less than before began anew."""
        former, self._counted[key] = self._counted.get(key), value
        if former is None:
            return None
        return value - former if value >= former else value

    def _write_durations(self, name: str, tags: str, durations: Durations) -> Iterator[str]:
        key = f"{name}{tags}"
        former, self._spread[key] = self._spread.get(key), durations
        if former is None:
            return
        recent = durations - former
        yield f"{name}.count:{recent.count}|c{tags}"
        mean = recent.mean
        if mean is None:
            return
        yield f"{name}.mean:{_number(mean)}|g{tags}"
        for part, fraction in PERCENTILES.items():
            yield f"{name}.{part}:{_number(recent.percentile(fraction) or 0.0)}|g{tags}"

    def _name(self, metric: Metric, labels: Mapping[str, str]) -> tuple[str, str]:
        """Return the name and what stands behind the line."""
        name = metric.name.removeprefix(_OURS)
        parts = [self._form.prefix, name] if self._form.prefix else [name]
        if not self._form.has_tags:
            return ".".join([*parts, *(_UNSAFE.sub("_", value) for value in labels.values())]), ""
        tags = {**(self._form.tags or {}), **labels}
        written = ",".join(_safe_tag(f"{key}:{value}" if value else key) for key, value in tags.items())
        return ".".join(parts), f"|#{written}" if written else ""


def _safe_tag(text: str) -> str:
    return _UNSAFE_IN_TAG.sub("_", text)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def _pack(lines: Iterable[str], size: int) -> Iterator[bytes]:
    """Put as many lines into a datagram as there is room for."""
    packed = b""
    for line in lines:
        data = line.encode()
        if len(data) > size:
            continue
        if packed and len(packed) + 1 + len(data) > size:
            yield packed
            packed = b""
        packed = packed + b"\n" + data if packed else data
    if packed:
        yield packed
