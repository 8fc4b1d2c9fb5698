"""The server as its supervisor sees it: makes generations from configurations, and keeps listeners, log and notices."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import hostler
from hostler.app import discover
from hostler.config import Config
from hostler.contracts import ChildContext, ChildMain, Listener, ServerHooks
from hostler.control.server import Clock, ControlServer
from hostler.errors import ApplicationError, ConfigurationError, HostlerError
from hostler.metrics.role import GRACEFUL_TIMEOUT, METRICS, MetricsPlan, run_metrics, wants_metrics
from hostler.server.console import Console
from hostler.server.control_socket import build_permission, open_listener
from hostler.server.hookline import HookLine
from hostler.server.listeners import ListenerPool
from hostler.server.load import LoadMeter
from hostler.server.options import Companion, Options
from hostler.supervisor.model import Role, Strategy
from hostler.supervisor.recycling import Wear
from hostler.supervisor.scaling import Load, Scaling
from hostler.supervisor.shell import Generation
from hostler.system.address import Address, parse_addresses
from hostler.system.backlog import ListenQueue
from hostler.system.bequest import Bequest, accept_bequest, bequeath, sockets_of_manager
from hostler.system.capability import parse_capabilities
from hostler.system.cgroup import WorkerGroup, find_own_group, make_worker_group
from hostler.system.channel import send_message
from hostler.system.clock import SystemClock
from hostler.system.cpu import usable_cores
from hostler.system.entropy import random_bytes
from hostler.system.local_socket import LocalListener
from hostler.system.pidfile import PidFile
from hostler.system.process import (
    become_subreaper,
    close_descriptors,
    own_pid,
    tie_to_parent,
    write_standard_error,
)
from hostler.system.program import become_program, find_own_program
from hostler.system.systemd import Notifier, passed_sockets
from hostler.system.title import set_title
from hostler.system.user import Identity, resolve_identity
from hostler.telemetry.daemon import open_server_log
from hostler.telemetry.log import STANDARD_ERROR, ServerLog, install_log, reopen_log
from hostler.telemetry.log_tail import LogCopy, LogTail
from hostler.telemetry.otel import is_installed as has_opentelemetry
from hostler.telemetry.reading import WorkerReading
from hostler.telemetry.scoreboard import Scoreboard
from hostler.tls.challenges import Challenges
from hostler.tls.keeper import Keeper
from hostler.tls.plan import list_overrides
from hostler.tls.prepare import make_keeper
from hostler.tls.tickets import TicketKeys
from hostler.worker.assignment import Assignment
from hostler.worker.configured import configure_hooks
from hostler.worker.forkserver import run_fork_server
from hostler.worker.hookrunner import Errand, build_message, has_errands, run_hook_runner
from hostler.worker.role import run_worker

WORKER = "worker"
# What a container starts.
FIRST_PROCESS = 1
FORK_SERVER = "fork server"
# Connections that wait for the metrics process: a few who read (arbitrary).
METRICS_BACKLOG = 16
# Requests that ended with one worker and are logged each (arbitrary).
MOST_LOSSES = 5
HOOK_RUNNER = "hooks"
# Seconds that a hook runner has beyond what its actions may take (arbitrary).
_HOOK_MARGIN = 5.0


@dataclass(frozen=True, slots=True)
class Release:
    """One generation's facts.

    Attributes:
        config: its configuration.
        assignment: what its workers have in common.
        addresses: where it listens.
        count: how many workers it begins with.
        hook_line: how its hook runner is told of events; None without one.
        metrics: where its metrics are served, then where uWSGI's statistics are.
        keeper: its certificates, where it has TLS listeners.
    """

    config: Config
    assignment: Assignment
    addresses: tuple[Address, ...]
    count: int
    hook_line: HookLine | None = None
    metrics: tuple[Address, ...] = ()
    keeper: Keeper | None = None


class ServerHost:
    """Implements `supervisor.shell.Host`."""

    def __init__(
        self, load_configuration: Callable[[], Config], options: Options, environment: Mapping[str, str]
    ) -> None:
        """Read the configuration for the first time.

        Raises:
            HostlerError: it cannot be.
        """
        self._load = load_configuration
        self._options = options
        self._environment = environment
        self.first_config = load_configuration()
        self._first_hooks = options.hooks()
        self._reuse_port = self.first_config.server.reuse_port
        self._program = find_own_program(environment)
        self._bequest = accept_bequest(environment, own_pid())
        left = self._bequest.sockets if self._bequest is not None else ()
        self._pool = ListenerPool(passed_sockets(environment, own_pid()), reuse_port=self._reuse_port, left=left)
        self._notifier = Notifier(environment, own_pid())
        self._releases: dict[int, Release] = {}
        self._current = 0
        self._serves = ""
        self._worker_group: WorkerGroup | None = None
        self._workers: set[int] = set()
        self._is_announced = False
        self._is_stopping = False
        self._count: int | None = None
        self._tail = LogTail() if self.first_config.control.enabled else None
        self._name = ""
        self._console: Console | None = None
        self._control: LocalListener | None = None
        self._started_in = Path.cwd()
        self._log = logging.getLogger("hostler")
        self.scoreboard = Scoreboard.make()
        self.scoreboard.set_paused(is_paused=self._bequest is not None and self._bequest.is_paused)
        self._queues: list[ListenQueue] = []
        self._meter = LoadMeter(self.scoreboard.read)
        self.ticket_keys = TicketKeys(random_bytes, SystemClock().now())
        self._challenges = Challenges()
        self._pid_file = self._open_pid_file()

    def _open_pid_file(self) -> PidFile | None:
        path = self.first_config.server.pid_file
        if path is None:
            return None
        left = self._bequest
        return PidFile(Path(path), left.pid_file_fd if left is not None and left.pid_file == str(path) else -1)

    @property
    def config(self) -> Config:
        """The configuration that serves now."""
        return self._releases[self._current].config

    def prepare(self, number: int) -> Generation:
        """Make a generation; see `Host.prepare`."""
        config = self._load() if self._current else self.first_config
        hooks = self._options.hooks() if self._current else self._first_hooks
        release = self._build_release(config, hooks)
        if self._current == 0:
            self._install(release)
            hooks.starting()
        try:
            self._pool.open(release.addresses, release.count, config.server.backlog)
            self._pool.open_aside(release.metrics, METRICS_BACKLOG)
        except HostlerError:
            _dismiss([release])
            raise
        self._releases[number] = release
        if self._current == 0:
            self._current = number
            self.scaled(WORKER, release.count)
            return self._build_generation(number, release)
        hooks.reloading()
        if config.server.reuse_port != self._reuse_port:
            self._log.warning("server.reuse_port changes with a restart only; it stays as it was")
        return self._build_generation(number, release)

    def _build_release(self, config: Config, hooks: ServerHooks) -> Release:
        target = config.app.target or self._discover(config)
        identity = resolve_identity(
            config.server.user,
            config.server.group,
            config.process.groups,
            parse_capabilities(config.process.capabilities),
        )
        if config.process.cgroup:
            self._worker_group = make_worker_group(config.process.cgroup, find_own_group())
        if config.otel.endpoint and not has_opentelemetry():
            raise ConfigurationError("otel.endpoint needs OpenTelemetry: install hostler[otel]")
        if config.app.preload and not become_subreaper():
            raise ConfigurationError("app.preload needs Linux; leave it out")
        addresses = self._pool.resolve(config.server.bind)
        # Before rights are given up: often only root may read the keys.
        keeper = make_keeper(config.tls, addresses, self.ticket_keys)
        assignment = Assignment(
            config=config,
            target=target,
            title=config.server.name or target,
            identity=identity,
            log=self._log_for(config, identity),
            error_page=self._options.error_page,
            failure_page=self._options.failure_page,
            is_development=self._options.is_development,
            engine=self._options.engine,
            asgi_engine=self._options.asgi_engine,
            load=self._options.load,
            hooks=configure_hooks(config, hooks),
            worker_group=self._worker_group if config.process.cgroup else None,
            tls_fd=-1 if keeper is None else keeper.fd,
            challenges_fd=self._challenges.fd,
        )
        count = usable_cores() if config.workers.count == "auto" else config.workers.count
        scaling = _build_scaling(config)
        if scaling is not None:
            # In an upgrade, as many as the load has brought the former supervisor to.
            left = self._bequest.workers if self._bequest is not None and not self._current else 0
            count = max(1, scaling.clamp(left or count))
        metrics = parse_addresses((*config.metrics.bind, *config.metrics.uwsgi_stats))
        line = HookLine() if has_errands(config) else None
        return Release(config, assignment, addresses, count, line, metrics, keeper)

    def _discover(self, config: Config) -> str:
        found = discover(Path(config.app.chdir), self._environment)
        if found is None:
            raise ApplicationError(
                f"no application was recognised in {config.app.chdir}; name one, such as 'hostler module:app'"
            )
        return found.target

    def _log_for(self, config: Config, identity: Identity | None) -> ServerLog:
        """Return the log that is open already if it is the same, or a new one."""
        former = self.config.log if self._current else None
        if former is not None and (former.file, former.format) == (config.log.file, config.log.format):
            return self._releases[self._current].assignment.log
        owner = None
        if identity is not None and identity.uid is not None:
            owner = (identity.uid, -1 if identity.gid is None else identity.gid)
        log = open_server_log(config.log.file, self._environment, owner, config.log.format)
        log.copy = LogCopy(self._tail.copy_fd) if self._tail is not None else None
        return log

    def _build_generation(self, number: int, release: Release) -> Generation:
        config, assignment = release.config, release.assignment
        after = HOOK_RUNNER if release.hook_line is not None else ""
        worker = Role(
            WORKER,
            release.count,
            via=FORK_SERVER if config.app.preload else "",
            after=after,
            is_scalable=True,
            boot_timeout=config.workers.boot_timeout,
            graceful_timeout=config.server.graceful_timeout,
            scaling=_build_scaling(config),
            wear=Wear(config.workers.max_age, config.workers.max_memory, config.workers.max_memory_growth),
        )
        roles = [worker]
        if config.app.preload:
            boot_timeout = config.workers.boot_timeout
            roles.insert(0, Role(FORK_SERVER, after=after, boot_timeout=boot_timeout, graceful_timeout=1.0))
        if release.hook_line is not None:
            roles.insert(0, _hook_role(config))
        mains: dict[str, ChildMain] = {
            WORKER: partial(run_worker, assignment),
            FORK_SERVER: partial(run_fork_server, assignment),
            HOOK_RUNNER: partial(self._run_hooks, number),
        }
        if wants_metrics(config):
            roles.append(Role(METRICS, graceful_timeout=GRACEFUL_TIMEOUT))
            mains[METRICS] = partial(run_metrics, self._plan_metrics(release))
        for companion in self._options.companions:
            roles.append(Role(companion.name, graceful_timeout=companion.graceful_timeout))
            mains[companion.name] = partial(run_companion, companion)
        return Generation(
            number,
            tuple(roles),
            mains,
            frozenset({FORK_SERVER}),
            partial(self._listeners, release),
            _list_kept(release),
            Strategy(config.reload.strategy),
        )

    def _run_hooks(self, number: int, context: ChildContext) -> int:
        """Be the hook runner of a generation; after fork."""
        release = self._releases[number]
        assert release.hook_line is not None
        reason = "" if number == self._current and self._is_announced else self._reason
        return run_hook_runner(release.assignment, Errand(reason, release.hook_line.read_fd), context)

    @property
    def _reason(self) -> str:
        """Why a generation is started now."""
        return "reload" if self._is_announced else "start" if self._bequest is None else "upgrade"

    def _plan_metrics(self, release: Release) -> MetricsPlan:
        assignment = release.assignment
        config = release.config
        return MetricsPlan(
            assignment.title,
            assignment.identity,
            assignment.log,
            config.log.level,
            lambda: self._queues,
            config.metrics,
            config.otel,
            config.app.chdir,
        )

    def _listeners(self, release: Release, role: str, slot: int) -> tuple[Listener, ...]:
        if role == METRICS:
            return self._pool.open_aside(release.metrics, METRICS_BACKLOG)
        if role != WORKER:
            return ()
        listeners = self._pool.listeners(release.addresses, slot, release.config.server.backlog)
        profiles = list_overrides(release.addresses)
        return tuple(
            listener if address.speech.tls is None else replace(listener, tls=profiles.index(address.speech.tls))
            for listener, address in zip(listeners, release.addresses, strict=True)
        )

    def keepers(self) -> Iterable[Keeper]:
        """Give the certificates of the generations there are."""
        return [each.keeper for each in self._releases.values() if each.keeper is not None]

    def _install(self, release: Release) -> None:
        install_log(release.assignment.log, release.config.log.level)
        if release.keeper is not None:
            for warning in release.keeper.warnings:
                self._log.warning("%s", warning)
        set_title(f"hostler: supervisor {release.assignment.title}")

    def note_service(self, serves: str) -> None:
        """Note how a child serves; see `Host.note_service`."""
        self._serves = serves

    def announce(self) -> None:
        """Tell that we serve; see `Host.announce`."""
        release = self._releases[self._current]
        reason = self._reason
        self._is_announced = True
        self._take_over()
        log = release.config.log
        is_for_machines = log.file == STANDARD_ERROR and log.format == "json"
        if not is_for_machines:
            write_standard_error(self._start_block(release))
        if log.file != STANDARD_ERROR or is_for_machines:
            self._log.info("serving %s at %s", release.assignment.title, ", ".join(self._pool.addresses()))
        self._hooks.serving(self._pool.addresses())
        self._tell_hooks("serving", reason=reason, addresses=self._pool.addresses())
        self._notifier.ready(self._status(release))

    def _take_over(self) -> None:
        """Be the server in the place of the supervisor that has started us, if one has, and tell it."""
        bequest, self._bequest = self._bequest, None
        if bequest is None:
            return
        self._pool.take_over()
        if self._control is not None and bequest.control:
            self._control.take_place(Path(bequest.control))
            self._name = self._control.path.stem
        if self._pid_file is not None:
            self._pid_file.write()
        send_message(bequest.status_fd, {"event": "ready"})
        close_descriptors({bequest.status_fd, bequest.pid_file_fd} - {-1, self._own_pid_file_fd})

    @property
    def _own_pid_file_fd(self) -> int:
        return -1 if self._pid_file is None else self._pid_file.fd

    def launch(self, status_fd: int) -> Callable[[], NoReturn]:
        """Give what becomes a new supervisor; see `Host.launch`."""
        self._check_upgrade()
        self._notifier.status(f"Upgrading {self._releases[self._current].assignment.title}")
        path = "" if self._pid_file is None else str(self._pid_file.path)
        workers = self._count or 0
        control = "" if self._control is None else str(self._control.path)
        sockets, is_paused = self._pool.leave(), self.is_paused
        bequest = Bequest(
            status_fd, sockets, path, self._own_pid_file_fd, workers, control=control, is_paused=is_paused
        )
        former = own_pid()
        kept = [*bequest.descriptors(), *sockets_of_manager(self._environment, former)]

        def become() -> NoReturn:
            self._hooks.upgrading()
            variables = bequeath(bequest, self._environment, former, own_pid())
            become_program(self._program, variables, kept)

        return become

    def _check_upgrade(self) -> None:
        """Refuse where our end would be taken for the end of the service.

        Raises:
            HostlerError: why it is refused.
        """
        if own_pid() == FIRST_PROCESS:
            raise HostlerError("this is process 1 of a container, which ends with it; start a new container, or reload")
        if self._environment.get("SYSTEMD_EXEC_PID") == str(own_pid()) and not self._notifier.is_managed:
            raise HostlerError(
                "systemd would end the service with this process; set Type=notify or Type=notify-reload, or reload"
            )

    def hand_over(self, pid: int) -> None:
        """Leave everything to the new supervisor; see `Host.hand_over`."""
        self._notifier.hand_over(pid)
        self._pool.hand_over()

    def resume(self) -> None:
        """Go on after an upgrade that came to nothing; see `Host.resume`."""
        if self._pid_file is not None:
            self._pid_file.write()
        self._notifier.ready(f"{self._status(self._releases[self._current])}; the last upgrade failed")

    def _start_block(self, release: Release) -> str:
        config = release.config
        first, *others = self._pool.addresses()
        framework = f" ({self._options.framework})" if self._options.framework else ""
        mode = self._options.mode
        if config.app.preload:
            mode += ", preloaded"
        if self._reuse_port:
            mode += ", own sockets per worker"
        threads = f" x {config.workers.threads} threads"
        mounts = [f"{prefix} is {target}" for prefix, target in config.app.mounts.items()]
        lines = [
            f"hostler {hostler.__version__} (pid {own_pid()})",
            f"  listening    {first}",
            *(f"               {each}" for each in others),
            f"  application  {release.assignment.target}{framework}",
            *(f"               {each}" for each in mounts),
            f"  workers      {release.count}{f', {self._serves}' if self._serves else threads}",
            f"  mode         {mode}",
        ]
        return "\n".join(lines) + "\n"

    def _status(self, release: Release) -> str:
        return f"Serving {release.assignment.title} with {release.count} workers"

    def reloading(self) -> None:
        """Tell that a reload begins; see `Host.reloading`."""
        self._notifier.reloading()

    def adopt(self, number: int) -> None:
        """Let a generation be the one; see `Host.adopt`."""
        release = self._releases[number]
        self._current = number
        former, self._releases = self._releases, {number: release}
        _dismiss(each for each in former.values() if each is not release)
        self._pool.keep(release.addresses, release.count, release.metrics)
        self._install(release)
        self._tell_hooks("serving", reason="reload", addresses=self._pool.addresses())
        self._notifier.ready(self._status(release))

    def abandon(self, number: int) -> None:
        """Forget a generation; see `Host.abandon`."""
        _dismiss([self._releases.pop(number)])
        release = self._releases[self._current]
        self._pool.keep(release.addresses, release.count, release.metrics)
        self.refused()

    def refused(self) -> None:
        """Tell that a reload has changed nothing; see `Host.refused`."""
        self._notifier.ready(f"{self._status(self._releases[self._current])}; the last reload failed")

    def vacate(self, role: str, slot: int) -> None:
        """Close the sockets of a slot; see `Host.vacate`."""
        if role == WORKER:
            self._pool.vacate(slot)

    def stop_listening(self) -> None:
        """Close the listeners; see `Host.stop_listening`."""
        self._notifier.stopping()
        self._is_stopping = True
        # What waits is served before the end.
        self.scoreboard.set_paused(is_paused=False)
        self._tell_hooks("stopping")
        self._tell_end()
        self._pool.close()

    def reopen_logs(self) -> None:
        """Reopen the server log; see `Host.reopen_logs`."""
        reopen_log(self._releases[self._current].assignment.log)

    def pause(self, *, is_paused: bool) -> None:
        """Let workers take no requests, or again; see `Host.pause`."""
        if is_paused == self.scoreboard.is_paused:
            return
        self.scoreboard.set_paused(is_paused=is_paused)
        if is_paused:
            self._log.warning("paused: requests wait until the server is resumed")
        else:
            self._log.info("resumed")

    @property
    def is_paused(self) -> bool:
        """Whether workers take no requests; see `Host.is_paused`."""
        return self.scoreboard.is_paused

    def listening(self) -> Iterable[int]:
        """Return the listeners; see `Host.listening`."""
        return [each.fd for each in self._pool.open_listeners()]

    def measure(self) -> Mapping[str, Load]:
        """Return what there is to do; see `Host.measure`."""
        # During a pause nobody is busy, and queues are long.
        if self.config.scaling.max == 0 or self.is_paused:
            return {}
        # What says how it serves has an event loop; see `note_service`.
        return {WORKER: self._meter.measure(self._pool.open_listeners(), has_threads=not self._serves)}

    def descriptors(self) -> Iterable[int]:
        """Return what children shall not keep; see `Host.descriptors`."""
        left = [] if self._bequest is None else [self._bequest.status_fd, self._bequest.pid_file_fd]
        lines = [release.hook_line for release in self._releases.values() if release.hook_line is not None]
        left += [fd for line in lines for fd in (line.read_fd, line.write_fd)]
        left += [self._challenges.fd, *(each.fd for each in self.keepers())]
        return {*self._pool.descriptors(), self.scoreboard.fd, self._own_pid_file_fd, *left} - {-1}

    def ping_interval(self) -> float | None:
        """Return how often the watchdog wants to hear of us; see `Host.ping_interval`."""
        return self._notifier.watchdog_interval

    def ping(self) -> None:
        """Tell the watchdog; see `Host.ping`."""
        self._notifier.ping()

    def forking(self, generation: int, role: str, slot: int) -> None:
        """Tell that a child is about to be forked; see `Host.forking`."""
        if role == WORKER:
            self._releases[generation].assignment.hooks.worker_forking(slot)
        elif role == METRICS:
            self._queues = self._pool.queues()

    def started(self, role: str, slot: int, pid: int) -> None:
        """Tell that a child is there; see `Host.started`."""
        if role == WORKER:
            self._workers.add(pid)
            self._hooks.worker_started(slot, pid)
            self._tell_hooks("worker_started", worker=slot, pid=pid)

    def ended(self, role: str, slot: int, pid: int, reason: str) -> None:
        """Tell that a child is gone; see `Host.ended`."""
        if role == WORKER:
            self._workers.discard(pid)
            self._hooks.worker_ended(pid)
            self._tell_hooks("worker_ended", worker=slot, pid=pid, reason=reason)
            self._tell_end()

    def _tell_end(self) -> None:
        """Tell the hook runner, which waits for it, that no worker is left."""
        if self._is_stopping and not self._workers:
            self._tell_hooks("ended")

    def _tell_hooks(
        self, phase: str, *, worker: int = 0, pid: int = 0, reason: str = "", addresses: Sequence[str] = ()
    ) -> None:
        """Tell the hook runner of the generation that serves, if the configuration has something for it."""
        release = self._releases.get(self._current)
        if release is None or release.hook_line is None:
            return
        # The two by which the runner knows what becomes of it are told in any case.
        if phase in {"stopping", "ended"} or getattr(release.config.hooks, phase):
            message = build_message(phase, worker=worker, pid=pid, reason=reason, addresses=addresses)
            release.hook_line.tell(message)

    def allot(self, child: int, role: str, slot: int, generation: int) -> tuple[int, int]:
        """Give a worker its block of the scoreboard; see `Host.allot`."""
        if role == METRICS:
            return self.scoreboard.fd, 0
        if role != WORKER:
            return -1, 0
        return self.scoreboard.fd, self.scoreboard.allot(child, slot, generation)

    def note_pid(self, child: int, pid: int) -> None:
        """Note a worker's process id on the scoreboard; see `Host.note_pid`."""
        self.scoreboard.note_pid(child, pid)

    def free(self, child: int) -> None:
        """Take a worker's block back, and tell of the requests that it has taken along; see `Host.free`."""
        last = self.scoreboard.free(child)
        for line in describe_losses(last) if last is not None else ():
            self._log.warning("%s", line)

    def scaled(self, role: str, count: int) -> None:
        """Tell how many children are wanted; see `Host.scaled`."""
        if role == WORKER and count != self._count:
            former, self._count = self._count, count
            self._hooks.scaled(count, former)

    @property
    def _hooks(self) -> ServerHooks:
        return self._releases[self._current].assignment.hooks if self._current else self._first_hooks

    def open_console(self, clock: Clock) -> Console | None:
        """Make the control socket, and what answers there; None, with a warning in the log, where it cannot be made.

        After the first generation is prepared.
        """
        if self._tail is None:
            return None
        release = self._releases[self._current]
        control = release.config.control
        try:
            is_allowed = build_permission(control.group)
            former = self._bequest.control if self._bequest is not None else ""
            listener = open_listener(release.config, release.assignment.target, self._environment, former)
        except HostlerError as error:
            self._log.warning("there is no control socket: %s", error)
            release.assignment.log.copy = None
            self.close_console()
            return None
        self._control, self._name = listener, listener.path.stem
        self._console = Console(self._describe, self._tail, self.scoreboard, clock, self._challenges)
        self._console.serve(ControlServer(listener, self._console.handlers, clock, is_allowed))
        return self._console

    def close_console(self) -> None:
        """Remove the control socket, after everything else has ended."""
        if self._console is not None:
            self._console.close()
        if self._tail is not None:
            self._tail.close()
        self._console = self._tail = self._control = None

    def _describe(self) -> dict[str, Any]:
        """Describe the server for its status; see `control.operation.STATUS`."""
        config = self.config
        return {
            "name": self._name,
            "pid": own_pid(),
            "version": hostler.__version__,
            "python": "{}.{}.{}".format(*sys.version_info),
            "application": self._releases[self._current].assignment.target,
            "directory": str(Path(config.app.chdir).resolve()),
            "started_in": str(self._started_in),
            "serves": self._serves or f"WSGI in {config.workers.threads} threads",
            "listening": self._pool.addresses(),
            "log_file": None if config.log.file == STANDARD_ERROR else config.log.file,
        }

    def close(self) -> None:
        """Close what is still open, however it ended."""
        self._pool.close()
        close_descriptors((self.scoreboard.fd,))
        self._challenges.close()
        self._hooks.ended()
        _dismiss(self._releases.values())
        if self._worker_group is not None:
            self._worker_group.remove()
        if self._pid_file is not None:
            self._pid_file.remove()


def _list_kept(release: Release) -> dict[str, tuple[int, ...]]:
    """List what only children of a role keep. Keys of TLS are for workers, and for what becomes workers."""
    handed = [fd for fd in (release.assignment.tls_fd, release.assignment.challenges_fd) if fd >= 0]
    kept: dict[str, tuple[int, ...]] = {WORKER: tuple(handed), FORK_SERVER: tuple(handed)}
    if release.hook_line is not None:
        kept[HOOK_RUNNER] = (release.hook_line.read_fd,)
    return kept


def _hook_role(config: Config) -> Role:
    """Describe the hook runner, which has as long as its actions may take, and outlives the workers."""
    hooks = config.hooks
    before, after = len(hooks.prepare), len(hooks.stopping) + len(hooks.ended) + len(hooks.worker_ended)
    graceful_timeout = config.server.graceful_timeout + hooks.timeout * after + _HOOK_MARGIN
    return Role(HOOK_RUNNER, boot_timeout=hooks.timeout * before + _HOOK_MARGIN, graceful_timeout=graceful_timeout)


def _dismiss(releases: Iterable[Release]) -> None:
    for release in releases:
        if release.hook_line is not None:
            release.hook_line.close()
        if release.keeper is not None:
            release.keeper.close()


def _build_scaling(config: Config) -> Scaling | None:
    bounds = config.scaling
    return Scaling(bounds.min, bounds.max, bounds.memory, bounds.idle) if bounds.max else None


def run_companion(companion: Companion, context: ChildContext) -> int:
    """Be a companion, which ends with the supervisor; after fork. It counts as ready at once."""
    tie_to_parent(context.supervisor_pid, signal.SIGTERM)
    set_title(f"hostler: {companion.name}")
    send_message(context.status_fd, {"event": "ready"})
    return companion.main(context)


def describe_losses(last: WorkerReading) -> Iterator[str]:
    """Say which requests ended with their worker, the oldest first, and no more than a few of them."""
    shown = last.requests[:MOST_LOSSES]
    for request in shown:
        client = f" from {request.client}" if request.client else ""
        yield (
            f"worker {last.slot} (pid {last.pid}) ended in the midst of {request.method} {request.path}{client},"
            f" after {request.age:.3f} s (request {request.id})"
        )
    if last.in_flight > len(shown):
        yield f"worker {last.slot} (pid {last.pid}) ended in the midst of {last.in_flight - len(shown)} more requests"
