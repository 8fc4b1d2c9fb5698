"""The hooks of the configuration that run in workers, around those of whoever embeds the server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hostler.app.hook import log_failure, parse_action, run_action
from hostler.config import Config
from hostler.contracts import HookEvent, Mount, ServerHooks
from hostler.errors import ApplicationError
from hostler.system.process import own_pid, parent_pid


def configure_hooks(config: Config, inner: ServerHooks) -> ServerHooks:
    """Put the configuration's hooks for workers around `inner`, if there are any."""
    hooks = config.hooks
    if hooks.loading or hooks.worker_forked or hooks.worker_loaded or hooks.worker_leaving:
        return ConfiguredHooks(config, inner)
    return inner


class ConfiguredHooks:
    """Implements `contracts.ServerHooks`: `inner` is told of everything first."""

    def __init__(self, config: Config, inner: ServerHooks) -> None:
        self._hooks = config.hooks
        self._inner = inner
        self._slot = 0
        # All that concern the supervisor, which does not run the application's code.
        self.starting = inner.starting
        self.reloading = inner.reloading
        self.upgrading = inner.upgrading
        self.serving = inner.serving
        self.worker_started = inner.worker_started
        self.worker_ended = inner.worker_ended
        self.scaled = inner.scaled
        self.ended = inner.ended
        self.worker_interrupted = inner.worker_interrupted

    def worker_forking(self, slot: int) -> None:
        """See `ServerHooks`; the worker inherits its number."""
        self._slot = slot
        self._inner.worker_forking(slot)

    def loading(self) -> None:
        """See `ServerHooks`."""
        self._inner.loading()
        self._run("loading", self._hooks.loading)

    def mount(self, mount: Mount) -> Mount:
        """See `ServerHooks`."""
        return self._inner.mount(mount)

    def worker_forked(self) -> None:
        """See `ServerHooks`."""
        self._inner.worker_forked()
        self._run("worker_forked", self._hooks.worker_forked)

    def worker_loaded(self) -> None:
        """See `ServerHooks`."""
        self._inner.worker_loaded()
        self._run("worker_loaded", self._hooks.worker_loaded)

    def worker_leaving(self) -> None:
        """See `ServerHooks`. The worker leaves whatever comes of it."""
        self._inner.worker_leaving()
        try:
            self._run("worker_leaving", self._hooks.worker_leaving)
        except ApplicationError as error:
            log_failure(error)

    def _run(self, phase: str, actions: Sequence[str]) -> None:
        event = HookEvent(phase, parent_pid(), worker=self._slot, pid=own_pid())
        for run in (partial(run_action, parse_action(text), event, self._hooks.timeout) for text in actions):
            run()
