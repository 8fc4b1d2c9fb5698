"""`hostler dev`: serve while developing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from hostler.app import parse_target
from hostler.cli.arguments import parse_arguments
from hostler.cli.run import prepare
from hostler.cli.watch import build_watcher
from hostler.config import Config, Loaded
from hostler.errors import ApplicationError


def execute(arguments: Sequence[str]) -> int:
    """Serve with one worker, reload when files change, and show errors in the browser."""
    parsed = parse_arguments("dev", arguments)
    prepared = prepare(parsed)
    loaded = prepared.loaded
    dev = loaded.config.dev
    files = [loaded.file] if loaded.file is not None else []
    watcher = build_watcher(parsed.sources.directory, dev.watch, dev.ignore, files, list_places(loaded))

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


def list_places(loaded: Loaded) -> list[Path]:
    """List where the application is, which need not be where Hostler was started; nothing when told what to watch."""
    if loaded.origins["dev.watch"].source != "default":
        return []
    app = loaded.config.app
    places = [Path(app.chdir)]
    for name in (app.target or "", *app.mounts.values()):
        with contextlib.suppress(ApplicationError):  # the page says what is wrong with the name
            target = parse_target(name)
            if target.path:
                places.append((Path(app.chdir) / target.path).parent)
    return [place.resolve() for place in places if place.is_dir()]
