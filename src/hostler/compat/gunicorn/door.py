"""A server as Gunicorn's command line asks for it: the configuration and the hooks, read anew at each reload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hostler.compat.gunicorn.hook import GunicornHooks
from hostler.compat.gunicorn.likeness import Server, Settings
from hostler.compat.gunicorn.source import Reading, Sources
from hostler.compat.gunicorn.translation import Outcome, build, list_warnings, translate
from hostler.config import Config, Surroundings
from hostler.contracts import ServerHooks
from hostler.errors import ConfigurationError

NO_APPLICATION = 'no application was named; write "hostler gunicorn module:app", or wsgi_app in the configuration file'


class Door:
    """Holds what `hostler gunicorn` needs before and while it serves."""

    def __init__(
        self, words: Sequence[str], environ: Mapping[str, str], directory: Path, surroundings: Surroundings, pid: int
    ) -> None:
        """Parse the command line; nothing is read yet.

        Args:
            words: Gunicorn's command line.
            environ: the environment variables.
            directory: where the server is started, absolute.
            surroundings: what the configuration's rules need to know.
            pid: the supervisor's process id, for the hooks.

        Raises:
            ConfigurationError: it is wrong.
        """
        self._sources = Sources(words, environ, directory)
        self._environ = environ
        self._surroundings = surroundings
        self._pid = pid
        self._server: Server | None = None
        self._hooks: GunicornHooks | None = None
        self._unread: Config | None = None
        self.reading: Reading | None = None
        self.outcomes: tuple[Outcome, ...] = ()
        self.warnings: list[str] = []

    def read(self) -> Config:
        """Read everything, and keep it for the first `load`.

        Raises:
            ConfigurationError: something is wrong, or no application is named.
        """
        reading = self._sources.read()
        outcomes = translate(reading, self._environ)
        config = build(reading, outcomes, self._environ, self._surroundings)
        if config.app.target is None:
            raise ConfigurationError(NO_APPLICATION)
        self.reading, self.outcomes = reading, outcomes
        self.warnings = list_warnings(reading, outcomes)
        if self._server is None:
            self._server = Server(self._pid, Settings(reading.values))
        self._hooks = GunicornHooks(self._server, reading.values, reading.directory, self.warnings)
        self._unread = config
        return config

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
