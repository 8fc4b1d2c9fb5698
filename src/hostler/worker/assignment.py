"""What all workers of one generation have in common, and how their applications are loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from hostler.app import Choice, LoadedApplication, load_application
from hostler.config import Config
from hostler.contracts import AsgiApplication, AsgiHooks, EngineHooks, EngineSettings, Listener, Mount, ServerHooks
from hostler.errors import ApplicationError
from hostler.system.cgroup import WorkerGroup
from hostler.system.user import Identity
from hostler.telemetry.log import ServerLog
from hostler.worker.hooks import ErrorPage
from hostler.worker.quiet import QuietHooks

if TYPE_CHECKING:
    import asyncio  # WSGI workers do without it


class EngineLike(Protocol):
    """What a WSGI worker needs of an engine."""

    def run(self) -> None:
        """Serve until told to stop."""

    def follow(self) -> None:
        """Serve as one more thread."""


class AsgiEngineLike(Protocol):
    """What an ASGI worker needs of an engine."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is something to do."""

    def turn(self) -> None:
        """Do what there is to do; in the loop's thread."""

    def drain(self) -> None:
        """Accept nothing more and finish."""

    def stop(self) -> None:
        """Drop everything and finish."""

    def requests(self) -> Sequence[asyncio.Task[None]]:
        """Return the tasks of requests whose application has not returned."""

    def reopen_logs(self) -> None:
        """Reopen the access log."""


class AsgiEngineFactory(Protocol):
    """Makes the engine of an ASGI worker."""

    def __call__(
        self,
        settings: EngineSettings,
        listeners: Sequence[Listener],
        mounts: Sequence[Mount],
        hooks: AsgiHooks,
        loop: asyncio.AbstractEventLoop,
        state: dict[str, Any] | None,
        /,
    ) -> AsgiEngineLike:
        """Make an engine; see `hostler.engine.AsgiEngine`."""


EngineFactory = Callable[[EngineSettings, Sequence[Listener], Sequence[Mount], EngineHooks], EngineLike]
LoadApplication = Callable[[str, Choice], LoadedApplication]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What all workers of one generation have in common.

    Attributes:
        config: the configuration, with `app.chdir` absolute.
        target: the application.
        title: what process titles call it.
        identity: whom to become, or None.
        log: the server log.
        error_page: renders the application's exceptions, or None.
        failure_page: makes what answers in the place of ASGI applications that did not start, or None to give up.
        is_development: whether applications may show what is inside them.
        engine: makes the engine of WSGI workers; None for the real one, which is imported only when it is needed.
        asgi_engine: the same for ASGI workers.
        load: loads an application from its target.
        hooks: what is told of the worker's life.
        tls_fd: the file with the certificates of TLS listeners, or -1.
        challenges_fd: the file with the answers to challenges, or -1.
        worker_group: the control group that workers live in, or None.
    """

    config: Config
    target: str
    title: str
    identity: Identity | None
    log: ServerLog
    error_page: ErrorPage | None = None
    failure_page: Callable[[ApplicationError], AsgiApplication] | None = None
    is_development: bool = False
    engine: EngineFactory | None = None
    asgi_engine: AsgiEngineFactory | None = None
    load: LoadApplication = load_application
    hooks: ServerHooks = field(default_factory=QuietHooks)
    tls_fd: int = -1
    challenges_fd: int = -1
    worker_group: WorkerGroup | None = None


def load_mounts(assignment: Assignment) -> tuple[Mount, ...]:
    """Load the application and those beside it, the root first.

    Raises:
        ApplicationError: one of them cannot be loaded.
    """
    app = assignment.config.app
    mounts = [_load_mount(assignment, "", assignment.target, app.interface)]
    mounts += [_load_mount(assignment, prefix, target, "auto") for prefix, target in app.mounts.items()]
    return tuple(mounts)


def _load_mount(assignment: Assignment, prefix: str, target: str, interface: Choice) -> Mount:
    loaded = assignment.load(target, interface)
    return assignment.hooks.mount(Mount(prefix, loaded.interface, loaded.application))


def is_asgi(mounts: Sequence[Mount]) -> bool:
    """Tell whether an event loop is needed."""
    return any(mount.interface == "asgi" for mount in mounts)
