"""A stand-in for the extension: one thread, one request per connection, and the same orders by signal and lifeline."""

from __future__ import annotations

import io
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, cast

from hostler.contracts import EngineHooks, EngineSettings, Listener, Mount, WsgiApplication


class FakeEngine:
    """Keeps the part of the engine's contract that the supervisor depends on."""

    def __init__(
        self,
        settings: EngineSettings,
        listeners: Sequence[Listener],
        mounts: Sequence[Mount],
        hooks: EngineHooks,
    ) -> None:
        if settings.access_log_format == "unusable":
            raise ValueError("the access log format is unusable")
        self._settings = settings
        # Its own, as the worker closes what it was given.
        self._listeners = {os.dup(each.fd): each for each in listeners}
        self._application = cast("WsgiApplication", mounts[0].application)
        self._hooks = hooks
        self._served = 0
        self._is_running = True

    def run(self) -> None:
        while self._is_running:
            watched = [self._settings.signal_fd, self._settings.lifeline_fd, *self._listeners]
            readable, _, _ = select.select([fd for fd in watched if fd >= 0], [], [])
            if self._settings.signal_fd in readable:
                self._obey(os.read(self._settings.signal_fd, 64))
            elif self._settings.lifeline_fd in readable:
                self._is_running = False
            else:
                for fd in readable:
                    self._accept(fd)
        # Draining: what the kernel has queued for us is still answered.
        for fd in self._listeners:
            while self._accept(fd):
                pass
            os.close(fd)

    def follow(self) -> None:
        raise AssertionError("the fake has one thread")

    def _obey(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._is_running = False
            elif number == signal.SIGQUIT:
                os._exit(0)

    def _accept(self, fd: int) -> bool:
        server = socket.socket(fileno=fd)
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            return False
        finally:
            server.detach()
        with connection:
            connection.settimeout(10)
            self._answer(connection, self._listeners[fd])
        self._served += 1
        if self._settings.max_requests and self._served == self._settings.max_requests:
            self._hooks.recycle()
        return True

    def _answer(self, connection: socket.socket, listener: Listener) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return
            head += data
        method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        collected: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            collected.update(status=status, headers=headers)

        try:
            body = b"".join(self._application(self._environ(method, path, listener), start_response))
        except Exception as error:  # noqa: BLE001 - what the application raises is the engine's to answer
            request = {"id": "fake-1", "method": method, "path": path, "client": "127.0.0.1"}
            body = self._hooks.application_failed(error, request) or b"failed"
            collected.update(status="500 Internal Server Error", headers=[])
        lines = [f"HTTP/1.1 {collected['status']}", f"Content-Length: {len(body)}", "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)

    def _environ(self, method: str, path: str, listener: Listener) -> dict[str, Any]:
        return {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": self._settings.script_name,
            "PATH_INFO": path,
            "SERVER_NAME": listener.host,
            "SERVER_PORT": str(listener.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": self._settings.multiprocess,
            "wsgi.run_once": False,
        }
