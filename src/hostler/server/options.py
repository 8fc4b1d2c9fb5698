"""What a caller of the server can choose beside the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hostler.app import load_application
from hostler.contracts import ChildContext
from hostler.worker.hooks import ErrorPage
from hostler.worker.role import EngineFactory, LoadApplication


@dataclass(frozen=True, slots=True)
class Companion:
    """A child that runs beside the workers and is kept alive like them, such as the file watcher of `hostler dev`.

    Attributes:
        name: for titles and messages.
        main: what it runs; its parent is the supervisor (`context.supervisor_pid`), which it may signal. It ends on
            TERM.
    """

    name: str
    main: Callable[[ChildContext], int]


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller of the server can choose beside the configuration.

    Attributes:
        framework: what the application is made with, for the start block; empty when that is not known.
        mode: for the start block: "production", "development".
        error_page: renders exceptions of the application as a page, or None for the standard page.
        load: makes the application from its target.
        engine: makes the engine; None for the real one.
        companions: children to keep beside the workers.
    """

    framework: str = ""
    mode: str = "production"
    error_page: ErrorPage | None = None
    load: LoadApplication = load_application
    engine: EngineFactory | None = None
    companions: tuple[Companion, ...] = ()
