"""`hostler run APP`, or just `hostler APP`: serve an application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hostler.app import Discovery
from hostler.app.discovery import GENERIC
from hostler.cli.advice import NO_APPLICATION, reject_mistyped_command
from hostler.cli.arguments import Arguments, load_with_application, parse_arguments
from hostler.config import Config, Loaded, load_config
from hostler.errors import ApplicationError, ConfigurationError


def execute(arguments: Sequence[str]) -> int:
    """Serve until told to stop."""
    parsed = parse_arguments("run", arguments)
    prepared = prepare(parsed)
    from hostler.server import Options, run  # after everything that can be wrong on the command line

    return run(prepared.load, verbose=parsed.verbose, options=Options(framework=prepared.framework))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before a server starts.

    Attributes:
        loaded: the configuration and its origins.
        framework: what a recognised application is made with, and why it was chosen; empty when it was named.
        load: gives the configuration, the one above first, then read again at each call.
    """

    loaded: Loaded
    framework: str
    load: Callable[[], Config]


def prepare(parsed: Arguments) -> Prepared:
    """Read the configuration once, and give what reads it again at a reload.

    Raises:
        ConfigurationError: the configuration is wrong, or a command was mistyped.
        ApplicationError: no application was named or recognised.
    """
    named = parsed.sources.flags.get("app.target")
    try:
        first, found = load_with_application(parsed.sources)
    except ConfigurationError:
        # Mistakes in the file matter less to somebody who wanted another command.
        if named is not None:
            reject_mistyped_command(named.texts[-1], parsed.sources.directory)
        raise
    if first.config.app.target is None:
        raise ApplicationError(NO_APPLICATION.format(directory=first.config.app.chdir))
    if named is not None:
        reject_mistyped_command(named.texts[-1], Path(first.config.app.chdir))
    unread = [first.config]

    def load() -> Config:
        if unread:
            return unread.pop()
        config = load_config(parsed.sources).config
        # What was recognised at the start stays: a file that is being edited may not be recognisable right now.
        target = config.app.target or first.config.app.target
        return replace(config, app=replace(config.app, target=target))

    return Prepared(first, describe_discovery(found), load)


def describe_discovery(found: Discovery | None) -> str:
    """Say what a recognised application is made with, and why this one was chosen, as far as either is worth it."""
    if found is None:
        return ""
    framework = "" if found.framework in GENERIC else found.framework
    return ", ".join(filter(None, (framework, found.note)))
