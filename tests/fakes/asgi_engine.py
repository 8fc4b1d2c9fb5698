"""A stand-in for the ASGI engine: driven by a real loop, one request per connection, and the same orders."""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Sequence
from typing import Any, cast

from hostler.contracts import AsgiApplication, AsgiHooks, EngineSettings, Listener, Message, Mount


class FakeAsgiEngine:
    """Keeps the part of the engine's contract that a worker depends on.

    `GET` is all it understands, `/fail-turn` makes the engine itself fail, and WSGI mounts answer with what their
    application returned, from the thread that the worker gave.
    """

    def __init__(
        self,
        settings: EngineSettings,
        listeners: Sequence[Listener],
        mounts: Sequence[Mount],
        hooks: AsgiHooks,
        loop: asyncio.AbstractEventLoop,
        state: dict[str, Any] | None,
    ) -> None:
        self._listeners: dict[int, Listener] = {}
        self._wake_read, self._wake_write = os.pipe()
        if settings.access_log_format == "unusable":
            raise ValueError("the access log format is unusable")
        self.settings = settings
        self.state = state
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.prefix))
        self._hooks = hooks
        self._loop = loop
        self._epoll = select.epoll()
        # Its own, as the worker closes what it was given.
        self._listeners.update({os.dup(each.fd): each for each in listeners})
        for fd in (*self._listeners, self._wake_read, settings.lifeline_fd):
            self._epoll.register(fd, select.EPOLLIN)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._is_finished = False

    def __del__(self) -> None:
        for fd in (*self._listeners, self._wake_read, self._wake_write):
            os.close(fd)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def turn(self) -> None:
        assert not self._is_finished, "a finished engine was called"
        for fd, _ in self._epoll.poll(0):
            if fd == self._wake_read:
                self._obey(os.read(fd, 64))
            elif fd == self.settings.lifeline_fd:
                self._epoll.unregister(fd)
                self._begin_drain()
            elif fd in self._listeners:
                self._accept(fd)
        self._finish_if_idle()

    def drain(self) -> None:
        os.write(self._wake_write, b"d")

    def stop(self) -> None:
        os.write(self._wake_write, b"s")

    def requests(self) -> list[asyncio.Task[None]]:
        return [task for task in self._tasks if not task.done()]

    def reopen_logs(self) -> None:
        self._hooks.log(20, "the access log was reopened")

    def _obey(self, orders: bytes) -> None:
        self._begin_drain()
        if b"s" in orders:
            for task in self._tasks:
                task.cancel()

    def _begin_drain(self) -> None:
        self._is_draining = True
        for fd in self._listeners:
            os.close(fd)
        self._listeners.clear()

    def _finish_if_idle(self) -> None:
        if self._is_draining and not self._tasks and not self._is_finished:
            self._is_finished = True
            self._hooks.finished()

    def _accept(self, fd: int) -> None:
        server = socket.socket(fileno=fd)
        try:
            connection, _ = server.accept()
        except BlockingIOError:
            return
        finally:
            server.detach()
        connection.settimeout(10)
        head = connection.recv(65536)
        path = head.split(b" ")[1].decode("latin-1")
        if path == "/fail-turn":
            connection.close()
            raise ZeroDivisionError("the engine is broken")
        mount = next(each for each in self._mounts if path.startswith(each.prefix))
        if mount.interface == "wsgi":
            self._serve_wsgi(mount, connection, path)
            return
        task = self._loop.create_task(self._serve(mount, connection, path))
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # As the real one does it: finished requests are noted in a turn.
        os.write(self._wake_write, b"d" if self._is_draining else b"")

    def _serve_wsgi(self, mount: Mount, connection: socket.socket, path: str) -> None:
        def call() -> None:
            environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": mount.prefix, "PATH_INFO": path[len(mount.prefix) :]}
            answer(connection, 200, b"".join(mount.application(environ, lambda *_: None)))  # type: ignore[call-arg,arg-type]

        self._hooks.submit(call)

    async def _serve(self, mount: Mount, connection: socket.socket, path: str) -> None:
        status, body = 500, b""

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "asgi": {"version": "3.0"}}
        if self.state is not None:
            scope["state"] = dict(self.state)
        try:
            await cast("AsgiApplication", mount.application)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - what the application raises is the engine's to answer
            request = {"id": "fake-1", "method": "GET", "path": path, "client": "127.0.0.1", "interface": "http"}
            status, body = 500, self._hooks.application_failed(error, request) or b"failed"
        finally:
            answer(connection, status, body)


def answer(connection: socket.socket, status: int, body: bytes) -> None:
    with connection:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
