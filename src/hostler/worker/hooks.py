"""What the engines call back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from hostler.app.loading import describe_failure
from hostler.system.channel import send_message
from hostler.worker.pool import Pool
from hostler.worker.stack import describe_task, describe_thread

if TYPE_CHECKING:
    import asyncio  # WSGI workers do without it

# Renders an exception of the application as a page, or returns None for the standard page.
ErrorPage = Callable[[BaseException, dict[str, str]], bytes | None]
# What a failed request is called in the log; a WebSocket's method is always GET.
_WEBSOCKET = "WebSocket"


class Follower(Protocol):
    """The part of an engine that its threads call."""

    def follow(self) -> None:
        """Serve as one of the engine's threads until it stops."""


class Hooks:
    """Implements `contracts.BridgeHooks` for one worker; called from any of the engine's threads."""

    def __init__(self, status_fd: int, error_page: ErrorPage | None = None) -> None:
        """Report to `status_fd`; `error_page` replaces the standard page for errors of the application."""
        self._status_fd = status_fd
        self._error_page = error_page
        self._log = logging.getLogger("hostler")

    def log(self, level: int, message: str) -> None:
        """Take one line for the server log."""
        self._log.log(level, "%s", message)

    def application_failed(self, error: BaseException, request: dict[str, str]) -> bytes | None:
        """Log the traceback under the request's id, and render the page if there is somebody who wants to."""
        is_websocket = request.get("interface") == "websocket"
        where = f"{_WEBSOCKET if is_websocket else request.get('method', '?')} {request.get('path', '?')}"
        trace = describe_failure(error).rstrip()
        self._log.error("%s failed in the application [request %s]\n%s", where, request.get("id", "?"), trace)
        if self._error_page is None or is_websocket:
            return None
        return self._error_page(error, request)

    def request_expired(self, request: dict[str, str], age: float, thread: int, task: asyncio.Task[Any] | None) -> None:
        """Log where the application is with a request that is past its deadline."""
        stack = describe_task(task) if task is not None else describe_thread(thread)
        self._log.error(
            "%s %s is past its deadline after %.1f s [request %s]\n%s",
            *(request.get(name, "?") for name in ("method", "path")),
            age,
            request.get("id", "?"),
            stack.rstrip(),
        )

    def recycle(self) -> None:
        """Ask the supervisor for a successor, who will then have us drained."""
        send_message(self._status_fd, {"event": "recycle"})


class CrewHooks(Hooks):
    """Implements `contracts.EngineHooks`: the engine serves in threads, which it asks for."""

    def __init__(self, status_fd: int, error_page: ErrorPage | None = None) -> None:
        """See `Hooks`."""
        super().__init__(status_fd, error_page)
        self._threads = 0
        self._engine: Follower | None = None

    def attach(self, engine: Follower) -> None:
        """Name the engine that threads are started for; before it runs."""
        self._engine = engine

    def start_thread(self) -> None:
        """Start one more thread of the engine."""
        assert self._engine is not None
        self._threads += 1
        # Daemonic, since a request that never ends must not keep the process: the engine waits for its threads itself.
        name = f"hostler-{self._threads}"
        threading.Thread(target=self._engine.follow, name=name, daemon=True).start()


class LoopHooks(Hooks):
    """Implements `contracts.AsgiHooks`: the engine serves in an event loop, and gives WSGI requests away to threads."""

    def __init__(
        self, status_fd: int, error_page: ErrorPage | None, *, threads: int, when_finished: Callable[[], None]
    ) -> None:
        """Be attached to one engine.

        Args:
            status_fd: see `Hooks`.
            error_page: see `Hooks`.
            threads: how many WSGI requests may run at once; no thread exists before the first.
            when_finished: called when the engine has ended.
        """
        super().__init__(status_fd, error_page)
        self._threads = threads
        self._when_finished = when_finished
        self._pool: Pool | None = None

    def submit(self, call: Callable[[], None]) -> None:
        """Run a WSGI request in a thread. In the loop's thread."""
        if self._pool is None:
            self._pool = Pool(self._threads, "hostler-wsgi", self._note_error)
        self._pool.submit(call)

    def _note_error(self, error: BaseException) -> None:
        """Log what a call raised: the application's errors are dealt with inside it, so this is a defect of ours."""
        self._log.critical("a WSGI request ended with an error of the engine", exc_info=error)

    def finished(self) -> None:
        """The engine has ended. In the loop's thread."""
        self._when_finished()

    def close(self) -> None:
        """Take no more calls; threads that are still in the application are left to themselves."""
        if self._pool is not None:
            self._pool.close()
