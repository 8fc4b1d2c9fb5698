"""Starts real servers for tests, waits for what they do without sleeping, and leaves nothing running behind.

A test takes the fixture `hostler_server` (see tests/conftest.py) and calls it like `start_server` below::

    def test_root_is_served(hostler_server: StartServer) -> None:
        server = hostler_server("tests.e2e.apps.hello:app", "--threads", "2")
        assert server.get("/").status == 200

Waiting is always for an event (a datagram, a line of output, the end of a process) with a deadline; on a miss the
error carries all that the server has said, so that a failure can be read without being repeated.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self

ROOT = Path(__file__).resolve().parents[2]

# Generous on purpose: a wait ends with its event, so that only a failing test ever uses up the whole of it.
PATIENCE = 30.0

# Where a server makes its control socket: beside the socket that it notifies, so that no test meets another's server.
CONTROL_VARIABLE = "HOSTLER_CONTROL_DIRECTORY"

# Variables that would configure the server behind a test's back.
_FOREIGN_VARIABLES = (
    "PORT",
    "WEB_CONCURRENCY",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
)


class ServerError(AssertionError):
    """The server did not do what a test waits for; the message carries its output."""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, read to its end.

    Attributes:
        status: the status code.
        reason: the reason phrase.
        version: 10 or 11.
        headers: names and values, in order.
        body: the content, transfer coding removed.
    """

    status: int
    reason: str
    version: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()


class Transcript:
    """A growing text that one thread writes and others wait on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._text = ""
        self._ended = False

    def append(self, text: str) -> None:
        """Add text and wake those who wait."""
        with self._changed:
            self._text += text
            self._changed.notify_all()

    def end(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        """All that was written so far."""
        with self._changed:
            return self._text

    def wait_for(self, wanted: str, *, count: int = 1, timeout: float = PATIENCE) -> str:
        """Wait until `wanted` occurs `count` times.

        Returns:
            The whole text at that time.

        Raises:
            ServerError: the time (seconds) is over, or the writer has ended without it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._text.count(wanted) >= count, timeout)
            if self._text.count(wanted) < count:
                why = "the output ended" if self._ended else f"{timeout:g} s went by"
                raise ServerError(f"{why} without {wanted!r} ({count} times); the output:\n{self._text}")
            return self._text

    def wait_end(self, timeout: float = PATIENCE) -> str:
        """Wait until the writer has ended, or the time (seconds) is over; return the whole text."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended, timeout)
            return self._text

    def follow(self, stream: IO[bytes]) -> None:
        """Copy a stream here until it ends; made to be the whole life of a thread."""
        with stream:
            while chunk := os.read(stream.fileno(), 65536):
                self.append(chunk.decode(errors="replace"))
        self.end()


class RunningServer:
    """A Hostler process group under test.

    Made by `start_server`; use as a context manager, or call `close()`.

    Attributes:
        process: the supervisor, as started.
        host: the address it listens on; empty for a unix socket.
        port: the port it listens on; 0 for a unix socket.
        socket_path: the path of its unix socket, if that is what it listens on.
        tls: what clients need to speak TLS to it; None where it speaks none.
        tls_name: the host name that they ask for.
        stdout: what the group writes to standard output.
        stderr: what the group writes to standard error (the server log, unless configured otherwise).
        notifications: what it tells a service manager, one `KEY=VALUE` per line.
    """

    def __init__(self, process: subprocess.Popen[bytes], bind: str, notify: socket.socket) -> None:
        self.process = process
        self.host, self.port, self.socket_path = _split_bind(bind)
        self.tls: ssl.SSLContext | None = None
        self.tls_name = self.host
        self.stdout = Transcript()
        self.stderr = Transcript()
        self.notifications = Transcript()
        self._notify = notify
        self._follow(self.stdout, process.stdout)
        self._follow(self.stderr, process.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # State

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self.process.pid

    @property
    def url(self) -> str:
        """The address to put paths behind, such as `http://127.0.0.1:40001`."""
        if self.socket_path:
            raise ServerError(f"{self.socket_path} is a unix socket and has no URL")
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{self.port}"

    @property
    def control_directory(self) -> Path:
        """Where its control socket is."""
        return Path(self._notify.getsockname()).parent / "control"

    def log(self) -> str:
        """All that the group has written so far, standard error first."""
        return self.stderr.text + self.stdout.text

    def children(self) -> list[int]:
        """List the process ids of the supervisor's children that run (zombies left out), oldest first."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in found if _is_running(int(pid))]

    # Control

    def signal(self, number: signal.Signals, pid: int | None = None) -> None:
        """Send a signal to the supervisor, or to `pid`."""
        os.kill(self.pid if pid is None else pid, number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the supervisor to end and return its exit status (negative: minus the signal that ended it)."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServerError(f"still running after {timeout:g} s; its output:\n{self.log()}") from None

    def stop(self, timeout: float = PATIENCE) -> int:
        """Ask the supervisor to finish what is in flight and end; return its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait_ready(self, timeout: float = PATIENCE) -> None:
        """Wait until the server tells the service manager that it is ready.

        Raises:
            ServerError: it ended first, or the time (seconds) is over.
        """
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector, _open_pidfd(self.pid) as end:
            selector.register(self._notify, selectors.EVENT_READ)
            selector.register(end, selectors.EVENT_READ)
            while "READY=1" not in self.notifications.text:
                ready = [key.fileobj for key, _ in selector.select(deadline - time.monotonic())]
                if self._notify in ready:
                    self.notifications.append(_read_notification(self._notify))
                elif ready:
                    raise ServerError(f"ended with status {self.wait()} before it was ready:\n{self._whole_log()}")
                elif time.monotonic() >= deadline:
                    raise ServerError(f"not ready after {timeout:g} s; its output:\n{self.log()}")
        threading.Thread(target=self._follow_notifications, name="notifications", daemon=True).start()

    def close(self) -> None:
        """Kill what is left of the group and release everything; calling it again does nothing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        directory = Path(self._notify.getsockname()).parent if self._notify.fileno() >= 0 else None
        with contextlib.suppress(OSError):
            self._notify.shutdown(socket.SHUT_RDWR)
        self._notify.close()
        if directory is not None:
            shutil.rmtree(directory)

    # Requests

    def connect(self, timeout: float = PATIENCE) -> socket.socket:
        """Open a connection to it; `timeout` (seconds) holds for each later operation too."""
        if self.socket_path:
            stream = socket.socket(socket.AF_UNIX)
            stream.settimeout(timeout)
            stream.connect(self.socket_path)
            return stream
        stream = socket.create_connection((self.host, self.port), timeout)
        if self.tls is None:
            return stream
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.tls.wrap_socket(stream, server_hostname=self.tls_name)

    def exchange(self, request: bytes, timeout: float = PATIENCE) -> bytes:
        """Send raw bytes and return all that comes back until the server closes the connection."""
        with self.connect(timeout) as stream:
            stream.sendall(request)
            return b"".join(iter(lambda: stream.recv(65536), b""))

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Make one request on a connection of its own and read the answer to its end."""
        connection = http.client.HTTPConnection(self.host or "localhost", self.port or 80, timeout=PATIENCE)
        connection.sock = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Response(answer.status, answer.reason, answer.version, answer.headers, answer.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        """Make a GET request; see `request`."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """Make a POST request; see `request`."""
        return self.request("POST", path, body, headers)

    def _follow(self, transcript: Transcript, stream: IO[bytes] | None) -> None:
        if stream is not None:
            threading.Thread(target=transcript.follow, args=(stream,), name="output", daemon=True).start()

    def _follow_notifications(self) -> None:
        with contextlib.suppress(OSError):  # closed by close()
            self._notify.settimeout(None)
            while text := _read_notification(self._notify):
                self.notifications.append(text)
        self.notifications.end()

    def _whole_log(self) -> str:
        """The log of a supervisor that has ended, once its last words have arrived."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.stderr.wait_end() + self.stdout.wait_end()


class StartServer(Protocol):
    """The type of the fixture `hostler_server`: `start_server`, with the end of the server seen to."""

    def __call__(
        self,
        app: str | None,
        *options: str,
        bind: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        command: Sequence[str] = ("run",),
        ready: bool = True,
        pass_fds: Sequence[int] = (),
    ) -> RunningServer:
        """Start a server; see `start_server`."""


def start_server(
    app: str | None,
    *options: str,
    bind: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    command: Sequence[str] = ("run",),
    ready: bool = True,
    pass_fds: Sequence[int] = (),
) -> RunningServer:
    """Start `hostler run APP --bind ... OPTIONS` in a process group of its own.

    Args:
        app: what to serve, such as "tests.e2e.apps.hello:app"; None to leave it to the configuration.
        options: further command-line arguments.
        bind: where to listen; None for a free port on 127.0.0.1, "" to leave it to the configuration.
        env: variables on top of this process's environment; those that configure Hostler are not inherited.
        cwd: where to start it; None for the root of the repository.
        command: the command of `hostler`, such as ("dev",).
        ready: wait until it is ready. Otherwise the caller waits, or expects it to fail.
        pass_fds: descriptors that it inherits.

    Returns:
        The server; the caller closes it.

    Raises:
        ServerError: it ended, or did not become ready in time.
    """
    address = f"127.0.0.1:{free_port()}" if bind is None else bind
    arguments = [sys.executable, "-m", "hostler", *command]
    arguments += [app] if app is not None else []
    arguments += ["--bind", address] if address else []
    server = start_group([*arguments, *options], address, env=env, cwd=cwd, pass_fds=pass_fds)
    if ready:
        try:
            server.wait_ready()
        except ServerError:
            server.close()
            raise
    return server


def start_group(
    arguments: Sequence[str],
    bind: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> RunningServer:
    """Start any program that reports to a service manager, in a process group of its own; see `start_server`.

    Args:
        arguments: the program and its arguments.
        bind: the address that it will listen on; empty if none is known.
        env: variables on top of this process's environment; those that configure Hostler are not inherited.
        cwd: where to start it; None for the root of the repository.
        pass_fds: descriptors that it inherits.
    """
    directory = Path(tempfile.mkdtemp(prefix="hostler-notify-"))
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(directory / "notify"))
    process = subprocess.Popen(
        arguments,
        cwd=cwd or ROOT,
        env={
            **_clean_environment(),
            CONTROL_VARIABLE: str(directory / "control"),
            **(env or {}),
            "NOTIFY_SOCKET": str(directory / "notify"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=pass_fds,
    )
    return RunningServer(process, bind, notify)


def free_port(host: str = "127.0.0.1") -> int:
    """Find a TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_process_end(pid: int, timeout: float = PATIENCE) -> None:
    """Wait until a process, not necessarily a child, has ended.

    Raises:
        ServerError: it still runs after `timeout` seconds.
    """
    try:
        end = _open_pidfd(pid)
    except ProcessLookupError:
        return
    with end, selectors.DefaultSelector() as selector:
        selector.register(end, selectors.EVENT_READ)
        if not selector.select(timeout):
            raise ServerError(f"process {pid} still runs after {timeout:g} s")


def wait_until(condition: Callable[[], bool], what: str, *, timeout: float = PATIENCE) -> None:
    """Check a condition that offers no event (a count in /proc, say) until it holds.

    For conditions that can be waited on, use `Transcript.wait_for` or `wait_process_end` instead.

    Raises:
        ServerError: it does not hold within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()  # never set: a bounded pause between two looks, not a guess at how long things take
    while not condition():
        if time.monotonic() >= deadline:
            raise ServerError(f"{timeout:g} s went by without: {what}")
        pause.wait(0.01)


def _split_bind(bind: str) -> tuple[str, int, str]:
    if bind.startswith("unix:"):
        path = bind.removeprefix("unix:").partition("?")[0]
        return "", 0, "\0" + path[1:] if path.startswith("@") else path
    host, _, port = bind.removeprefix("https://").partition("?")[0].rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port or 0) if port.isdigit() else 0, ""


def _clean_environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _FOREIGN_VARIABLES and not name.startswith("HOSTLER_")
    }
    # The tests' own applications are imported from the root, whatever directory the server is started in.
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    kept["PYTHONUNBUFFERED"] = "1"
    return kept


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _open_pidfd(pid: int) -> IO[bytes]:
    return os.fdopen(os.pidfd_open(pid), "rb", buffering=0)


def _read_notification(notify: socket.socket) -> str:
    datagram = notify.recv(65536)
    return datagram.decode() + "\n" if datagram else ""
