"""Values and protocols that layers share: frozen, without behaviour, importing nothing of Hostler's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import asyncio

# PEP 3333.
WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
# ASGI 3: scope, receive, send.
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
Interface = Literal["wsgi", "asgi"]


@dataclass(frozen=True, slots=True)
class Mount:
    """An application and the part of the URL space that it answers.

    Attributes:
        prefix: "" for the root, else such as "/admin": a leading slash, no trailing one.
        interface: how it is called.
        application: what is called.
    """

    prefix: str
    interface: Interface
    application: WsgiApplication | AsgiApplication


# What is spoken at a listener; all but HTTP come from a web server in front.
WireProtocol = Literal["http", "uwsgi", "scgi", "fastcgi"]


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound, listening, non-blocking socket as the engine needs it.

    Attributes:
        fd: the descriptor; owned by the supervisor, inherited by workers.
        kind: "tcp" or "unix".
        host: what SERVER_NAME tells the application (the bound host, or the machine's name for a wildcard, "localhost"
            for unix).
        port: what SERVER_PORT tells the application (80 for unix sockets, as no port exists).
        address: the address for people, such as "http://127.0.0.1:8000" or "unix:/run/app.sock".
        protocol: what is spoken there.
        proxy_protocol: whether connections begin with a header of the PROXY protocol.
        tls: the number of its profile in the file of `EngineSettings.tls_fd`; -1 where there is no TLS.
    """

    fd: int
    kind: Literal["tcp", "unix"]
    host: str
    port: int
    address: str
    protocol: WireProtocol = "http"
    proxy_protocol: bool = False
    tls: int = -1


@dataclass(frozen=True, slots=True)
class ChildContext:
    """What a child process is born with; everything else of its supervisor's is closed.

    Attributes:
        role: what it is: "worker", "fork server", ...
        slot: which of its role it is, from 1.
        status_fd: a pipe to the supervisor for messages, one JSON object per line: {"event": "started", "pid": ...},
            {"event": "ready", "serves": ...} ("serves" is for people, such as "ASGI on uvloop", and may be left out),
            {"event": "failed", "message": ..., "details": ..., "status": ...}, {"event": "recycle"}, {"event": "stuck",
            "message": ..., "hopeless": ...} (a request does not end, and perhaps nothing does any more), and
            {"event": "reported"} once a report that was asked for is written.
        lifeline_fd: a pipe that nobody writes to; its end of file means that the supervisor is gone.
        control_fd: where requests to fork arrive, for a child that forks others; -1 for all else.
        supervisor_pid: the parent that it has, or will have once it is adopted.
        listeners: the listeners it serves.
        board_fd: the scoreboard, for a child that writes to it; -1 for all else.
        board_offset: where its block begins there.
        report_fd: memory that it writes to when it is asked what it is doing (`system.report`); -1 for none.
    """

    role: str
    slot: int
    status_fd: int
    lifeline_fd: int
    control_fd: int
    supervisor_pid: int
    listeners: tuple[Listener, ...] = ()
    board_fd: int = -1
    board_offset: int = 0
    report_fd: int = -1


# Runs a child's whole life and returns its exit status.
ChildMain = Callable[[ChildContext], int]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """All that one engine is told when it is made. Durations are seconds, sizes bytes; 0 means "off" where noted.

    The extension reads these attributes by name; a change here is a change there.
    """

    threads: int = 1
    # Descriptors the engine watches; -1 is "none".
    # Yields signal numbers, one byte each (signal.set_wakeup_fd). TERM and INT: drain (a terminal sends INT to workers
    # as well as to the supervisor). QUIT: stop now. USR1: reopen logs. After any number the interpreter gets to
    # run the handlers that the application installed.
    signal_fd: int = -1
    lifeline_fd: int = -1  # end of file means that the supervisor is gone
    tls_fd: int = -1  # certificates and keys of TLS listeners, written by `hostler.tls.store`
    challenges_fd: int = -1  # answers to authorities, written by `hostler.tls.challenges`
    # Deadlines.
    head_timeout: float = 30.0
    body_timeout: float = 30.0
    keep_alive_timeout: float = 75.0  # 0: no keep-alive
    write_timeout: float = 60.0
    handshake_timeout: float = 10.0
    graceful_timeout: float = 30.0
    # Limits.
    max_connections: int = 10_000
    max_handshakes: int = 4_096
    max_request_line: int = 8_190
    max_header_size: int = 16_384
    max_header_count: int = 100
    max_head_size: int = 65_536
    max_body_size: int = 104_857_600  # 0: none
    body_memory: int = 262_144  # beyond it a buffered body is spooled to a temporary file
    max_buffered_bytes: int = 268_435_456
    response_buffer: int = 1_048_576  # high-water mark of one connection's unsent response
    max_requests: int = 0  # 0: none; jitter is already added
    # Requests and WebSockets in the application at once; 0: none. Beyond it 503 with Retry-After.
    max_concurrency: int = 0
    # Requests.
    stream_request_body: bool = False
    underscore_headers: Literal["drop", "refuse", "allow"] = "drop"
    trusted_networks: tuple[str, ...] = ()  # CIDR networks, addresses, "unix" or "*"
    forwarding_headers: Literal["x-forwarded", "forwarded"] = (
        "x-forwarded"  # which of them trusted networks are asked for
    )
    script_name: str = ""
    # ASGI: cancel the application's task when its client is gone, instead of only telling it.
    cancel_on_disconnect: bool = False
    debug_extension: bool = False  # ASGI: offer `http.response.debug`
    # WebSockets. Uvicorn's defaults (--ws-max-size, --ws-max-queue, --ws-ping-interval, --ws-ping-timeout).
    ws_max_message: int = 16_777_216
    ws_max_queue: int = 32  # messages held before reading pauses
    ws_ping_interval: float = 20.0  # 0: off
    ws_ping_timeout: float = 20.0
    # The defaults of the websockets package: close_timeout, permessage-deflate with windows of 12 bits.
    ws_close_timeout: float = 10.0
    ws_compression: bool = True
    ws_context_takeover: bool = False  # a compressor of 160 KiB per connection, if on
    ws_window_bits: int = 12
    # Deadlines of requests: how long an application may take; 0: as long as it likes. Patterns of paths win over the
    # default, the most exact one over others.
    default_deadline: float = 0.0
    route_deadlines: tuple[tuple[str, float], ...] = ()
    # Leave new connections to the workers that have less to do, as the scoreboard tells: where all share the listeners.
    spreads: bool = True
    deadline_grace: float = 5.0  # how long one that was told to end may take to do so
    status_fd: int = -1  # see `ChildContext`; for {"event": "stuck", ...}, which takes no interpreter to write
    # Shedding: requests that waited for longer than the target are refused, once all have for an interval; 0: off.
    overload_target: float = 0.0
    overload_interval: float = 0.2
    # HTTP/2.
    h2_enabled: bool = True
    h2_max_streams: int = 128  # of one connection at once
    h2_stream_window: int = 262_144  # of one request's body on its way
    # Responses.
    server_header: str = "hostler"  # "": no Server header
    https_port: int = 0  # where requests that came without TLS are sent; 0: they are served
    hsts: str = ""  # value of Strict-Transport-Security; "": none
    # WSGI facts.
    multiprocess: bool = True
    # Access log.
    access_log: str = ""  # "": off; "-": standard output; "syslog:..."; "journald:"; else a path
    access_log_format: str = "combined"  # common | combined | json | a format string
    # Which requests get a line: none on these paths; of the others all, or those of these statuses, those that took so
    # long (0: no such choice), and one in so many of the rest (0: none).
    access_log_skip: tuple[str, ...] = ()
    access_log_statuses: tuple[str, ...] = ()
    access_log_slow: float = 0.0
    access_log_sample: int = 0
    # The scoreboard: a shared memory file and where this engine's block begins in it; -1: nobody reads.
    board_fd: int = -1
    board_offset: int = 0
    temp_dir: str = "/tmp"  # noqa: S108 - files made there have no name


class BridgeHooks(Protocol):
    """What an engine calls back, attached to the interpreter, whatever it serves; from any of its threads."""

    def log(self, level: int, message: str) -> None:
        """Take one line for the server log. `level` is a level of the `logging` module."""

    def application_failed(self, error: BaseException, request: dict[str, str]) -> bytes | None:
        """Log an exception that left the application.

        Args:
            error: the exception, with its traceback.
            request: "id", "method", "path" and "client" of the request, and perhaps "interface": "http", "websocket" or
                "wsgi".

        Returns:
            An HTML page to show in place of the standard one, or None.
        """

    def request_expired(self, request: dict[str, str], age: float, thread: int, task: asyncio.Task[Any] | None) -> None:
        """A request is past its deadline: write down where its application is.

        Args:
            request: "id", "method" and "path" of the request.
            age: for how many seconds the application has had it.
            thread: the thread that is in the application for it, or 0.
            task: its task, if that waits for something.
        """

    def recycle(self) -> None:
        """`max_requests` was reached: ask the supervisor for a replacement, which will then drain this worker."""


class EngineHooks(BridgeHooks, Protocol):
    """What the WSGI engine calls back."""

    def start_thread(self) -> None:
        """Start one more Python thread that calls `Engine.follow()`."""


class AsgiHooks(BridgeHooks, Protocol):
    """What the ASGI engine calls back."""

    def submit(self, call: Callable[[], None]) -> None:
        """Run `call` in a thread: a request for a WSGI application. In the loop's thread."""

    def finished(self) -> None:
        """The engine has drained or was stopped, and all requests have ended. Once, in the loop's thread."""


@dataclass(frozen=True, slots=True)
class HookEvent:
    """What a hook of the configuration is told.

    Attributes:
        phase: which hook it is, such as "prepare" or "worker_ended".
        supervisor_pid: the supervisor's process id.
        worker: the worker's slot, from 1; 0 where it is about none.
        pid: the worker's process id; 0 likewise.
        reason: why it was called, where there is something to say: "start", "reload" or "upgrade" for "prepare" and
            "serving", and for "worker_ended" such as "was killed by SIGKILL".
        addresses: where the server listens, for "serving".
    """

    phase: str
    supervisor_pid: int
    worker: int = 0
    pid: int = 0
    reason: str = ""
    addresses: tuple[str, ...] = ()


class ServerHooks(Protocol):
    """What somebody who embeds the server wants to be told of its life, and may do then.

    A generation keeps the hooks that it began with; what is told of workers that have started or ended goes to those of
    the generation that serves. Those of the supervisor must not raise, but for `starting`, nor start threads; those of
    a worker may raise a HostlerError, which counts as a failed start, until it serves.
    """

    # In the supervisor.

    def starting(self) -> None:
        """The first configuration is read and the log open, listeners are not; a HostlerError ends the start."""

    def reloading(self) -> None:
        """A reload has read the configuration that came with these hooks, and is about to start its workers."""

    def serving(self, addresses: Sequence[str]) -> None:
        """All workers of the first generation are ready."""

    def worker_started(self, slot: int, pid: int) -> None:
        """A worker's process id is known."""

    def worker_ended(self, pid: int) -> None:
        """A worker is gone."""

    def scaled(self, count: int, former: int | None) -> None:
        """So many workers are wanted now; `former` is None at the start."""

    def ended(self) -> None:
        """The server is about to exit; its workers have."""

    # In a child of the supervisor.

    def upgrading(self) -> None:
        """This process is about to become a new supervisor, by starting the program once more."""

    # In the process that forks: the supervisor, or with `app.preload` the fork server.

    def worker_forking(self, slot: int) -> None:
        """A worker is about to be forked; it inherits what this does."""

    # In the process that loads the application: the worker, or with `app.preload` the fork server.

    def loading(self) -> None:
        """The process has its rights, environment and directory, and is about to load the application."""

    def mount(self, mount: Mount) -> Mount:
        """Give what is called in the place of an application that was loaded."""

    # In the worker.

    def worker_forked(self) -> None:
        """A worker begins, with its rights, environment and directory; without `app.preload`, before it loads."""

    def worker_loaded(self) -> None:
        """The application is loaded; the worker is about to serve."""

    def worker_interrupted(self) -> None:
        """SIGINT or SIGQUIT has come, in the main thread."""

    def worker_leaving(self) -> None:
        """The worker has served its last request."""
