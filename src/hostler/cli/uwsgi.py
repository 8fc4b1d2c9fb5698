"""`hostler uwsgi ...`: serve as uWSGI would, from its own command line and configuration files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from hostler.cli.arguments import describe_surroundings
from hostler.cli.gunicorn import write_warnings
from hostler.cli.main import is_verbose, render_error
from hostler.cli.version import execute as print_version
from hostler.cli.watch import build_watcher
from hostler.compat.uwsgi.control import Control, map_signals
from hostler.compat.uwsgi.daemon import run_daemon
from hostler.compat.uwsgi.document import write_help
from hostler.compat.uwsgi.door import Door
from hostler.compat.uwsgi.magic import Machine
from hostler.compat.uwsgi.option import Facts, Given
from hostler.compat.uwsgi.pid_file import SIGNALS, follow_pid_file
from hostler.compat.uwsgi.table import index_options
from hostler.config import Config
from hostler.errors import ApplicationError, ConfigurationError, HostlerError
from hostler.system.clock import SystemClock, unix_nanos
from hostler.system.cpu import usable_cores
from hostler.system.environment import environment
from hostler.system.machine import host_name, own_group, own_user
from hostler.system.process import become_daemon

MODE = "production, as uWSGI"
RELOADING = "reloads when a file changes, not for production"
# uWSGI's statuses: an application that cannot be loaded, and everything else that keeps it from serving.
FAILED_APPLICATION = 22
FAILED = 1
# Seconds that an attached daemon has to end (arbitrary; uWSGI waits without a bound).
DAEMON_TIMEOUT = 30.0


def execute(arguments: Sequence[str]) -> int:
    """Serve until told to stop, or do one of uWSGI's commands; exit statuses are those of uWSGI."""
    try:
        return dispatch(arguments)
    except HostlerError as error:
        render_error(error, verbose=is_verbose(arguments))
        return FAILED_APPLICATION if isinstance(error, ApplicationError) else FAILED


def dispatch(arguments: Sequence[str]) -> int:
    """Find out which of uWSGI's commands is meant, if not to serve.

    Raises:
        HostlerError: something is wrong, or the server could not start.
    """
    if {"-h", "--help", "--usage"} & set(arguments):
        print(write_help(), end="")
        return 0
    if "--version" in arguments:
        return print_version(())
    environ = environment()
    door = Door(arguments, environ, describe_machine(), describe_surroundings())
    facts = door.gather()
    for name in SIGNALS:
        if name in facts.given:
            return follow_pid_file(name, Path.cwd() / facts.text(name))
    status = print_facts(facts, door.reading.shown)
    return serve(door) if status is None else status


def describe_machine() -> Machine:
    """Describe this machine, for magic variables."""
    program = str(Path(sys.argv[0]).absolute())
    return Machine(
        Path.cwd(), program, host_name(), usable_cores(), own_user(), own_group(), unix_nanos() / 1_000_000_000
    )


def print_facts(facts: Facts, shown: Iterable[Given]) -> int | None:
    """Print what is asked for; give the exit status if that is all there is to do."""
    for each in facts.all("print"):
        print(each.text)
    if "exit" in facts.given:
        last = facts.last("exit")
        return last.number & 0xFF if last is not None else FAILED
    if "get" in facts.given:
        values = {each.name: each.text for each in reversed(tuple(shown))}
        print("\n".join(values[each.text] for each in facts.all("get") if each.text in values))
        return 0
    if facts.is_on("dump-options"):
        print("\n".join(index_options()))
        return 0
    if facts.is_on("show-config"):
        sys.stderr.write(write_configuration(shown))
    return 0 if facts.is_on("no-server") else None


def write_configuration(shown: Iterable[Given]) -> str:
    """Write everything that was read as one INI file, as uWSGI does."""
    lines = [f"{each.name} = {'true' if each.value is None else each.value}" for each in shown]
    return "\n".join(["", ";uWSGI instance configuration", "[uwsgi]", *lines, ";end of configuration", "", ""])


def serve(door: Door) -> int:
    """Serve until told to stop.

    Raises:
        HostlerError: the server could not start.
    """
    config = door.read()
    write_warnings(door.warnings)
    from hostler.server import Companion, Options, run  # after everything that can be wrong on the command line
    from hostler.supervisor.shell import Meanings

    facts = door.facts
    if "daemonize" in facts.given:
        go_to_background(facts)
    control = Control(lambda: door.facts, SystemClock(), door.workers)
    companions = [
        Companion(f"daemon {number + 1}", partial(run_daemon, door, number), DAEMON_TIMEOUT)
        for number in range(len(facts.all("attach-daemon")))
    ]
    load, mode = door.load, MODE
    if facts.number("py-autoreload"):
        watcher = build_watcher(Path(config.app.chdir), (".",), (), door.reading.files)

        def load_noting() -> Config:
            watcher.note()
            return door.load()

        load, mode = load_noting, RELOADING
        companions.append(Companion("file watcher", watcher))
    options = Options(
        mode=mode,
        companions=tuple(companions),
        hooks=door.hooks,
        attendants=(control,),
        meanings=Meanings(map_signals(facts), control.map_calls()),
    )
    try:
        return run(load, options=options)
    finally:
        control.close()


def go_to_background(facts: Facts) -> None:
    """Do what `daemonize` asks for.

    Raises:
        ConfigurationError: its file cannot be opened.
    """
    last = facts.last("daemonize")
    assert last is not None
    try:
        become_daemon(facts.directory / last.text)
    except OSError as error:
        raise ConfigurationError(f"{last.origin.where}: {last.text} cannot be opened: {error.strerror}") from None
