"""What is measured: the cases, and which servers take part in each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.apps import large, mixed, sleep, sleep_asgi
from bench.load import Load
from bench.messages import MessageLoad
from bench.server import BY_KEY
from bench.streams import StreamLoad

GREETING = b"Hello, world!"
POST_SIZE = 16_384
POOL = 32
HELD_CONNECTIONS = 1000
WAITING_CONNECTIONS = 128
MAIN = "plaintext-64"
MAIN_ASGI = "asgi-plaintext-64"
# Hostler's row that others are compared with, per interface. Under ASGI the one with uvloop: its peers have it too.
HOSTLER = "hostler"
HOSTLER_ASGI = "hostler-uvloop"

Group = Literal["wsgi", "asgi", "websocket"]
GROUPS: dict[Group, str] = {"wsgi": "WSGI", "asgi": "ASGI", "websocket": "WebSocket"}
Figure = Literal["cpu_us", "connection_pss"]


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
        app: the module of `bench.apps` where it is not that of the scenario.
    """

    server: str
    threads: int = 1
    access_log: bool = False
    label: str = ""
    memory_only: bool = False
    base: str = HOSTLER
    app: str = ""

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
        load: the requests or messages whose figures are reported.
        expected: the body of a right answer; messages are expected back as they were sent.
        entries: the rows, in the order in which they are measured.
        beside: requests that run at the same time and count for the processor time only.
        ideal_rate: requests per second that no server can exceed in this case; 0 where there is no such bound.
        least_seconds: how long to measure at least, where answers take long: the first wave of them must not weigh.
        group: the interface that the applications are written for; a heading, and a name for all of its scenarios.
        framework: whether the application needs one, which then comes from the peers' environment for every server.
        figure: the attribute of a measurement that rows are ordered by and compared in.
        unit: what `requests` counts, in a word.
    """

    key: str
    title: str
    about: str
    app: str
    load: Load | StreamLoad | MessageLoad
    expected: bytes
    entries: tuple[Entry, ...]
    beside: tuple[Load, ...] = field(default=())
    ideal_rate: float = 0.0
    least_seconds: int = 0
    group: Group = "wsgi"
    framework: bool = False
    figure: Figure = "cpu_us"
    unit: str = "request"


WSGI = (
    *(HOSTLER, "fastwsgi", "bjoern", "granian", "granian-default", "uwsgi", "waitress"),
    *("gunicorn-gthread", "gunicorn-sync"),
)
ALL = (HOSTLER, "nginx", *(key for key in WSGI if key != HOSTLER))
ASGI = (HOSTLER_ASGI, "hostler-asyncio", "granian-asgi", "uvicorn", "gunicorn-asgi", "hypercorn")
BEHIND = (
    *("hostler-behind", "hostler-behind-uwsgi", "granian-behind", "uwsgi-behind", "uwsgi-behind-uwsgi"),
    "gunicorn-behind",
)
# Granian's own choice of threads would be another pool than the one that the case defines.
POOLED = tuple(key for key in WSGI if BY_KEY[key].threads and key != "granian-default")


WSGI_HTTP2 = (HOSTLER, "nginx", "granian")
ASGI_HTTP2 = (HOSTLER_ASGI, "hostler-asyncio", "nginx", "granian-asgi", "hypercorn")


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


def _asgi_rows(*others: str) -> tuple[Entry, ...]:
    return tuple(Entry(key, base=HOSTLER_ASGI) for key in (*ASGI, *others))


def _asgi(
    key: str, title: str, about: str, app: str, load: Load, expected: bytes, *others: str, ideal_rate: float = 0.0
) -> Scenario:
    """Build a scenario of HTTP requests to an ASGI application; `others` are rows beside those of the servers."""
    return Scenario(
        f"asgi-{key}",
        f"ASGI: {title}",
        about,
        app,
        load,
        expected,
        _asgi_rows(*others),
        ideal_rate=ideal_rate,
        least_seconds=5 if ideal_rate else 0,
        group="asgi",
        framework="alone" in others,
    )


def _asgi_plaintext(connections: int, about: str) -> Scenario:
    noun = "connection" if connections == 1 else "connections"
    title, load = f"plain text, {connections} {noun}", Load(connections)
    return _asgi(f"plaintext-{connections}", title, about, "plaintext_asgi", load, GREETING, "nginx")


def _echo(key: str, title: str, about: str, load: MessageLoad) -> Scenario:
    entries = _asgi_rows()
    return Scenario(key, title, about, "ws_echo", load, b"", entries, group="websocket", unit="message")


def _held(key: str, title: str, about: str, *, deflate: bool) -> Scenario:
    return Scenario(
        key,
        title,
        about,
        "ws_echo",
        MessageLoad(HELD_CONNECTIONS, 64, deflate=deflate, hold=True),
        b"",
        _asgi_rows(),
        group="websocket",
        figure="connection_pss",
        unit="connection",
    )


def _http2(key: str, title: str, servers: tuple[str, ...], load: StreamLoad) -> Scenario:
    """Build a scenario of plain text by HTTP/2, for the interface of its first server."""
    group: Group = "wsgi" if servers[0] == HOSTLER else "asgi"
    opening = "HTTP/2 is agreed on by ALPN; TLS 1.3" if load.tls else "Clients begin with HTTP/2, in clear text"
    return Scenario(
        key,
        f"{title}, {load.connections} connections of {load.streams} streams",
        f"{opening}. Each connection has {load.streams} requests under way at the same time.",
        "plaintext" if group == "wsgi" else "plaintext_asgi",
        load,
        GREETING,
        tuple(Entry(server, base=servers[0]) for server in servers),
        group=group,
    )


WSGI_SCENARIOS = (
    _plaintext(1, "One client that waits for each answer: latency, and no batching anywhere.", _rows(ALL)),
    _plaintext(8, "A few clients.", _rows(ALL)),
    _plaintext(
        64,
        "The main figure: a busy server whose application costs nothing.",
        (*_rows(ALL), Entry("uvicorn", memory_only=True, app="plaintext_asgi")),
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
        framework=True,
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
        "behind-nginx",
        "Plain text behind nginx",
        "64 connections to one nginx worker, which hands requests on by HTTP over kept connections, or by uwsgi over "
        "one each; the processor time is that of nginx and the server together, on one processor.",
        "plaintext",
        Load(64),
        GREETING,
        tuple(Entry(key, threads=64 if key == "uwsgi-behind" else 1, base="hostler-behind") for key in BEHIND),
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
TLS_SCENARIOS = (
    Scenario(
        "tls",
        "Plain text over TLS, 32 connections",
        "TLS 1.3 on connections that are kept: encryption of small answers. ECDSA P-256 everywhere.",
        "plaintext",
        Load(32, tls=True),
        GREETING,
        # Without uWSGI: its socket for HTTPS ends each connection after one answer, without telling so.
        _rows((HOSTLER, "nginx", "granian", "gunicorn-gthread")),
    ),
    Scenario(
        "tls-handshake",
        "Handshakes of TLS, 32 at a time",
        "One request on each connection. wrk resumes its session: with TLS 1.3 keys are agreed on anew each time, and "
        "nothing is signed.",
        "plaintext",
        Load(32, tls=True, closes=True),
        GREETING,
        _rows((HOSTLER, "nginx", "granian", "gunicorn-gthread")),
        unit="handshake",
    ),
)
HTTP2_SCENARIOS = (
    _http2("http2", "HTTP/2", WSGI_HTTP2, StreamLoad(8, 16)),
    _http2("http2-tls", "HTTP/2 over TLS", WSGI_HTTP2, StreamLoad(8, 16, tls=True)),
)
ASGI_SCENARIOS = (
    _asgi_plaintext(1, "One client that waits for each answer."),
    _asgi_plaintext(8, "A few clients."),
    _asgi_plaintext(64, "A busy server whose application costs nothing."),
    _asgi_plaintext(512, "Many clients at once."),
    _asgi(
        "post",
        "POST of 16 KiB, echoed",
        "A request body read through `receive` and sent back, 64 connections.",
        "echo_asgi",
        Load(64, "POST", POST_SIZE),
        b"x" * POST_SIZE,
    ),
    _asgi(
        "large",
        "response of 1 MiB",
        "One large bytes object, 16 connections; nginx sends a file by sendfile.",
        "large_asgi",
        Load(16),
        large.BODY,
        "nginx",
    ),
    _asgi(
        "sleep",
        f"20 ms of waiting, {WAITING_CONNECTIONS} connections",
        "Every call awaits `asyncio.sleep` as if it asked a database.",
        "sleep_asgi",
        Load(WAITING_CONNECTIONS),
        GREETING,
        ideal_rate=WAITING_CONNECTIONS / sleep_asgi.SECONDS,
    ),
    _asgi(
        "fastapi",
        "FastAPI route with JSON",
        "What is left of the differences under a framework, 64 connections.",
        "fastapi_json",
        Load(64),
        b'{"message":"Hello, world!"}',
        "alone",
    ),
)
ASGI_TLS_SCENARIOS = (
    Scenario(
        "asgi-tls",
        "ASGI: plain text over TLS, 32 connections",
        "TLS 1.3 on connections that are kept.",
        "plaintext_asgi",
        Load(32, tls=True),
        GREETING,
        tuple(Entry(key, base=HOSTLER_ASGI) for key in (HOSTLER_ASGI, "nginx", "granian-asgi", "hypercorn")),
        group="asgi",
    ),
)
ASGI_HTTP2_SCENARIOS = (
    _http2("asgi-http2", "ASGI: HTTP/2", ASGI_HTTP2, StreamLoad(8, 16)),
    _http2("asgi-http2-tls", "ASGI: HTTP/2 over TLS", ASGI_HTTP2, StreamLoad(8, 16, tls=True)),
)
WEBSOCKET_SCENARIOS = (
    _echo(
        "ws-echo-64",
        "WebSocket echo of 64 B",
        "64 connections, each of which sends its next message when the last one is back.",
        MessageLoad(64, 64),
    ),
    _echo(
        "ws-echo-16k",
        "WebSocket echo of 16 KiB",
        "64 connections, each of which sends its next message when the last one is back.",
        MessageLoad(64, 16_384),
    ),
    _echo(
        "ws-pipelined",
        "WebSocket echo of 64 B, 16 under way",
        "64 connections with 16 messages each under way at the same time.",
        MessageLoad(64, 64, outstanding=16),
    ),
    _held(
        "ws-idle",
        f"{HELD_CONNECTIONS:,} idle WebSocket connections",
        "What a connection holds that has exchanged one message of 64 B and waits.",
        deflate=False,
    ),
    _held(
        "ws-idle-deflate",
        f"{HELD_CONNECTIONS:,} idle WebSocket connections, permessage-deflate",
        "The same where the client offers compression as browsers do, and compresses its message if the server agrees.",
        deflate=True,
    ),
)
SCENARIOS = (
    *(*WSGI_SCENARIOS, *TLS_SCENARIOS, *HTTP2_SCENARIOS),
    *(*ASGI_SCENARIOS, *ASGI_TLS_SCENARIOS, *ASGI_HTTP2_SCENARIOS),
    *WEBSOCKET_SCENARIOS,
)
BY_NAME = {scenario.key: scenario for scenario in SCENARIOS}
