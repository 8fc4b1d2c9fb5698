"""What is measured: the cases, and which servers take part in each."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.apps import large, mixed, sleep
from bench.load import Load
from bench.server import BY_KEY, SERVERS

GREETING = b"Hello, world!"
POST_SIZE = 16_384
POOL = 32
MAIN = "plaintext-64"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a scenario: a server in one configuration.

    Attributes:
        server: the key of the server.
        threads: how many calls may run at once.
        access_log: whether requests are logged.
        label: the name of the row where it is not that of the server; it tells rows of one server apart.
        memory_only: whether only the memory of this row is comparable.
        base: the key of the row that this one's processor time is divided by in tables.
    """

    server: str
    threads: int = 1
    access_log: bool = False
    label: str = ""
    memory_only: bool = False
    base: str = "hostler"

    @property
    def key(self) -> str:
        """The name of the row in the raw figures."""
        return f"{self.server} {self.label}".strip()

    @property
    def title(self) -> str:
        """The name of the row in tables."""
        title = BY_KEY[self.server].title
        return f"{title}, {self.label}" if self.label else title


@dataclass(frozen=True, slots=True)
class Scenario:
    """One case.

    Attributes:
        key: its name on the command line.
        title: its heading.
        about: one sentence on what it shows.
        app: the module of `bench.apps`.
        load: the requests whose figures are reported.
        expected: the body of a right answer.
        entries: the rows, in the order in which they are measured.
        beside: requests that run at the same time and count for the processor time only.
        ideal_rate: requests per second that no server can exceed in this case; 0 where there is no such bound.
        least_seconds: how long to measure at least, where answers take long: the first wave of them must not weigh.
    """

    key: str
    title: str
    about: str
    app: str
    load: Load
    expected: bytes
    entries: tuple[Entry, ...]
    beside: tuple[Load, ...] = field(default=())
    ideal_rate: float = 0.0
    least_seconds: int = 0


WSGI = tuple(server.key for server in SERVERS if server.key not in ("nginx", "uvicorn"))
ALL = ("hostler", "nginx", *(key for key in WSGI if key != "hostler"))
# Granian's own choice of threads would be another pool than the one that the case defines.
POOLED = tuple(key for key in WSGI if BY_KEY[key].threads and key != "granian-default")


def _rows(keys: tuple[str, ...]) -> tuple[Entry, ...]:
    return tuple(Entry(key) for key in keys)


def _pooled(keys: tuple[str, ...]) -> tuple[Entry, ...]:
    return tuple(Entry(key, threads=POOL if BY_KEY[key].threads else 1) for key in keys)


def _logged() -> tuple[Entry, ...]:
    able = ("hostler", "nginx", "granian", "uwsgi", "gunicorn-gthread", "gunicorn-sync")
    return tuple(
        Entry(key, access_log=label == "log on", label=label, base=f"{key} log off")
        for key in able
        for label in ("log off", "log on")
    )


def _threaded() -> tuple[Entry, ...]:
    able = ("hostler", "granian", "waitress", "gunicorn-gthread")
    return tuple(
        Entry(key, threads=count, label=f"threads {count}", base=f"{key} threads 1") for key in able for count in (1, 8)
    )


def _plaintext(connections: int, about: str, entries: tuple[Entry, ...]) -> Scenario:
    noun = "connection" if connections == 1 else "connections"
    title = f"Plain text, {connections} {noun}"
    return Scenario(f"plaintext-{connections}", title, about, "plaintext", Load(connections), GREETING, entries)


SCENARIOS = (
    _plaintext(1, "One client that waits for each answer: latency, and no batching anywhere.", _rows(ALL)),
    _plaintext(8, "A few clients.", _rows(ALL)),
    _plaintext(
        64,
        "The main figure: a busy server whose application costs nothing.",
        (*_rows(ALL), Entry("uvicorn", memory_only=True)),
    ),
    _plaintext(512, "Many clients at once: queues, and what a connection costs.", _rows(ALL)),
    Scenario(
        "post",
        "POST of 16 KiB, echoed",
        "A request body read through `wsgi.input` and sent back, 64 connections.",
        "echo",
        Load(64, "POST", POST_SIZE),
        b"x" * POST_SIZE,
        _rows(WSGI),
    ),
    Scenario(
        "large",
        "Response of 1 MiB",
        "One large bytes object, 16 connections; nginx sends a file by sendfile.",
        "large",
        Load(16),
        large.BODY,
        _rows(ALL),
    ),
    Scenario(
        "sleep",
        "20 ms of waiting, 32 threads",
        "Every call sleeps as if it asked a database; 64 connections.",
        "sleep",
        Load(64),
        GREETING,
        _pooled(POOLED),
        ideal_rate=POOL / sleep.SECONDS,
        least_seconds=5,
    ),
    Scenario(
        "flask",
        "Flask route with JSON",
        "What is left of the differences under a framework, 64 connections.",
        "flask_json",
        Load(64),
        b'{"message":"Hello, world!"}\n',
        _rows(WSGI),
    ),
    Scenario(
        "mixed",
        f"Quick calls beside slow ones of {mixed.SECONDS * 1000:.0f} ms",
        "8 connections ask for quick calls while 16 others ask for slow ones; 32 threads where a server has them. "
        "Rate and latency are those of the quick calls, processor time is per call of either kind.",
        "mixed",
        Load(8),
        GREETING,
        _pooled(WSGI),
        beside=(Load(16, path="/slow"),),
        least_seconds=5,
    ),
    Scenario(
        "access-log",
        "Plain text with the access log",
        "64 connections, each server without and with its access log written to a file.",
        "plaintext",
        Load(64),
        GREETING,
        _logged(),
    ),
    Scenario(
        "threads",
        "Plain text with threads that are not needed",
        "64 connections: what quick calls pay for threads that only slow calls need.",
        "plaintext",
        Load(64),
        GREETING,
        _threaded(),
    ),
)
BY_NAME = {scenario.key: scenario for scenario in SCENARIOS}
