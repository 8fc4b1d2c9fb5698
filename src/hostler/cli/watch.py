"""The companion of `hostler dev` that watches files and asks the supervisor to reload when one has changed."""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hostler.contracts import ChildContext
from hostler.errors import ConfigurationError
from hostler.system.process import SystemProcesses

# What an application reads when it is loaded or first used. Scripts and styles are read again for each request.
WATCHED_SUFFIXES = frozenset(
    {".py", ".pyi", ".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako", ".tmpl", ".toml", ".ini", ".cfg", ".conf"}
    | {".yaml", ".yml", ".json", ".env", ".mo", ".sql"}
)
WATCHED_NAMES = frozenset({".env"})
# Directories that hold what tools write, never what people edit.
IGNORED_DIRECTORIES = frozenset(
    {"__pycache__", ".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", ".mypy_cache", ".pytest_cache"}
    | {".ruff_cache", ".hypothesis", ".idea", "node_modules", "site-packages"}
)
# A burst of changes (a checkout, a formatter) is one reload; an editor's single save waits no longer than this.
STEP_MILLISECONDS = 50
DEBOUNCE_MILLISECONDS = 800
# How long a new watch waits before it looks for what it may have missed.
IDLE_MILLISECONDS = 500

# When each file was last changed, in nanoseconds, by its absolute path.
Snapshot = dict[str, int]


class Watch(Protocol):
    """What yields sets of changed paths until it is told to stop."""

    def __call__(
        self, paths: Sequence[Path], is_watched: Callable[[str], bool], before: Snapshot
    ) -> Iterable[set[str]]:
        """Watch `paths`; yield what `is_watched` accepts, burst by burst, first what has changed since `before`."""


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Tells which files' changes matter.

    Attributes:
        root: what shell patterns with a slash are relative to.
        files: files that are watched whatever they are called.
        ignore: shell patterns of names, or of paths relative to `root`, that are not watched.
    """

    root: Path
    files: frozenset[str]
    ignore: tuple[str, ...] = ()

    def __call__(self, filename: str) -> bool:
        """Tell whether a change of this file (an absolute path) is a reason to reload."""
        path = Path(filename)
        relative = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        if self._is_ignored(relative):
            return False
        if filename in self.files:
            return True
        if any(part in IGNORED_DIRECTORIES for part in relative.parts[:-1]):
            return False
        return path.suffix in WATCHED_SUFFIXES or path.name in WATCHED_NAMES or path.name.startswith(".env.")

    def _is_ignored(self, path: Path) -> bool:
        names = [str(path), *path.parts]
        return any(fnmatch.fnmatch(name, pattern) for pattern in self.ignore for name in names)


@dataclass(frozen=True, slots=True)
class Watcher:
    """The companion's life: after fork, in a process of its own, for the watching library brings threads.

    Attributes:
        paths: files and directories to watch.
        is_watched: which files in them matter.
        watch: what watches.
        before: how the files were before the application was last loaded; refreshed by `note`.
    """

    paths: tuple[Path, ...]
    is_watched: FileFilter
    watch: Watch
    before: Snapshot = field(default_factory=dict)

    def note(self) -> None:
        """Note how the files are. In the supervisor, before workers load them; the companion inherits it."""
        self.before.clear()
        self.before.update(take_snapshot(self.paths, self.is_watched))

    def __call__(self, context: ChildContext) -> int:
        """Be the companion, for as long as the supervisor lives. It ends us with TERM."""
        self.follow(context, SystemProcesses().send_signal)
        return 0

    def follow(self, context: ChildContext, send_signal: Callable[[int, int], None]) -> None:
        """Signal the supervisor at each burst of changes, until it is gone."""
        log = logging.getLogger("hostler")
        try:
            for changed in self.watch(self.paths, self.is_watched, self.before):
                log.info("changed: %s; reloading", describe_changes(changed, self.is_watched.root))
                send_signal(context.supervisor_pid, signal.SIGHUP)
        except (OSError, RuntimeError) as error:
            # The kernel's limit on watches, mostly. Serving goes on, and reloading by hand works (kill -HUP).
            log.warning("files are not watched: %s; narrow dev.watch, or raise fs.inotify.max_user_watches", error)
        # Ends when the supervisor does; to end sooner would be to be started again.
        os.read(context.lifeline_fd, 1)


def describe_changes(changed: Iterable[str], root: Path) -> str:
    """Name what has changed: up to three files, relative to `root`."""
    names = sorted(filename.removeprefix(f"{root}/") for filename in changed)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def build_watcher(
    root: Path, watch: Sequence[str], ignore: Sequence[str], files: Iterable[Path], places: Iterable[Path] = ()
) -> Watcher:
    """Build the companion.

    Args:
        root: the directory Hostler was started in.
        watch: files and directories, relative to it.
        ignore: shell patterns, see `FileFilter`.
        files: further files, watched whatever they are called.
        places: further directories; those that `watch` covers add nothing.

    Raises:
        ConfigurationError: something to be watched does not exist.
    """
    paths = [root / name for name in watch]
    for name, path in zip(watch, paths, strict=True):
        if not path.exists():
            raise ConfigurationError(f'dev.watch: there is no "{name}" in {root}; name an existing file or directory')
    for each in (*places, *files):
        if not any(each.is_relative_to(path) for path in paths):
            paths.append(each)
    named = frozenset(str(path) for path in paths if path.is_file()) | frozenset(map(str, files))
    return Watcher(tuple(paths), FileFilter(root, named, tuple(ignore)), watch_with_library)


def watch_with_library(
    paths: Sequence[Path], is_watched: Callable[[str], bool], before: Snapshot
) -> Iterable[set[str]]:
    """Watch with the watchfiles package, which asks the kernel where it can, and polls where it cannot.

    A reload begins a new watch. What changes before the kernel's watches are in place is found by comparing the files'
    times with those in `before`, so that no change is lost between one watch and the next.
    """
    import watchfiles  # in the companion only: it starts threads, and is slow to import

    bursts = watchfiles.watch(
        *paths,
        watch_filter=lambda _change, filename: is_watched(filename),
        step=STEP_MILLISECONDS,
        debounce=DEBOUNCE_MILLISECONDS,
        rust_timeout=IDLE_MILLISECONDS,
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    is_first = True
    for burst in bursts:
        changed = {filename for _, filename in burst}
        if is_first:
            changed |= compare_snapshots(before, take_snapshot(paths, is_watched))
            is_first = False
        if changed:
            yield changed


def take_snapshot(paths: Iterable[Path], is_watched: Callable[[str], bool]) -> Snapshot:
    """Note when each watched file was last changed."""
    times: Snapshot = {}
    for path in paths:
        files = [(str(path.parent), [], [path.name])] if path.is_file() else os.walk(path)
        for directory, names, filenames in files:
            names[:] = [name for name in names if name not in IGNORED_DIRECTORIES]
            for filename in (f"{directory}/{name}" for name in filenames):
                # A file may vanish while we look: editors write beside and rename.
                with contextlib.suppress(OSError):
                    if is_watched(filename):
                        times[filename] = Path(filename).stat().st_mtime_ns
    return times


def compare_snapshots(before: Snapshot, after: Snapshot) -> set[str]:
    """List the files that are new, gone or changed."""
    return {filename for filename in before.keys() | after.keys() if before.get(filename) != after.get(filename)}
