"""What a caller of the server can choose beside the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hostler.app import load_application
from hostler.contracts import AsgiApplication, ChildContext, ServerHooks
from hostler.errors import ApplicationError
from hostler.supervisor.shell import Attendant, Meanings
from hostler.worker.assignment import AsgiEngineFactory, EngineFactory, LoadApplication
from hostler.worker.hooks import ErrorPage
from hostler.worker.quiet import QuietHooks


@dataclass(frozen=True, slots=True)
class Companion:
    """A child that runs beside the workers and is kept alive like them, such as the file watcher of `hostler dev`.

    Attributes:
        name: for titles and messages.
        main: what it runs; its parent is the supervisor (`context.supervisor_pid`), which it may signal. It ends on
            TERM.
        graceful_timeout: seconds from TERM until it is killed.
    """

    name: str
    main: Callable[[ChildContext], int]
    graceful_timeout: float = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller of the server can choose beside the configuration.

    Attributes:
        framework: what the application is made with, for the start block; empty when that is not known.
        mode: for the start block: "production", "development".
        error_page: renders exceptions of the application as a page, or None for the standard page.
        failure_page: makes what answers in the place of ASGI applications that did not start, or None to give up.
        is_development: whether applications may show what is inside them.
        load: makes an application from its target.
        engine: makes the engine of WSGI workers; None for the real one.
        asgi_engine: the same for ASGI workers.
        companions: children to keep beside the workers.
        hooks: gives what is told of the server's life; asked after each reading of the configuration.
        attendants: take part in the supervisor's loop.
        meanings: what signals mean to the supervisor.
    """

    framework: str = ""
    mode: str = "production"
    error_page: ErrorPage | None = None
    failure_page: Callable[[ApplicationError], AsgiApplication] | None = None
    is_development: bool = False
    load: LoadApplication = load_application
    engine: EngineFactory | None = None
    asgi_engine: AsgiEngineFactory | None = None
    companions: tuple[Companion, ...] = ()
    hooks: Callable[[], ServerHooks] = QuietHooks
    attendants: tuple[Attendant, ...] = ()
    meanings: Meanings = field(default_factory=Meanings)
