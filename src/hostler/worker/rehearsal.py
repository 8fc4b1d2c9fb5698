"""Warm-up: requests that a worker answers before it takes traffic, and that it must answer well.

Theory: a rehearsal is a run of another engine, with the worker's settings and applications, on a socket that nobody
else can reach. When it has ended, the engine of the worker is made, and only that one knows the listeners. So nothing
in an engine has to be held back, and a worker whose application answers with errors has never accepted a connection.

A thread makes the requests, since the application may need the main one. If an application never answers, the thread
says so, and the supervisor ends the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from hostler.contracts import EngineSettings, Listener
from hostler.errors import ApplicationError
from hostler.system.clock import SystemClock
from hostler.system.environment import temporary_directory
from hostler.system.rehearsal import PrivateListener
from hostler.worker.report import report_failure

# RFC 9110 15.6: from here on the server is at fault.
FAILED = 500
# What is left to do when the last answer is there (arbitrary).
DRAIN_TIME = 1.0


class Rehearsal:
    """The warm-up of one worker; a context. The engine to be warmed up is the caller's."""

    def __init__(self, paths: Sequence[str], timeout: float, status_fd: int) -> None:
        """Open the socket.

        Args:
            paths: what is asked for, in this order.
            timeout: seconds for all of them.
            status_fd: where a failure is told.
        """
        self._paths = paths
        self._timeout = timeout
        self._status_fd = status_fd
        self._private = PrivateListener(temporary_directory())
        self._error: ApplicationError | None = None
        self._thread: threading.Thread | None = None

    @property
    def listener(self) -> Listener:
        """What the engine listens at."""
        return self._private.listener

    def adapt(self, settings: EngineSettings) -> EngineSettings:
        """Give settings for a rehearsal: nothing is logged or counted as traffic."""
        return replace(
            settings,
            access_log="",
            board_fd=-1,
            max_requests=0,
            graceful_timeout=DRAIN_TIME,
            # `reload.warm_up_timeout` is the deadline of all of them.
            default_deadline=0.0,
            route_deadlines=(),
            overload_target=0.0,
        )

    def start(self, when_done: Callable[[], object]) -> None:
        """Make the requests in a thread of their own, which calls `when_done` at its end, however it went."""
        self._thread = threading.Thread(target=self._run, args=(when_done,), name="hostler-warm-up", daemon=True)
        self._thread.start()

    def _run(self, when_done: Callable[[], object]) -> None:
        deadline = SystemClock().now() + self._timeout
        try:
            for path in self._paths:
                self._request(path, deadline)
        except ApplicationError as error:
            self._error = error
            report_failure(self._status_fd, error)
        finally:
            when_done()

    def _request(self, path: str, deadline: float) -> None:
        try:
            status = self._private.get(path, deadline)
        except TimeoutError:
            raise ApplicationError(
                f"warm-up failed: {path} was not answered within {self._timeout:g} s (reload.warm_up_timeout)"
            ) from None
        except OSError as error:
            raise ApplicationError(f"warm-up failed: {path} was not answered: {error}") from None
        if status >= FAILED:
            raise ApplicationError(f"warm-up failed: {path} was answered with {status}; see reload.warm_up")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the thread, and close the socket.

        Raises:
            ApplicationError: a request was not answered, or with an error of the server.
        """
        if self._thread is not None:
            self._thread.join()
        self._private.close()
        if error is None and self._error is not None:
            raise self._error
