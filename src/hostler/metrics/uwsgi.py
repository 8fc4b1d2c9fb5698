"""uWSGI's stats server: whoever connects is sent the document, and the connection is closed."""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable, Sequence

from hostler.contracts import Listener
from hostler.system.clock import unix_nanos
from hostler.system.sockets import accept_connection
from hostler.telemetry.snapshot import Snapshot
from hostler.telemetry.uwsgi_stats import Instance, write_stats

# Seconds that a client has to take the document, which fits into the socket's buffer unless somebody is playing
# (arbitrary).
SEND_TIMEOUT = 1.0


class StatsServer:
    """Serves the statistics in a thread, one client after the other."""

    def __init__(self, listeners: Sequence[Listener], observe: Callable[[], Snapshot], instance: Instance) -> None:
        """Serve at `listeners` what `observe` returns."""
        self._listeners = listeners
        self._observe = observe
        self._instance = instance
        self._log = logging.getLogger("hostler")

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        if self._listeners:
            threading.Thread(target=self._run, name="uwsgi stats", daemon=True).start()

    def _run(self) -> None:
        poller = select.poll()
        for listener in self._listeners:
            poller.register(listener.fd, select.POLLIN)
        while True:
            for fd, _ in poller.poll():
                self._serve(fd)

    def _serve(self, fd: int) -> None:
        """Serve one client, if there is still one: the metrics process of another generation may have been quicker."""
        try:
            client = accept_connection(fd)
            if client is None:
                return
            with client:
                client.settimeout(SEND_TIMEOUT)
                client.sendall(write_stats(self._observe(), self._instance, unix_nanos() / 1_000_000_000))
        except OSError as error:
            self._log.debug("metrics: a client of the uWSGI statistics was not served: %s", error)
