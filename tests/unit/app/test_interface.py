"""Telling by which interface an application wants to be called."""
# ruff: noqa: ANN401 - these applications are of any shape

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from hostler.app.interface import Dialect, DoubleCallable, adapt, detect_dialect


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...
async def asgi_otherwise_named(one: Any, two: Any, three: Any) -> None: ...
async def asgi_with_defaults(scope: Any, receive: Any = None, send: Any = None, more: Any = None) -> None: ...
async def asgi_of_any_arguments(*args: Any, **kwargs: Any) -> None: ...


def asgi_by_return(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    return asgi(scope, receive, send)


def asgi_two(scope: Any) -> Callable[..., Awaitable[None]]:
    async def instance(receive: Any, send: Any) -> None: ...

    return instance


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


def wsgi_with_more(environ: Any, start_response: Any, exc_info: Any = None) -> list[bytes]:
    return []


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class AsgiByReturn:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        return asgi(scope, receive, send)


class AsgiStatic:
    @staticmethod
    async def __call__(scope: Any, receive: Any, send: Any) -> None: ...


class AsgiInherited(AsgiObject): ...


class AsgiAwaited:
    """As Starlette's HTTPEndpoint."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Iterator[None]:
        return iter(())


class AsgiTwoClass:
    """As Channels' consumers before version 3."""

    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class AsgiTwoObject:
    def __call__(self, scope: Any) -> Callable[..., Awaitable[None]]:
        return asgi_two(scope)


class SlotCall:
    """As sentry-sdk's middleware: what is called is put into a slot by the constructor."""

    __slots__ = ("__call__",)

    def __init__(self, method: Any) -> None:
        self.__call__ = method


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    def method(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    async def asgi_method(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiClass:
    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


class Marked:
    """An application that can only be told by asgiref's marks."""

    def __init__(self, name: str) -> None:
        setattr(self, name, True)

    def __call__(self, *args: Any) -> Any: ...


def passing_on(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def made_asgi(function: Any) -> Any:
    """A decorator that turns one interface into another, and copies a signature that is no longer true."""

    @functools.wraps(function)
    async def wrapper(scope: Any, receive: Any, send: Any) -> None: ...

    return wrapper


def made_wsgi(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(environ: Any, start_response: Any) -> list[bytes]:
        return []

    return wrapper


def marked_as_coroutine() -> Any:
    def compiled(scope: Any, receive: Any, send: Any) -> None: ...

    # What Cython gives its coroutine functions, and asgiref's markcoroutinefunction others.
    compiled._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    return compiled


@pytest.mark.parametrize(
    "application,dialect",
    [
        (asgi, "asgi"),
        (asgi_otherwise_named, "asgi"),
        (asgi_with_defaults, "asgi"),
        (asgi_of_any_arguments, "asgi"),
        (asgi_by_return, "asgi"),
        (AsgiObject(), "asgi"),
        (AsgiByReturn(), "asgi"),
        (AsgiStatic(), "asgi"),
        (AsgiInherited(), "asgi"),
        (AsgiAwaited, "asgi"),
        (WsgiObject().asgi_method, "asgi"),
        (SlotCall(AsgiObject().__call__), "asgi"),
        (functools.partial(asgi), "asgi"),
        (functools.partial(lambda settings, scope, receive, send: None, {}), "asgi"),
        (functools.partial(passing_on(lambda settings, scope, receive, send: None), {}), "asgi"),
        (functools.partial(AsgiObject()), "asgi"),
        (passing_on(asgi), "asgi"),
        (passing_on(passing_on(asgi_by_return)), "asgi"),
        (made_asgi(wsgi), "asgi"),
        (marked_as_coroutine(), "asgi"),
        (Marked("_asgi_single_callable"), "asgi"),
        (asgi_two, "asgi2"),
        (AsgiTwoClass, "asgi2"),
        (AsgiTwoObject(), "asgi2"),
        (SlotCall(AsgiTwoObject().__call__), "asgi2"),
        (passing_on(asgi_two), "asgi2"),
        (Marked("_asgi_double_callable"), "asgi2"),
        (wsgi, "wsgi"),
        (wsgi_with_more, "wsgi"),
        (lambda environ, *rest: [], "wsgi"),
        (lambda one, two: [], "wsgi"),
        (WsgiObject(), "wsgi"),
        (WsgiObject().method, "wsgi"),
        (WsgiClass, "wsgi"),
        (functools.partial(lambda settings, environ, start_response: [], {}), "wsgi"),
        (passing_on(wsgi), "wsgi"),
        (made_wsgi(asgi), "wsgi"),
    ],
)
def test_interface_is_told_without_a_call(application: Any, dialect: Dialect) -> None:
    assert detect_dialect(application) == dialect


async def coroutine_of_two(receive: Any, send: Any) -> None: ...


class NeitherNor:
    def __init__(self, one: Any, two: Any) -> None: ...


@pytest.mark.parametrize(
    "application",
    [
        lambda: None,
        lambda one: None,
        lambda *args: None,
        lambda one, two, three=None: None,
        coroutine_of_two,
        passing_on(lambda *args: None),
        NeitherNor,
        int,
        print,
    ],
)
def test_what_could_be_anything_is_not_guessed(application: Any) -> None:
    assert detect_dialect(application) is None


FRAMEWORKS: dict[str, tuple[str, tuple[Any, ...] | None, Dialect]] = {
    "flask": ("flask:Flask", ("x",), "wsgi"),
    "bottle": ("bottle:Bottle", (), "wsgi"),
    "falcon": ("falcon:App", (), "wsgi"),
    "falcon.asgi": ("falcon.asgi:App", (), "asgi"),
    "django wsgi": ("django.core.handlers.wsgi:WSGIHandler.__call__", None, "wsgi"),
    "django asgi": ("django.core.handlers.asgi:ASGIHandler.__call__", None, "asgi"),
    "starlette": ("starlette.applications:Starlette", (), "asgi"),
    "starlette endpoint": ("starlette.endpoints:HTTPEndpoint", None, "asgi"),
    "fastapi": ("fastapi:FastAPI", (), "asgi"),
    "litestar": ("litestar:Litestar", (), "asgi"),
    "quart": ("quart:Quart", ("x",), "asgi"),
    "channels": ("channels.routing:ProtocolTypeRouter", ({},), "asgi"),
    "asgiref": ("asgiref.wsgi:WsgiToAsgi", (wsgi,), "asgi"),
}


@pytest.mark.parametrize("target,arguments,dialect", FRAMEWORKS.values(), ids=FRAMEWORKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what frameworks import is their own affair
def test_framework_is_recognised(target: str, arguments: tuple[Any, ...] | None, dialect: Dialect) -> None:
    module, _, path = target.partition(":")
    found: Any = functools.reduce(getattr, path.split("."), cast("Any", importlib.import_module(module)))
    if path.endswith("__call__"):  # making the handler needs settings
        found = functools.partial(found, None)
    assert detect_dialect(found if arguments is None else found(*arguments)) == dialect


def test_application_of_asgi_2_is_called_twice_and_told_so() -> None:
    seen: list[Any] = []

    def application(scope: dict[str, Any]) -> Callable[..., Awaitable[None]]:
        async def instance(receive: Any, send: Any) -> None:
            seen.append((scope["asgi"], await receive()))
            await send("sent")

        return instance

    async def receive() -> str:
        return "received"

    async def send(message: Any) -> None:
        seen.append(message)

    adapted, interface = adapt(application, "asgi2")
    versions = {"version": "3.0", "spec_version": "2.4"}
    asyncio.run(adapted({"asgi": versions}, receive, send))  # type: ignore[arg-type]
    assert (interface, type(adapted)) == ("asgi", DoubleCallable)
    assert seen == [({"version": "2.0", "spec_version": "2.4"}, "received"), "sent"]
    assert versions["version"] == "3.0"
