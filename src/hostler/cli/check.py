"""`hostler check`: validate the configuration, and load the application in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hostler.app import Choice
from hostler.app.probe import Report, probe_application
from hostler.cli.advice import NO_APPLICATION
from hostler.cli.arguments import load_with_application, parse_arguments
from hostler.config import Config
from hostler.errors import ApplicationError
from hostler.system.address import parse_addresses
from hostler.tls.prepare import inspect
from hostler.worker.loop import describe_loop, make_loop


def execute(arguments: Sequence[str]) -> int:
    """Check everything that can be checked without serving, and print what was found."""
    parsed = parse_arguments("check", arguments)
    loaded, found = load_with_application(parsed.sources)
    config = loaded.config
    source = str(loaded.file) if loaded.file else "no file, defaults"
    overlay = f", overlay {loaded.environment}" if loaded.environment else ""
    print(f"configuration  fine ({source}{overlay})", flush=True)
    check_certificates(config)
    if config.app.target is None:
        raise ApplicationError(NO_APPLICATION.format(directory=config.app.chdir))
    environ = {**parsed.sources.environ, **config.app.env}
    report = probe(config, config.app.target, environ, config.app.interface)
    recognised = f", recognised by {found.reason}" if found else ""
    choice = f"; {found.note}" if found and found.note else ""
    print(f"application    fine ({config.app.target}: {describe(report)}{recognised}{choice})", flush=True)
    interfaces = {report.interface}
    for prefix, target in config.app.mounts.items():
        mounted = probe(config, target, environ)
        interfaces.add(mounted.interface)
        print(f"mount          fine ({prefix} is {target}: {describe(mounted)})", flush=True)
    if "asgi" in interfaces:
        print(f"event loop     {check_loop(config.workers.loop)}")
    return 0


def check_certificates(config: Config) -> None:
    """Read the certificates of TLS listeners, and say what was found.

    Raises:
        ConfigurationError: something is missing, or cannot be used.
    """
    count, warnings = inspect(config.tls, parse_addresses(config.server.bind))
    if count:
        print(f"certificates   {'usable' if warnings else 'fine'} ({count})", flush=True)
    for warning in warnings:
        print(f"               warning: {warning}", flush=True)


def probe(config: Config, target: str, environ: Mapping[str, str], interface: Choice = "auto") -> Report:
    """Load one application in a process of its own."""
    return probe_application(
        target,
        directory=config.app.chdir,
        python_path=config.app.python_path,
        environ=environ,
        timeout=config.workers.boot_timeout,
        interface=interface,
    )


def describe(report: Report) -> str:
    """Say what was loaded: its type, its interface, and the frameworks that came with it."""
    versions = "".join(f", {name} {version}" for name, version in report.versions.items())
    return f"{report.kind}, {report.interface.upper()}{versions}"


def check_loop(choice: str) -> str:
    """Say whether the event loop can be made, after making one.

    Raises:
        ConfigurationError: it cannot be.
    """
    if choice not in ("auto", "asyncio", "uvloop"):
        return f"not checked ({describe_loop(choice)}: the worker makes it, in the project's directory)"
    make_loop(choice).close()
    return f"fine ({describe_loop(choice)})"
