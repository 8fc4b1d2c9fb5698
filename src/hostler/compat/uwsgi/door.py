"""The door for people who come from uWSGI: its command line and files in, a running configuration and hooks out."""

from __future__ import annotations

import contextlib
import importlib
import site
import sys
from collections.abc import Mapping, Sequence

from hostler.app import describe_failure
from hostler.compat.uwsgi.magic import Machine
from hostler.compat.uwsgi.option import Facts
from hostler.compat.uwsgi.reader import Reader, Reading
from hostler.compat.uwsgi.rule_application import find_packages
from hostler.compat.uwsgi.table import index_letters
from hostler.compat.uwsgi.translation import Outcome, build, gather, list_warnings, translate
from hostler.config import Config, Surroundings
from hostler.contracts import ServerHooks
from hostler.errors import ApplicationError, ConfigurationError
from hostler.worker.quiet import QuietHooks

NO_APPLICATION = 'no application was named; give "module = NAME:CALLABLE" or "wsgi-file = PATH"'
NO_SOCKET = 'no socket was named; give "http-socket = :8000", or "socket = /run/app.sock" for a web server in front'


class Door:
    """Holds what `hostler uwsgi` needs before and while it serves."""

    def __init__(
        self, words: Sequence[str], environ: Mapping[str, str], machine: Machine, surroundings: Surroundings
    ) -> None:
        """Read nothing yet.

        Args:
            words: uWSGI's command line.
            environ: the environment variables.
            machine: the facts that magic variables stand for.
            surroundings: what the configuration's rules need to know.
        """
        self._words = words
        self._environ = environ
        self._machine = machine
        self._surroundings = surroundings
        self._is_reload = False
        self._unread: Config | None = None
        self._hooks: UwsgiHooks | None = None
        self.config: Config | None = None
        # The slots of the workers that are alive, by process id.
        self.workers: dict[int, int] = {}
        self.reading = Reading((), (), (), (), is_strict=False)
        self.facts = Facts({}, machine.directory, environ)
        self.outcomes: tuple[Outcome, ...] = ()
        self.warnings: list[str] = []

    def gather(self) -> Facts:
        """Read everything, without making anything of it.

        Raises:
            ConfigurationError: something is wrong.
        """
        reader = Reader(self._environ, self._machine, is_reload=self._is_reload)
        self.reading = reader.read(self._words, index_letters())
        self.facts = gather(self.reading, self._machine.directory, self._environ)
        return self.facts

    def read(self) -> Config:
        """Make the configuration of what was read, and keep it for the first `load`.

        Raises:
            ConfigurationError: something is wrong, or no application or no socket is named.
        """
        former = self.reading, self.facts
        try:
            facts = self.gather()
            outcomes = translate(facts)
            if not any(give.path == "app.target" for each in outcomes for give in each.gives):
                raise ConfigurationError(self._explain(NO_APPLICATION))
            if not self._has_socket(outcomes):
                raise ConfigurationError(self._explain(NO_SOCKET))
            config = build(facts, outcomes, self._surroundings)
        except ConfigurationError:
            # What serves is what was read before.
            self.reading, self.facts = former
            raise
        self.outcomes = outcomes
        self.warnings = list_warnings(self.reading, outcomes)
        self._hooks = UwsgiHooks(facts, self.workers)
        self._unread = self.config = config
        self._is_reload = True
        return config

    def _explain(self, problem: str) -> str:
        """Say what is missing, after what was noticed while reading: it may be why."""
        return "\n".join((*self.reading.remarks, problem))

    def _has_socket(self, outcomes: Sequence[Outcome]) -> bool:
        is_named = any(give.path == "server.bind" for each in outcomes for give in each.gives)
        return is_named or "HOSTLER_SERVER_BIND" in self._environ

    def load(self) -> Config:
        """Give the configuration: first what `read` has read, then read again."""
        config, self._unread = self._unread or self.read(), None
        # What this call has read is given away by it.
        self._unread = None
        return config

    def hooks(self) -> ServerHooks:
        """Give the hooks that were last read."""
        assert self._hooks is not None
        return self._hooks


class UwsgiHooks(QuietHooks):
    """Does in workers what uWSGI does beside loading the application, and keeps the list of them."""

    def __init__(self, facts: Facts, workers: dict[int, int]) -> None:
        """Take what was read.

        Args:
            facts: the options.
            workers: takes the slots of workers, by process id.
        """
        self._facts = facts
        self._workers = workers

    def worker_started(self, slot: int, pid: int) -> None:
        """See `ServerHooks`."""
        self._workers[pid] = slot

    def worker_ended(self, pid: int) -> None:
        """See `ServerHooks`."""
        self._workers.pop(pid, None)

    def loading(self) -> None:
        """See `ServerHooks`: the virtual environment's path files, and modules that come before the application."""
        if "home" in self._facts.given:
            packages = find_packages(self._facts.home / self._facts.text("home"))
            if packages is not None:
                add_packages(str(packages))
        self._import("shared-import")

    def worker_loaded(self) -> None:
        """See `ServerHooks`: modules that come after the application."""
        self._import("import")

    def _import(self, option: str) -> None:
        for each in self._facts.all(option):
            try:
                importlib.import_module(each.text)
            except Exception as error:  # the border of the operator's code
                text = f"{each.name} {each.text} failed: {type(error).__name__}: {error}"
                raise ApplicationError(text, describe_failure(error)) from error


def add_packages(directory: str) -> None:
    """Put a directory of packages on the import path, and what path files in it name, before this interpreter's own."""
    former = list(sys.path)
    with contextlib.suppress(OSError):
        site.addsitedir(directory)
    added = [path for path in sys.path if path not in former]
    place = former.index(directory) + 1 if directory in former else 0
    sys.path[:] = [*former[:place], *added, *former[place:]]
