"""`hostler check`: validate the configuration, and load the application in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.app.probe import probe_application
from hostler.cli.advice import NO_APPLICATION
from hostler.cli.arguments import load_with_application, parse_arguments
from hostler.errors import ApplicationError


def execute(arguments: Sequence[str]) -> int:
    """Check everything that can be checked without serving, and print what was found."""
    parsed = parse_arguments("check", arguments)
    loaded, found = load_with_application(parsed.sources)
    config = loaded.config
    source = str(loaded.file) if loaded.file else "no file, defaults"
    overlay = f", overlay {loaded.environment}" if loaded.environment else ""
    print(f"configuration  fine ({source}{overlay})", flush=True)
    if config.app.target is None:
        raise ApplicationError(NO_APPLICATION.format(directory=config.app.chdir))
    report = probe_application(
        config.app.target,
        directory=config.app.chdir,
        python_path=config.app.python_path,
        environ={**parsed.sources.environ, **config.app.env},
        timeout=config.workers.boot_timeout,
    )
    recognised = f", recognised by {found.reason}" if found else ""
    versions = "".join(f", {name} {version}" for name, version in report.versions.items())
    print(f"application    fine ({config.app.target}: {report.kind}{versions}{recognised})")
    return 0
