"""The test's side of `tests.e2e.apps.robust.hold`: calls of the application arrive here and wait to be let through.

So a test knows which calls run at this moment, and decides when they end, without guessing at times.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Self

from tests.e2e.harness import PATIENCE, ServerError


class Gate:
    """A unix socket that calls of the application wait at.

    Attributes:
        path: where it listens; the application finds it in the variable GATE.
    """

    def __init__(self) -> None:
        # Not pytest's directory, whose paths can be longer than a unix socket's may be.
        self._directory = Path(tempfile.mkdtemp(prefix="gate-"))
        self._directory.chmod(0o755)
        self.path = self._directory / "gate"
        self._changed = threading.Condition()
        self._seen: dict[str, int] = {}
        self._held: dict[str, list[socket.socket]] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self.path.chmod(0o777)
        self._listener.listen(1024)
        self._thread = threading.Thread(target=self._admit, name="gate", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def env(self) -> dict[str, str]:
        """The variables that the server needs."""
        return {"GATE": str(self.path)}

    def count(self, name: str) -> int:
        """How many calls of that name have arrived so far."""
        with self._changed:
            return self._seen.get(name, 0)

    def wait(self, name: str, count: int = 1, timeout: float = PATIENCE) -> None:
        """Wait until `count` calls of that name have arrived since the beginning.

        Raises:
            ServerError: fewer have arrived within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._seen.get(name, 0) >= count, timeout):
                seen = self._seen.get(name, 0)
                raise ServerError(f"{timeout:g} s went by with {seen} of {count} calls named {name!r}")

    def release(self, name: str, count: int | None = None) -> None:
        """Let calls of that name through: the `count` that came first, or all that wait."""
        with self._changed:
            waiting = self._held.get(name, [])
            let_through, self._held[name] = (waiting, []) if count is None else (waiting[:count], waiting[count:])
        for call in let_through:
            call.close()

    def close(self) -> None:
        """Let everybody through, and be gone."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()
        for name in list(self._held):
            self.release(name)
        shutil.rmtree(self._directory)

    def _admit(self) -> None:
        while True:
            try:
                call, _ = self._listener.accept()
            except OSError:
                return  # closed
            call.settimeout(PATIENCE)
            with call.makefile("r") as lines:
                name = lines.readline().rstrip("\n")
            with self._changed:
                self._seen[name] = self._seen.get(name, 0) + 1
                self._held.setdefault(name, []).append(call)
                self._changed.notify_all()
