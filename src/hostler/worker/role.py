"""The life of a worker process: prepare, load, report, serve, leave."""

from __future__ import annotations

import atexit
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from hostler.contracts import ChildContext, Mount
from hostler.errors import ApplicationError, HostlerError
from hostler.system.channel import send_message
from hostler.system.environment import remove_variables, set_variables
from hostler.system.process import change_directory, own_pid, set_umask, tie_to_parent
from hostler.system.signals import end_process_after, leave_word_on_crash, set_handler
from hostler.system.systemd import PRIVATE_VARIABLES
from hostler.system.title import set_title
from hostler.telemetry.log import install_log, reopen_log
from hostler.worker.assignment import Assignment, is_asgi, load_mounts
from hostler.worker.confinement import confine, pin
from hostler.worker.report import report_failure
from hostler.worker.stacks import answer_questions
from hostler.worker.wsgi import serve_wsgi

# Seconds that exit handlers and the application's own threads get after serving has ended (arbitrary).
EXIT_TIMEOUT = 5.0

Serve = Callable[[Assignment, ChildContext, Sequence[Mount]], None]


def run_worker(assignment: Assignment, context: ChildContext) -> int:
    """Be a worker; after fork. Returns the exit status."""
    return _run_reporting(context, lambda: _prepare_load_serve(assignment, context))


def serve_preloaded(assignment: Assignment, context: ChildContext, mounts: Sequence[Mount]) -> int:
    """Be a worker whose applications are loaded already; after fork, in a child of the fork server."""

    def serve() -> None:
        set_title(worker_title(assignment, context))
        _tie_to_supervisor(context)
        pin(assignment, context.slot)
        assignment.hooks.worker_forked()
        _serve(assignment, context, mounts)

    return _run_reporting(context, serve)


def worker_title(assignment: Assignment, context: ChildContext) -> str:
    """Return the process title, such as "hostler: worker 2 app:app"."""
    return f"hostler: worker {context.slot} {assignment.title}"


def prepare_process(assignment: Assignment, context: ChildContext, title: str) -> None:
    """Become the process that application code may run in: name, rights, directory, environment, ties.

    Raises:
        PrivilegeError: the user or group cannot be taken on, or the kernel refused a limit.
        ApplicationError: a directory cannot be entered.
    """
    config = assignment.config
    set_title(title)
    install_log(assignment.log, config.log.level)
    leave_word_on_crash(assignment.log.fd)
    set_handler(signal.SIGUSR1, lambda _number, _frame: reopen_log(assignment.log))
    answer_questions(context)
    # The supervisor's exit handlers are not ours.
    atexit._clear()  # noqa: SLF001 - no public name
    remove_variables(PRIVATE_VARIABLES)
    set_variables(config.app.env)
    if config.server.umask is not None:
        set_umask(config.server.umask)
    _tie_to_supervisor(context)
    confine(assignment)
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


def _prepare_load_serve(assignment: Assignment, context: ChildContext) -> None:
    prepare_process(assignment, context, worker_title(assignment, context))
    pin(assignment, context.slot)
    assignment.hooks.worker_forked()
    assignment.hooks.loading()
    _serve(assignment, context, load_mounts(assignment))


def _serve(assignment: Assignment, context: ChildContext, mounts: Sequence[Mount]) -> None:
    serve = find_server(mounts)
    mounts = _trace(assignment, mounts)
    assignment.hooks.worker_loaded()
    try:
        serve(assignment, context, mounts)
    finally:
        end_process_after(EXIT_TIMEOUT)
        assignment.hooks.worker_leaving()
    _leave()


def _trace(assignment: Assignment, mounts: Sequence[Mount]) -> Sequence[Mount]:
    """Put tracers around the applications, if traces are wanted."""
    options = assignment.config.otel
    if not (options.endpoint and options.traces):
        return mounts
    # An extra, and megabytes.
    from hostler.worker.tracing import trace_mounts

    return trace_mounts(options, assignment.title, mounts)


def find_server(mounts: Sequence[Mount]) -> Serve:
    """Give what serves these applications."""
    if not is_asgi(mounts):
        return serve_wsgi
    # Event loops are imported where they are wanted only: they are a good part of a small worker's memory.
    from hostler.worker.asgi import serve_asgi

    return serve_asgi


def _leave() -> None:
    """Do what an interpreter does when it ends, within bounds.

    The interpreter is not finalised: a thread that is stuck in the application would crash in it. Exit handlers run,
    and the application's own threads are waited for, as after `multiprocessing`'s forks.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - no public name
    atexit._run_exitfuncs()  # noqa: SLF001 - no public name
    logging.shutdown()
