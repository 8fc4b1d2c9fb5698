"""Run a server: build all parts from the configuration, hand them to the supervisor, clean up after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from hostler.config import Config
from hostler.errors import ApplicationError, BindError, ConfigurationError, HostlerError, PrivilegeError
from hostler.server.host import ServerHost
from hostler.server.options import Companion, Options
from hostler.server.rotation import LogRotation, plan_rotation
from hostler.server.touch import TouchFiles
from hostler.supervisor.model import Finish
from hostler.supervisor.shell import CAUGHT, Supervisor
from hostler.system.clock import SystemClock, unix_time
from hostler.system.entropy import random_fraction
from hostler.system.environment import environment
from hostler.system.process import SystemProcesses, open_standard_descriptors, own_pid
from hostler.system.signals import SignalQueue
from hostler.tls.attendant import CertificateAttendant

__all__ = ["Companion", "Options", "run"]

# A child reports what kind of error it met by the exit status of that kind.
_ERRORS: dict[int, type[HostlerError]] = {
    kind.exit_status: kind for kind in (ConfigurationError, BindError, PrivilegeError)
}


def run(load_configuration: Callable[[], Config], *, verbose: bool = False, options: Options | None = None) -> int:
    """Serve until told to stop. Main thread only, and nothing else may have started threads.

    Args:
        load_configuration: reads the configuration, now and at each reload; raises ConfigurationError.
        verbose: log at the level "debug", whatever the configuration says.
        options: what else can be chosen.

    Returns:
        The exit status, 0.

    Raises:
        HostlerError: the server could not start; nothing is left behind.
    """
    open_standard_descriptors()
    load = (lambda: _with_debug_log(load_configuration())) if verbose else load_configuration
    options = options or Options()
    host = ServerHost(load, options, environment())
    # From here on signals wait in the queue: a stop during the start is a clean stop.
    signals = SignalQueue({*CAUGHT, *options.meanings.calls})
    with ExitStack() as ends:
        # Last of all: who waits on the control socket for our end takes its closing for it.
        ends.callback(host.close_console)
        ends.callback(signals.close, is_last=True)
        ends.callback(host.close)
        finish = _supervise(host, signals, options)
    if finish.status != 0:
        raise _error_of(finish)
    return 0


def _supervise(host: ServerHost, signals: SignalQueue, options: Options) -> Finish:
    clock = SystemClock()
    rotation = LogRotation(clock, unix_time, plan_rotation(host.first_config), lambda: plan_rotation(host.config))
    supervisor = Supervisor(
        host,
        host.prepare(1),
        own_pid=own_pid(),
        processes=SystemProcesses(),
        clock=clock,
        signals=signals,
        random_fraction=random_fraction,
        meanings=options.meanings,
    )
    supervisor.attend(TouchFiles(clock, lambda: host.config.reload.touch))
    supervisor.attend(rotation)
    for attendant in options.attendants:
        supervisor.attend(attendant)
    supervisor.attend(CertificateAttendant(clock, host.ticket_keys, host.keepers))
    console = host.open_console(clock)
    if console is not None:
        supervisor.attend(console)
    return supervisor.run()


def _with_debug_log(config: Config) -> Config:
    from dataclasses import replace

    return replace(config, log=replace(config.log, level="debug"))


def _error_of(finish: Finish) -> HostlerError:
    """Return the error that kept the first workers from coming up."""
    kind = _ERRORS.get(finish.status)
    if kind is None:
        return ApplicationError(finish.message, finish.details or None)
    return kind(finish.message)
