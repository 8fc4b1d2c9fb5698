"""A worker that serves WSGI applications: the engine has the main thread, and asks for others when it needs them."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace

from hostler.contracts import ChildContext, EngineHooks, EngineSettings, Listener, Mount
from hostler.errors import ConfigurationError
from hostler.system.channel import open_pipe, send_message, write_byte
from hostler.system.entropy import random_integer
from hostler.system.limits import raise_descriptor_limit
from hostler.system.process import close_descriptors
from hostler.system.signals import is_unclaimed, queue_for_engine, set_handler
from hostler.worker.assignment import Assignment, EngineLike
from hostler.worker.hooks import CrewHooks
from hostler.worker.orphan import build_orphan_guard
from hostler.worker.rehearsal import Rehearsal
from hostler.worker.settings import build_engine_settings, close_board

# What the engine is told, and what would otherwise end the process.
ENGINE_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)


def serve_wsgi(assignment: Assignment, context: ChildContext, mounts: Sequence[Mount]) -> None:
    """Serve until told to stop.

    Raises:
        ConfigurationError: the engine cannot be made.
    """
    config = assignment.config
    if config.reload.warm_up:
        # While it loads a worker ends on TERM at once; so it does now.
        _rehearse(assignment, context, mounts)
    # From here on signals go to the engine, also those that arrive before it runs.
    signal_fd = queue_for_engine(ENGINE_SIGNALS)
    if is_unclaimed(signal.SIGTERM):
        set_handler(signal.SIGTERM, build_orphan_guard(context.supervisor_pid, config.server.graceful_timeout))
    for number in (signal.SIGINT, signal.SIGQUIT):
        if is_unclaimed(number):
            set_handler(number, lambda _number, _frame: assignment.hooks.worker_interrupted())
    raise_descriptor_limit(config.limits.connections)
    settings = build_engine_settings(
        config,
        signal_fd=signal_fd,
        lifeline_fd=context.lifeline_fd,
        board_fd=context.board_fd,
        board_offset=context.board_offset,
        random_integer=random_integer,
        is_development=assignment.is_development,
    )
    settings = replace(
        settings, tls_fd=assignment.tls_fd, challenges_fd=assignment.challenges_fd, status_fd=context.status_fd
    )
    hooks = CrewHooks(context.status_fd, assignment.error_page)
    engine = _make_engine(assignment, settings, context.listeners, mounts, hooks)
    # The engine has its own, and closes them when it drains: ours would keep clients waiting where nobody accepts.
    close_descriptors(each.fd for each in context.listeners)
    close_board(context)
    hooks.attach(engine)
    send_message(context.status_fd, {"event": "ready"})
    engine.run()


def _rehearse(assignment: Assignment, context: ChildContext, mounts: Sequence[Mount]) -> None:
    """Answer the requests of the warm-up; see `worker.rehearsal`.

    Raises:
        ApplicationError: one was not answered well.
    """
    reload = assignment.config.reload
    order_read, order_write = open_pipe()
    with Rehearsal(reload.warm_up, reload.warm_up_timeout, context.status_fd) as rehearsal:
        settings = build_engine_settings(
            assignment.config,
            signal_fd=order_read,
            lifeline_fd=context.lifeline_fd,
            random_integer=random_integer,
            is_development=assignment.is_development,
        )
        hooks = CrewHooks(context.status_fd, assignment.error_page)
        engine = _make_engine(assignment, rehearsal.adapt(settings), (rehearsal.listener,), mounts, hooks)
        hooks.attach(engine)
        rehearsal.start(lambda: write_byte(order_write, signal.SIGTERM))
        engine.run()
    close_descriptors((order_read, order_write))


def _make_engine(
    assignment: Assignment,
    settings: EngineSettings,
    listeners: Sequence[Listener],
    mounts: Sequence[Mount],
    hooks: EngineHooks,
) -> EngineLike:
    make = assignment.engine
    if make is None:
        # Only workers load the extension: the supervisor must stay free of its threads.
        from hostler.engine import Engine

        make = Engine
    try:
        return make(settings, listeners, mounts, hooks)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the engine cannot start: {error}; check the configuration") from error
