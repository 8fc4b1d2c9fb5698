"""What the engine calls back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from hostler.app.loading import describe_failure
from hostler.system.channel import send_message

# Renders an exception of the application as a page, or returns None for the standard page.
ErrorPage = Callable[[BaseException, dict[str, str]], bytes | None]


class Follower(Protocol):
    """The part of an engine that its threads call."""

    def follow(self) -> None:
        """Serve as one of the engine's threads until it stops."""


class Hooks:
    """Implements `contracts.EngineHooks` for one worker; called from any of the engine's threads."""

    def __init__(self, status_fd: int, error_page: ErrorPage | None = None) -> None:
        """Report to `status_fd`; `error_page` replaces the standard page for errors of the application."""
        self._status_fd = status_fd
        self._error_page = error_page
        self._log = logging.getLogger("hostler")
        self._threads = 0
        self._engine: Follower | None = None

    def attach(self, engine: Follower) -> None:
        """Name the engine that threads are started for; before it runs."""
        self._engine = engine

    def log(self, level: int, message: str) -> None:
        """Take one line for the server log."""
        self._log.log(level, "%s", message)

    def application_failed(self, error: BaseException, request: dict[str, str]) -> bytes | None:
        """Log the traceback under the request's id, and render the page if there is somebody who wants to."""
        where = f"{request.get('method', '?')} {request.get('path', '?')}"
        trace = describe_failure(error).rstrip()
        self._log.error("%s failed in the application [request %s]\n%s", where, request.get("id", "?"), trace)
        if self._error_page is None:
            return None
        return self._error_page(error, request)

    def start_thread(self) -> None:
        """Start one more thread of the engine."""
        assert self._engine is not None
        self._threads += 1
        # Daemonic, since a request that never ends must not keep the process: the engine waits for its threads itself.
        name = f"hostler-{self._threads}"
        threading.Thread(target=self._engine.follow, name=name, daemon=True).start()

    def recycle(self) -> None:
        """Ask the supervisor for a successor, who will then have us drained."""
        send_message(self._status_fd, {"event": "recycle"})
