"""Applications around which `pre_request` and `post_request` are called.

An error of `pre_request` is the request's, as with Gunicorn; one of `post_request` is logged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from hostler.compat.gunicorn.likeness import (
    Request,
    Response,
    Worker,
    build_environ,
    read_environ,
    read_scope,
)
from hostler.contracts import AsgiApplication, Message, Mount, Receive, Send, WsgiApplication

Hook = Callable[..., object]


def count_arguments(hook: Hook, most: int) -> int:
    """Tell how many of at most so many arguments a hook takes."""
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):  # written in C and silent about it
        return most
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return most
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(most, sum(each.kind in places for each in parameters))


@dataclass(frozen=True, slots=True)
class RequestHooks:
    """The two hooks of one worker.

    Attributes:
        worker: gives the worker that this is; known after the fork only.
        before: `pre_request`, or None.
        after: `post_request`, or None.
    """

    worker: Callable[[], Worker]
    before: Hook | None
    after: Hook | None

    def begin(self, request: Request) -> None:
        """Call `pre_request`."""
        self.worker().nr += 1
        if self.before is not None:
            self.before(self.worker(), request)

    def end(self, request: Request, environ: dict[str, Any], response: Response) -> None:
        """Call `post_request`."""
        if self.after is None:
            return
        worker = self.worker()
        arguments = (worker, request, environ, response)
        try:
            self.after(*arguments[: count_arguments(self.after, 4)])
        except Exception:  # the border of the operator's code
            worker.log.exception("post_request failed")

    def wrap(self, mount: Mount) -> Mount:
        """Give what is called in the application's place."""
        if mount.interface == "asgi":
            return Mount(mount.prefix, "asgi", AsgiRequests(self, cast("AsgiApplication", mount.application)))
        return Mount(mount.prefix, "wsgi", WsgiRequests(self, cast("WsgiApplication", mount.application)))


class WsgiRequests:
    """A WSGI application with hooks around it."""

    def __init__(self, hooks: RequestHooks, application: WsgiApplication) -> None:
        """Wrap `application`."""
        self._hooks = hooks
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:  # noqa: ANN401 - what the application gives
        """Answer one request."""
        request, response = read_environ(environ), Response()

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401 - PEP 3333
            response.status, response.headers = status, headers
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        def finish() -> None:
            self._hooks.end(request, environ, response)

        self._hooks.begin(request)
        try:
            result = self._application(environ, start)
        except BaseException:
            finish()
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(wrapper, type) and isinstance(result, wrapper)
        if is_file or isinstance(result, list | tuple):
            # These pass through as they are: the engine sends files by the kernel, and knows the length of a list.
            finish()
            return result
        return Watched(result, finish)


class Watched:
    """A result that tells when it is closed."""

    def __init__(self, result: Any, finish: Callable[[], None]) -> None:  # noqa: ANN401 - any iterable, with or without close
        """Pass `result` on; `finish` is called once, at its end."""
        self._result = result
        self._finish = finish

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._result)

    def close(self) -> None:
        """Close the result; PEP 3333 has every server call this, however the response ends."""
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            self._finish()


class AsgiRequests:
    """An ASGI application with hooks around its HTTP requests."""

    def __init__(self, hooks: RequestHooks, application: AsgiApplication) -> None:
        """Wrap `application`."""
        self._hooks = hooks
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one scope; lifespan and WebSockets pass through."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request, response = read_scope(scope), Response()

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                response.status = str(message["status"])
                response.headers = [
                    (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                    for name, value in message.get("headers", ())
                ]
            await send(message)

        self._hooks.begin(request)
        try:
            await self._application(scope, receive, note)
        finally:
            self._hooks.end(request, build_environ(scope), response)
