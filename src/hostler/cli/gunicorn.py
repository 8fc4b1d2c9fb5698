"""`hostler gunicorn ...`: serve as Gunicorn would, from its own command line and configuration file."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from hostler.app.probe import probe_application
from hostler.cli.arguments import describe_surroundings
from hostler.cli.version import execute as print_version
from hostler.cli.watch import build_watcher
from hostler.compat.gunicorn.door import Door
from hostler.compat.gunicorn.source import Reading, build_parser, parse_words
from hostler.config import Config
from hostler.system.environment import environment
from hostler.system.process import own_pid

MODE = "production, as Gunicorn"
RELOADING = "reloads when a file changes, not for production"


def execute(arguments: Sequence[str]) -> int:
    """Serve until told to stop, or check and print the configuration."""
    if {"-h", "--help"} & set(arguments):
        print(build_parser().format_help(), end="")
        return 0
    if parse_words(arguments, "").version:
        return print_version(())
    environ = environment()
    door = Door(arguments, environ, Path.cwd(), describe_surroundings(), own_pid())
    config = door.read()
    assert door.reading is not None
    write_warnings(door.warnings)
    if door.reading.values["check_config"] or door.reading.values["print_config"]:
        return check(config, door.reading)
    from hostler.server import Companion, Options, run  # after everything that can be wrong on the command line

    if not door.reading.values["reload"]:
        return run(door.load, options=Options(mode=MODE, hooks=door.hooks))
    watcher = build_watcher(door.reading.directory, (".",), (), list_extra_files(door.reading))

    def load_noting() -> Config:
        watcher.note()
        return door.load()

    companions = (Companion("file watcher", watcher),)
    return run(load_noting, options=Options(mode=RELOADING, companions=companions, hooks=door.hooks))


def list_extra_files(reading: Reading) -> list[Path]:
    """List what is watched whatever it is called: the configuration file, and `reload_extra_files` with patterns."""
    names = [str(reading.directory / name) for name in reading.values["reload_extra_files"]]
    found = [Path(path) for name in names for path in glob.glob(name, recursive=True)]  # noqa: PTH207 - absolute patterns
    return [path for path in (*found, Path.cwd() / reading.file) if path.is_file()]


def write_warnings(lines: Iterable[str]) -> None:
    """Say what is not as it was with Gunicorn."""
    for line in lines:
        print(f"hostler: warning: {line}", file=sys.stderr)


def check(config: Config, reading: Reading) -> int:
    """Load the application in a process of its own; print the settings first if that is wanted.

    Raises:
        ApplicationError: it cannot be loaded.
    """
    if reading.values["print_config"]:
        print("\n".join(write_settings(reading)), flush=True)
    assert config.app.target is not None
    probe_application(
        config.app.target,
        directory=config.app.chdir,
        python_path=config.app.python_path,
        environ={**environment(), **config.app.env},
        timeout=config.workers.boot_timeout,
        interface=config.app.interface,
    )
    return 0


def write_settings(reading: Reading) -> list[str]:
    """Write every setting with its value, as Gunicorn does, one per line and sorted."""
    width = max(map(len, reading.values))
    lines = []
    for name in sorted(reading.values):
        value = reading.values[name]
        shown = f"<{getattr(value, '__qualname__', type(value).__name__)}()>" if callable(value) else value
        lines.append(f"{name:<{width}} = {shown}")
    return lines
