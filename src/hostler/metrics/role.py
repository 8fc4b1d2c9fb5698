"""The life of the metrics process: read the scoreboard, serve pages with an engine of its own, end when told to.

Theory: the supervisor must not wait for anybody, and a worker may be stuck, so neither serves metrics. This child has
the scoreboard's descriptor and nothing of the application. Its pages are served by the engine that serves everything
else, with the same strictness and deadlines; what is pushed goes its way in a thread beside it. It does not hold the
workers' listeners: while it did, their last owner would not have closed them.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hostler
from hostler.config import Config
from hostler.config.schema import Metrics, Otel
from hostler.contracts import ChildContext, EngineSettings, Mount
from hostler.errors import HostlerError
from hostler.metrics.page import MetricsPage
from hostler.metrics.pusher import Pusher, Target
from hostler.metrics.statsd import StatsdTarget
from hostler.metrics.uwsgi import StatsServer
from hostler.system.backlog import ListenQueue
from hostler.system.channel import send_message
from hostler.system.process import change_directory, own_pid, tie_to_parent
from hostler.system.signals import queue_for_engine
from hostler.system.title import set_title
from hostler.system.user import Identity, drop_privileges, own_gid, own_uid
from hostler.telemetry.log import ServerLog, install_log
from hostler.telemetry.scoreboard import Scoreboard
from hostler.telemetry.snapshot import Observer
from hostler.telemetry.uwsgi_stats import Instance

if TYPE_CHECKING:
    import asyncio

METRICS = "metrics"
# Seconds from the order to end until it has ended at the latest.
GRACEFUL_TIMEOUT = 1.0
ENGINE_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)


@dataclass(frozen=True, slots=True)
class MetricsPlan:
    """What the metrics process is to do.

    Attributes:
        title: what process titles call the server.
        identity: whom to become, or None.
        log: the server log.
        log_level: its level.
        queues: returns the server's listeners; asked in the supervisor's memory as it was when we were forked.
        options: what is wanted.
        otel: whether OpenTelemetry is told.
        directory: the application's.
    """

    title: str
    identity: Identity | None
    log: ServerLog
    log_level: str
    queues: Callable[[], Sequence[ListenQueue]]
    options: Metrics
    otel: Otel
    directory: str


def run_metrics(plan: MetricsPlan, context: ChildContext) -> int:
    """Be the metrics process; after fork. Returns the exit status."""
    try:
        _prepare(plan, context)
        _serve(plan, context)
    except HostlerError as error:
        send_message(
            context.status_fd, {"event": "failed", "message": f"metrics: {error}", "status": error.exit_status}
        )
        return error.exit_status
    return 0


def _prepare(plan: MetricsPlan, context: ChildContext) -> None:
    set_title(f"hostler: metrics {plan.title}")
    install_log(plan.log, plan.log_level)
    tie_to_parent(context.supervisor_pid, signal.SIGTERM)
    if plan.identity is not None:
        drop_privileges(plan.identity)
        # The kernel cancels the tie when the user changes.
        tie_to_parent(context.supervisor_pid, signal.SIGTERM)
    change_directory(Path("/"))


def _serve(plan: MetricsPlan, context: ChildContext) -> None:
    observer = Observer(Scoreboard(context.board_fd), hostler.__version__, context.supervisor_pid, plan.queues())
    # Only here, so that the supervisor stays free of the extension.
    from hostler.engine import Engine

    settings = _engine_settings(queue_for_engine(ENGINE_SIGNALS), context.lifeline_fd)
    mounts = (Mount("", "wsgi", MetricsPage(observer.observe)),)
    pages = len(plan.options.bind)
    engine = Engine(settings, context.listeners[:pages], mounts, MetricsHooks())
    instance = Instance(context.supervisor_pid, own_uid(), own_gid(), plan.directory)
    StatsServer(context.listeners[pages:], observer.observe, instance).start()
    send_message(context.status_fd, {"event": "started", "pid": own_pid()})
    send_message(context.status_fd, {"event": "ready"})
    pushers = [Pusher(observer.observe, target, plan.options.push_interval) for target in _build_targets(plan)]
    for pusher in pushers:
        pusher.start()
    engine.run()
    for pusher in pushers:
        pusher.stop()


def _build_targets(plan: MetricsPlan) -> Iterator[Target]:
    if plan.options.statsd:
        yield StatsdTarget(plan.options)
    if plan.otel.endpoint and plan.otel.metrics:
        # An extra, and megabytes.
        from hostler.metrics.otlp import OtlpTarget

        yield OtlpTarget(plan.otel.endpoint, plan.title)


def wants_metrics(config: Config) -> bool:
    """Tell whether a metrics process is wanted."""
    options, otel = config.metrics, config.otel
    return bool(options.bind or options.uwsgi_stats or options.statsd or (otel.endpoint and otel.metrics))


def _engine_settings(signal_fd: int, lifeline_fd: int) -> EngineSettings:
    """What a page for a few clients needs; each limit is a small part of what it is for an application."""
    return EngineSettings(
        signal_fd=signal_fd,
        lifeline_fd=lifeline_fd,
        head_timeout=5.0,
        body_timeout=5.0,
        write_timeout=10.0,
        graceful_timeout=GRACEFUL_TIMEOUT / 2,
        max_connections=64,
        max_body_size=1024,
        max_buffered_bytes=16_777_216,
        multiprocess=False,
    )


class MetricsHooks:
    """Implements `contracts.EngineHooks`."""

    def __init__(self) -> None:
        """Write to the server log."""
        self._log = logging.getLogger("hostler")

    def log(self, level: int, message: str) -> None:
        """Take one line for the server log."""
        self._log.log(level, "metrics: %s", message)

    def application_failed(self, error: BaseException, request: dict[str, str]) -> bytes | None:
        """Log an error of our own page."""
        self._log.error("metrics: %s %s failed", request.get("method"), request.get("path"), exc_info=error)
        return None

    def request_expired(self, request: dict[str, str], age: float, thread: int, task: asyncio.Task[Any] | None) -> None:
        """Never told, as there are no deadlines."""

    def recycle(self) -> None:
        """Never asked for, as there is no limit of requests."""

    def start_thread(self) -> None:
        """Never asked for, as one thread is enough."""
