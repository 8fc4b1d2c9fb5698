"""The life of a worker process: prepare, load, report, serve, leave."""

from __future__ import annotations

import atexit
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hostler.app import load_application
from hostler.config import Config
from hostler.contracts import ChildContext, EngineHooks, EngineSettings, Listener, WsgiApplication
from hostler.errors import ApplicationError, ConfigurationError, HostlerError
from hostler.system.channel import send_message
from hostler.system.entropy import random_integer
from hostler.system.environment import remove_variables, set_variables
from hostler.system.limits import raise_descriptor_limit
from hostler.system.process import (
    change_directory,
    close_descriptors,
    own_pid,
    parent_pid,
    set_umask,
    tie_to_parent,
)
from hostler.system.signals import end_process_after, is_unclaimed, queue_for_engine, set_handler
from hostler.system.systemd import PRIVATE_VARIABLES
from hostler.system.title import set_title
from hostler.system.user import Identity, drop_privileges
from hostler.telemetry.log import ServerLog, install_log, reopen_log
from hostler.worker.hooks import ErrorPage, Hooks
from hostler.worker.settings import build_engine_settings

# Seconds that exit handlers and the application's own threads get after serving has ended (arbitrary).
EXIT_TIMEOUT = 5.0
# What the engine is told, and what would otherwise end the process.
ENGINE_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)


class EngineLike(Protocol):
    """What a worker needs of an engine."""

    def run(self) -> None:
        """Serve until told to stop."""

    def follow(self) -> None:
        """Serve as one more thread."""


EngineFactory = Callable[[EngineSettings, Sequence[Listener], WsgiApplication, EngineHooks], EngineLike]
LoadApplication = Callable[[str], WsgiApplication]


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
        engine: makes the engine; None for the real one, which is imported only when it is needed.
        load: loads the application from its target.
    """

    config: Config
    target: str
    title: str
    identity: Identity | None
    log: ServerLog
    error_page: ErrorPage | None = None
    engine: EngineFactory | None = None
    load: LoadApplication = load_application


def run_worker(assignment: Assignment, context: ChildContext) -> int:
    """Be a worker; after fork. Returns the exit status."""
    return _run_reporting(context, lambda: _prepare_load_serve(assignment, context))


def serve_preloaded(assignment: Assignment, context: ChildContext, application: WsgiApplication) -> int:
    """Be a worker whose application is loaded already; after fork, in a child of the fork server."""

    def serve() -> None:
        set_title(worker_title(assignment, context))
        _tie_to_supervisor(context)
        _serve(assignment, context, application)

    return _run_reporting(context, serve)


def worker_title(assignment: Assignment, context: ChildContext) -> str:
    """Return the process title, such as "hostler: worker 2 app:app"."""
    return f"hostler: worker {context.slot} {assignment.title}"


def prepare_process(assignment: Assignment, context: ChildContext, title: str) -> None:
    """Become the process that application code may run in: name, rights, directory, environment, ties.

    Raises:
        PrivilegeError: the user or group cannot be taken on.
        ApplicationError: the directory cannot be entered.
    """
    config = assignment.config
    set_title(title)
    install_log(assignment.log, config.log.level)
    set_handler(signal.SIGUSR1, lambda _number, _frame: reopen_log(assignment.log))
    # The supervisor's exit handlers are not ours.
    atexit._clear()  # noqa: SLF001 - no public name
    remove_variables(PRIVATE_VARIABLES)
    set_variables(config.app.env)
    if config.server.umask is not None:
        set_umask(config.server.umask)
    _tie_to_supervisor(context)
    if assignment.identity is not None:
        drop_privileges(assignment.identity)
        # The kernel cancels the tie when the user changes.
        _tie_to_supervisor(context)
    directory = Path(config.app.chdir).absolute()
    try:
        change_directory(directory)
    except OSError as error:
        raise ApplicationError(f"cannot change to {directory}: {error.strerror}; check app.chdir") from None
    _extend_import_path([str(directory), *(str(directory / each) for each in config.app.python_path)])


def _extend_import_path(directories: Sequence[str]) -> None:
    """Put directories first on the import path, in order, each once."""
    sys.path[:] = [*directories, *(each for each in sys.path if each not in directories)]


def _tie_to_supervisor(context: ChildContext) -> None:
    """Let the kernel end us when the supervisor is gone: at once while loading, by draining while serving."""
    tie_to_parent(context.supervisor_pid, signal.SIGTERM)


def _run_reporting(context: ChildContext, live: Callable[[], None]) -> int:
    """Run a worker's life; an error that Hostler explains goes to the supervisor, which knows what it means."""
    if not send_message(context.status_fd, {"event": "started", "pid": own_pid()}):
        return 0
    try:
        live()
    except HostlerError as error:
        report_failure(context.status_fd, error)
        return error.exit_status
    return 0


def report_failure(status_fd: int, error: HostlerError) -> None:
    """Tell the supervisor why this child cannot serve."""
    details = error.details if isinstance(error, ApplicationError) else None
    send_message(
        status_fd,
        {"event": "failed", "message": str(error), "details": details or "", "status": error.exit_status},
    )


def _prepare_load_serve(assignment: Assignment, context: ChildContext) -> None:
    prepare_process(assignment, context, worker_title(assignment, context))
    application = assignment.load(assignment.target)
    _serve(assignment, context, application)


def _serve(assignment: Assignment, context: ChildContext, application: WsgiApplication) -> None:
    config = assignment.config
    # From here on signals go to the engine, also those that arrive before it runs.
    signal_fd = queue_for_engine(ENGINE_SIGNALS)
    _guard_orphan(context.supervisor_pid, config.server.graceful_timeout)
    raise_descriptor_limit(config.limits.connections)
    settings = build_engine_settings(
        config,
        signal_fd=signal_fd,
        lifeline_fd=context.lifeline_fd,
        random_integer=random_integer,
        is_only_process=config.workers.count == 1,
    )
    hooks = Hooks(context.status_fd, assignment.error_page)
    engine = _make_engine(assignment, settings, context.listeners, application, hooks)
    # The engine has its own, and closes them when it drains: ours would keep clients waiting where nobody accepts.
    close_descriptors(each.fd for each in context.listeners)
    hooks.attach(engine)
    send_message(context.status_fd, {"event": "ready"})
    engine.run()
    _leave()


def _guard_orphan(supervisor_pid: int, graceful_timeout: float) -> None:
    """See to it that an orphan ends: nobody is left to kill it if a request never does."""
    if not is_unclaimed(signal.SIGTERM):
        # The application handles the signal itself.
        return

    def note_term(_number: int, _frame: object) -> None:
        if parent_pid() != supervisor_pid:
            end_process_after(graceful_timeout)

    set_handler(signal.SIGTERM, note_term)


def _make_engine(
    assignment: Assignment,
    settings: EngineSettings,
    listeners: Sequence[Listener],
    application: WsgiApplication,
    hooks: EngineHooks,
) -> EngineLike:
    make = assignment.engine
    if make is None:
        # The only place that loads the extension: the supervisor must stay free of its threads.
        from hostler.engine import Engine

        make = Engine
    try:
        return make(settings, listeners, application, hooks)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the engine cannot start: {error}; check the configuration") from error


def _leave() -> None:
    """Do what an interpreter does when it ends, within bounds.

    The interpreter is not finalised: a thread that is stuck in the application would crash in it. Exit handlers run,
    and the application's own threads are waited for, as after `multiprocessing`'s forks.
    """
    end_process_after(EXIT_TIMEOUT)
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - no public name
    atexit._run_exitfuncs()  # noqa: SLF001 - no public name
    logging.shutdown()
