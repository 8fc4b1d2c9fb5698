"""Gunicorn's server hooks, called from Hostler's.

Theory: `Server` is one object for the life of the supervisor, `ServerHooks` one per reading of the configuration. A
worker object is made just before a fork, so that parent and child have the same one, with whatever `pre_fork` has put
on it. With `app.preload` the fork server forks: the `server` that its hooks see is the fork server's copy, and the
supervisor makes worker objects of its own once it learns of the process.

In the supervisor an error of a hook is logged and nothing else happens, but for `on_starting`, which ends the start. In
a worker that has not served yet it is a failed start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hostler.app import describe_failure
from hostler.compat.gunicorn.likeness import Server, Settings, Worker
from hostler.compat.gunicorn.logging_setup import apply_settings, install_loggers
from hostler.compat.gunicorn.request_hook import RequestHooks
from hostler.compat.gunicorn.rule import parse_raw_env
from hostler.compat.gunicorn.setting import Fate
from hostler.compat.gunicorn.table import index_settings
from hostler.contracts import Mount
from hostler.errors import ApplicationError, ConfigurationError
from hostler.system.environment import variables_set
from hostler.system.process import own_pid
from hostler.worker.quiet import QuietHooks

Hook = Callable[..., object]


class GunicornHooks(QuietHooks):
    """Implements `contracts.ServerHooks` for one reading of the configuration."""

    def __init__(self, server: Server, values: Mapping[str, Any], directory: Path, warnings: Sequence[str]) -> None:
        """Take the hooks out of the settings.

        Args:
            server: what hooks are given.
            values: every setting's value.
            directory: what relative paths in them are relative to.
            warnings: what to log when a reload has read them.
        """
        self._server = server
        self._values = values
        self._directory = directory
        self._warnings = warnings
        self._cfg = Settings(values)
        self._variables = parse_raw_env(values["raw_env"])
        self._hooks: dict[str, Hook] = {
            name: values[name]
            for name, setting in index_settings().items()
            if setting.fate is Fate.HOOK and values[name] is not None
        }
        self._worker: Worker | None = None
        self._requests = RequestHooks(
            lambda: self.worker, self._hooks.get("pre_request"), self._hooks.get("post_request")
        )

    @property
    def worker(self) -> Worker:
        """The worker that this process is."""
        if self._worker is None:
            self._worker = self._server.forking or self._make_worker()
        return self._worker

    def _make_worker(self) -> Worker:
        self._server.worker_age += 1
        return Worker(self._server.worker_age, self._server.pid, self._cfg, self._server.log)

    # In the supervisor.

    def starting(self) -> None:
        """See `ServerHooks`; `on_starting`."""
        try:
            self._call("on_starting", self._server)
        except Exception as error:
            trace = "".join(f"\n  {line}" for line in describe_failure(error).rstrip().splitlines())
            raise ConfigurationError(f"on_starting failed: {type(error).__name__}: {error}{trace}") from error

    def reloading(self) -> None:
        """See `ServerHooks`; `on_reload`."""
        for line in self._warnings:
            self._server.log.warning("%s", line)
        self._call_safely("on_reload", self._server)

    def serving(self, addresses: Sequence[str]) -> None:  # noqa: ARG002 - hooks ask `server.address`
        """See `ServerHooks`; `when_ready`."""
        self._call_safely("when_ready", self._server)
        if threading.active_count() > 1:
            self._server.log.warning(
                "a hook or the configuration file has started a thread: workers that are forked now "
                "may hang; start it in post_fork, or as a process"
            )

    def worker_started(self, slot: int, pid: int) -> None:  # noqa: ARG002 - Gunicorn has no slots
        """See `ServerHooks`."""
        # A worker of the fork server has been announced to that only.
        worker, self._server.forking = self._server.forking or self._make_worker(), None
        worker.pid = pid
        self._server.WORKERS[pid] = worker

    def worker_ended(self, pid: int) -> None:
        """See `ServerHooks`; `child_exit`."""
        worker = self._server.WORKERS.pop(pid, None)
        if worker is None:
            return
        worker.alive = False
        self._call_safely("child_exit", self._server, worker)

    def scaled(self, count: int, former: int | None) -> None:
        """See `ServerHooks`; `nworkers_changed`."""
        self._server.num_workers = count
        self._call_safely("nworkers_changed", self._server, count, former)

    def ended(self) -> None:
        """See `ServerHooks`; `on_exit`."""
        self._call_safely("on_exit", self._server)

    # In a child of the supervisor.

    def upgrading(self) -> None:
        """See `ServerHooks`; `pre_exec`."""
        self._call_safely("pre_exec", self._server)

    # In the process that forks.

    def worker_forking(self, slot: int) -> None:  # noqa: ARG002 - Gunicorn has no slots
        """See `ServerHooks`; `pre_fork`."""
        self._server.forking = self._make_worker()
        self._call_safely("pre_fork", self._server, self._server.forking)

    # In the process that loads the application.

    def loading(self) -> None:
        """See `ServerHooks`; the logging settings."""
        install_loggers()
        apply_settings(self._values, self._directory)

    def mount(self, mount: Mount) -> Mount:
        """See `ServerHooks`; `pre_request` and `post_request`."""
        is_wanted = self._requests.before is not None or self._requests.after is not None
        return self._requests.wrap(mount) if is_wanted else mount

    # In the worker.

    def worker_forked(self) -> None:
        """See `ServerHooks`; `post_fork`."""
        self.worker.pid = own_pid()
        self._call_at_start("post_fork", self._server, self.worker)

    def worker_loaded(self) -> None:
        """See `ServerHooks`; `post_worker_init`."""
        self.worker.booted = True
        self._call_at_start("post_worker_init", self.worker)

    def worker_interrupted(self) -> None:
        """See `ServerHooks`; `worker_int`."""
        self.worker.alive = False
        self._call_safely("worker_int", self.worker)

    def worker_leaving(self) -> None:
        """See `ServerHooks`; `worker_exit`."""
        self.worker.alive = False
        self._call_safely("worker_exit", self._server, self.worker)

    # Calling.

    def _call(self, name: str, *arguments: object) -> None:
        hook = self._hooks.get(name)
        if hook is not None:
            # A reload that came to nothing may have shown others meanwhile.
            self._server.cfg = self._cfg
            # The supervisor's own environment has none of `raw_env`, so that a reload finds it as it was.
            with variables_set(self._variables):
                hook(*arguments)

    def _call_safely(self, name: str, *arguments: object) -> None:
        try:
            self._call(name, *arguments)
        except Exception:  # the border of the operator's code
            self._server.log.exception("%s failed", name)

    def _call_at_start(self, name: str, *arguments: object) -> None:
        try:
            hook = self._hooks.get(name)
            if hook is not None:
                hook(*arguments)
        except Exception as error:
            text = f"{name} failed: {type(error).__name__}: {error}"
            raise ApplicationError(text, describe_failure(error)) from error
