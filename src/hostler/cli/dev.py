"""`hostler dev`: serve while developing."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cli.arguments import parse_arguments
from hostler.cli.run import prepare
from hostler.cli.watch import build_watcher
from hostler.config import Config


def execute(arguments: Sequence[str]) -> int:
    """Serve with one worker, reload when files change, and show errors in the browser."""
    parsed = parse_arguments("dev", arguments)
    prepared = prepare(parsed)
    loaded = prepared.loaded
    dev = loaded.config.dev
    watcher = build_watcher(
        parsed.sources.directory, dev.watch, dev.ignore, [loaded.file] if loaded.file is not None else []
    )

    def load_noting() -> Config:
        watcher.note()
        return prepared.load()

    from hostler.server import Companion  # after everything that can be wrong on the command line
    from hostler.server.dev import run_dev

    return run_dev(
        load_noting,
        framework=prepared.framework,
        watch=Companion("file watcher", watcher),
        is_bind_explicit=loaded.origins["server.bind"].source == "flag",
        verbose=parsed.verbose,
    )
