"""What Hostler sets out to reach, and how far a run is from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.result import Measurement, Record
from bench.scenario import BY_NAME, HOSTLER, HOSTLER_ASGI, MAIN, MAIN_ASGI
from bench.server import BY_KEY
from bench.statistic import Spread


@dataclass(frozen=True, slots=True)
class Value:
    """What a run says about a goal: the figure, and the row that it was the worst against."""

    spread: Spread
    against: str


@dataclass(frozen=True, slots=True)
class Goal:
    """One stated goal.

    Attributes:
        text: the goal in words.
        limit: the value that is just good enough.
        evaluate: the value of a run, or None where it was not measured.
        at_least: whether more is better.
    """

    text: str
    limit: float
    evaluate: Callable[[Record], Value | None]
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what became of it; `miss` is how far the median is beyond the limit, as a share of the limit."""

    goal: Goal
    value: Value | None

    @property
    def miss(self) -> float:
        """How far the median is beyond the limit, as a share of it; nothing or less where the goal is reached."""
        if self.value is None:
            return 0.0
        distance = self.value.spread.median / self.goal.limit - 1
        return -distance if self.goal.at_least else distance

    @property
    def word(self) -> str:
        """The outcome in a word or three."""
        if self.value is None:
            return "not measured"
        return f"**missed** by {self.miss:.1%}" if self.miss > 0 else "reached"


def cpu(item: Measurement) -> float:
    """Processor time per request, the figure that most goals are about."""
    return item.cpu_us


def worker_memory(item: Measurement) -> float:
    """Memory of the process that did the work."""
    return float(item.worker_pss)


def list_peers(scenario: str) -> list[str]:
    """Name the rows of a scenario that are servers with its application, other than Hostler."""
    entries = BY_NAME[scenario].entries
    return [entry.key for entry in entries if BY_KEY[entry.server].role == "peer" and not entry.memory_only]


def _against(
    scenario: str, others: list[str], figure: Callable[[Measurement], float] = cpu, entry: str = HOSTLER
) -> Callable[[Record], Value | None]:
    """Build the evaluation "ratio to the best of these rows"."""

    def evaluate(record: Record) -> Value | None:
        found = [(record.ratio(scenario, entry, other, figure), other) for other in others]
        values = [Value(spread, other) for spread, other in found if spread is not None]
        return max(values, key=lambda value: value.spread.median, default=None)

    return evaluate


def _asgi_against(
    scenario: str, others: list[str], figure: Callable[[Measurement], float] = cpu
) -> Callable[[Record], Value | None]:
    return _against(scenario, others, figure, HOSTLER_ASGI)


def _share_of_ideal(record: Record) -> Value | None:
    scenario = BY_NAME["sleep"]
    spread = record.spread("sleep", HOSTLER, lambda item: item.rate / scenario.ideal_rate)
    return None if spread is None else Value(spread, "ideal")


GOALS = (
    Goal("Plain text, 64 connections: processor time at most 1.15 times nginx", 1.15, _against(MAIN, ["nginx"])),
    Goal("Plain text, 64 connections: at most fastwsgi", 1.0, _against(MAIN, ["fastwsgi"])),
    Goal("Plain text, 64 connections: at most bjoern", 1.0, _against(MAIN, ["bjoern"])),
    Goal("Plain text, 64 connections: at most 0.6 times Granian", 0.6, _against(MAIN, ["granian"])),
    Goal("POST of 16 KiB: at most 1.2 times fastwsgi", 1.2, _against("post", ["fastwsgi"])),
    Goal("Response of 1 MiB: below every peer", 1.0, _against("large", list_peers("large"))),
    Goal("20 ms of waiting: at least 97 % of the ideal throughput", 0.97, _share_of_ideal, at_least=True),
    Goal("20 ms of waiting: less processor time than every threaded peer", 1.0, _against("sleep", list_peers("sleep"))),
    Goal("Memory of a worker: at most Uvicorn's", 1.0, _against(MAIN, ["uvicorn"], worker_memory)),
    Goal(
        "Access log on: at most 10 % more processor time",
        1.1,
        _against("access-log", ["hostler log off"], entry="hostler log on"),
    ),
    Goal("TLS, 32 connections: processor time at most 1.3 times nginx with TLS", 1.3, _against("tls", ["nginx"])),
    Goal("TLS, 32 connections: at most 0.85 times Granian", 0.85, _against("tls", ["granian"])),
    Goal("TLS handshakes: processor time at most nginx's", 1.0, _against("tls-handshake", ["nginx"])),
    Goal("HTTP/2: processor time at most 1.5 times nginx", 1.5, _against("http2", ["nginx"])),
    Goal("HTTP/2: at most 0.85 times Granian", 0.85, _against("http2", ["granian"])),
    Goal("HTTP/2 over TLS: processor time at most 1.5 times nginx", 1.5, _against("http2-tls", ["nginx"])),
    Goal("HTTP/2 over TLS: at most 0.85 times Granian", 0.85, _against("http2-tls", ["granian"])),
    # Hostler with uvloop, as its peers have it.
    Goal(
        "ASGI, 64 connections, uvloop: processor time at most 1.35 times nginx",
        1.35,
        _asgi_against(MAIN_ASGI, ["nginx"]),
    ),
    Goal(
        "ASGI, 64 connections, uvloop: at most half of Granian and of Uvicorn",
        0.5,
        _asgi_against(MAIN_ASGI, ["granian-asgi", "uvicorn"]),
    ),
    Goal(
        "ASGI, 8 connections, uvloop: at most 0.4 times Granian",
        0.4,
        _asgi_against("asgi-plaintext-8", ["granian-asgi"]),
    ),
    Goal(
        "ASGI over TLS, 32 connections, uvloop: at most half of Granian",
        0.5,
        _asgi_against("asgi-tls", ["granian-asgi"]),
    ),
    Goal("ASGI by HTTP/2, uvloop: processor time at most 1.5 times nginx", 1.5, _asgi_against("asgi-http2", ["nginx"])),
    Goal("ASGI by HTTP/2, uvloop: at most 0.85 times Granian", 0.85, _asgi_against("asgi-http2", ["granian-asgi"])),
    Goal(
        "ASGI by HTTP/2 over TLS, uvloop: processor time at most 1.5 times nginx",
        1.5,
        _asgi_against("asgi-http2-tls", ["nginx"]),
    ),
    Goal(
        "ASGI by HTTP/2 over TLS, uvloop: at most 0.85 times Granian",
        0.85,
        _asgi_against("asgi-http2-tls", ["granian-asgi"]),
    ),
    Goal(
        "FastAPI route, uvloop: below every peer",
        1.0,
        _asgi_against("asgi-fastapi", list_peers("asgi-fastapi")),
    ),
    Goal(
        "WebSocket echo of 64 B, uvloop: at most 0.6 times the best peer",
        0.6,
        _asgi_against("ws-echo-64", list_peers("ws-echo-64")),
    ),
    Goal(
        "WebSocket echo of 16 KiB, uvloop: at most 0.6 times the best peer",
        0.6,
        _asgi_against("ws-echo-16k", list_peers("ws-echo-16k")),
    ),
    Goal(
        "Memory of a worker for ASGI, uvloop: below Uvicorn's",
        1.0,
        _asgi_against(MAIN_ASGI, ["uvicorn"], worker_memory),
    ),
)


def judge(record: Record) -> list[Verdict]:
    """Compare a run with all goals."""
    return [Verdict(goal, goal.evaluate(record)) for goal in GOALS]
