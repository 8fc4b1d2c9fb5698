"""Values and protocols that layers share: frozen, without behaviour, importing nothing of Hostler's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


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
    """

    fd: int
    kind: Literal["tcp", "unix"]
    host: str
    port: int
    address: str


@dataclass(frozen=True, slots=True)
class ChildContext:
    """What a child process is born with; everything else of its supervisor's is closed.

    Attributes:
        role: what it is: "worker", "fork server", ...
        slot: which of its role it is, from 1.
        status_fd: a pipe to the supervisor for messages, one JSON object per line: {"event": "started", "pid": ...},
            {"event": "ready"}, {"event": "failed", "message": ..., "details": ..., "status": ...} and
            {"event": "recycle"}.
        lifeline_fd: a pipe that nobody writes to; its end of file means that the supervisor is gone.
        control_fd: where requests to fork arrive, for a child that forks others; -1 for all else.
        supervisor_pid: the parent that it has, or will have once it is adopted.
        listeners: the listeners it serves.
    """

    role: str
    slot: int
    status_fd: int
    lifeline_fd: int
    control_fd: int
    supervisor_pid: int
    listeners: tuple[Listener, ...] = ()


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
    # Deadlines.
    head_timeout: float = 30.0
    body_timeout: float = 30.0
    keep_alive_timeout: float = 75.0  # 0: no keep-alive
    write_timeout: float = 60.0
    graceful_timeout: float = 30.0
    # Limits.
    max_connections: int = 10_000
    max_request_line: int = 8_190
    max_header_size: int = 16_384
    max_header_count: int = 100
    max_head_size: int = 65_536
    max_body_size: int = 104_857_600  # 0: none
    body_memory: int = 262_144  # beyond it a buffered body is spooled to a temporary file
    max_buffered_bytes: int = 268_435_456
    response_buffer: int = 1_048_576  # high-water mark of one connection's unsent response
    max_requests: int = 0  # 0: none; jitter is already added
    # Requests.
    stream_request_body: bool = False
    underscore_headers: Literal["drop", "refuse", "allow"] = "drop"
    trusted_networks: tuple[str, ...] = ()  # CIDR networks, addresses, "unix" or "*"
    forwarding_headers: Literal["x-forwarded", "forwarded"] = (
        "x-forwarded"  # which of them trusted networks are asked for
    )
    script_name: str = ""
    # Responses.
    server_header: str = "hostler"  # "": no Server header
    # WSGI facts.
    multiprocess: bool = True
    # Access log.
    access_log: str = ""  # "": off; "-": standard output; "syslog:..."; else a path
    access_log_format: str = "combined"  # common | combined | json | a format string
    temp_dir: str = "/tmp"  # noqa: S108 - files made there have no name


class EngineHooks(Protocol):
    """What the engine calls back, attached to the interpreter, from any of the engine's threads."""

    def log(self, level: int, message: str) -> None:
        """Take one line for the server log. `level` is a level of the `logging` module."""

    def application_failed(self, error: BaseException, request: dict[str, str]) -> bytes | None:
        """Log an exception that left the application.

        Args:
            error: the exception, with its traceback.
            request: "id", "method", "path" and "client" of the request.

        Returns:
            An HTML page to show in place of the standard one, or None.
        """

    def start_thread(self) -> None:
        """Start one more Python thread that calls `Engine.follow()`."""

    def recycle(self) -> None:
        """`max_requests` was reached: ask the supervisor for a replacement, which will then drain this worker."""
