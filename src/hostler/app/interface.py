"""Tell by which interface an application wants to be called: ASGI 3, ASGI 2 or WSGI.

Theory: nothing is called to find out. What is looked at is what calling the object runs (itself, its type's `__call__`,
or the constructor of a class), first as it is, then as what it wraps (`functools.wraps`): a coroutine function with
room for three arguments is ASGI 3; otherwise the names and the number of the arguments decide. What fits more than one
interface is nobody's guess.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, cast

from hostler.contracts import AsgiApplication, Interface, Receive, Send

# What an application can be; "asgi2" is turned into "asgi" before anything else sees it.
Dialect = Literal["asgi", "asgi2", "wsgi"]
Choice = Literal["auto", "asgi", "asgi2", "wsgi"]
# How many arguments a call has: scope, receive, send; scope; environ, start_response.
ARGUMENTS: dict[Dialect, int] = {"asgi": 3, "asgi2": 1, "wsgi": 2}

# What the first argument is called by convention (the ASGI and WSGI specifications, and old habits).
_FIRST_NAMES: dict[str, tuple[Dialect, ...]] = {
    "scope": ("asgi", "asgi2"),
    "environ": ("wsgi",),
    "env": ("wsgi",),
}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def detect_dialect(application: Callable[..., object]) -> Dialect | None:
    """Tell how an application is called; None when it cannot be told."""
    hinted = _read_hint(application)
    if hinted is not None:
        return hinted
    if inspect.isclass(application):
        return _detect_class(application)
    call = find_call(application)
    for function, signature in _list_views(call):
        told = _judge(function, signature)
        if told is not None:
            return told
    return None


def _read_hint(application: Callable[..., object]) -> Dialect | None:
    """Read the marks that asgiref defines for applications that cannot be told apart (asgiref.compatibility)."""
    if getattr(application, "_asgi_single_callable", None) is True:
        return "asgi"
    if getattr(application, "_asgi_double_callable", None) is True:
        return "asgi2"
    return None


def _detect_class(application: type) -> Dialect | None:
    """Judge a class that is called itself, by what its instances can do: be awaited, be called, or be iterated."""
    if hasattr(application, "__await__") and accepts(application, ARGUMENTS["asgi"]):
        return "asgi"
    if is_coroutine_function(getattr(application, "__call__", None)) and accepts(application, ARGUMENTS["asgi2"]):  # noqa: B004 - whether its instances' call is a coroutine function
        return "asgi2"
    if hasattr(application, "__iter__") and accepts(application, ARGUMENTS["wsgi"]):
        return "wsgi"
    return None


def find_call(application: Callable[..., object]) -> Callable[..., object]:
    """Give what runs when the object is called; for an instance that is its type's `__call__`, bound to it."""
    if inspect.isroutine(application) or inspect.isclass(application) or isinstance(application, partial):
        return application
    # As the class has it: a static method must not be bound.
    found = inspect.getattr_static(type(application), "__call__", None)
    if not hasattr(type(found), "__get__"):
        return found if callable(found) else application
    # A slot filled by the constructor is found as well, as the interpreter finds it (sentry-sdk does that).
    bound = found.__get__(application, type(application))
    return cast("Callable[..., object]", bound) if callable(bound) else application


def _list_views(call: Callable[..., object]) -> Iterator[tuple[Callable[..., object], inspect.Signature | None]]:
    """List a callable as it is, then as what it wraps, each with its signature or None if it does not tell."""
    yield call, _read_signature(call, follow=False)
    followed = _read_signature(call, follow=True)
    if followed is not None:
        yield inspect.unwrap(call), followed


def _read_signature(call: Callable[..., object], *, follow: bool) -> inspect.Signature | None:
    try:
        return inspect.signature(call, follow_wrapped=follow)
    except (TypeError, ValueError):  # written in C and silent about it, or no function after all
        return None


def _judge(function: Callable[..., object], signature: inspect.Signature | None) -> Dialect | None:
    is_coroutine = is_coroutine_function(function)
    if signature is None:
        return "asgi" if is_coroutine else None
    fitting = [dialect for dialect, count in ARGUMENTS.items() if _binds(signature, count)]
    if is_coroutine:
        return "asgi" if "asgi" in fitting else None
    for dialect in _FIRST_NAMES.get(_first_name(signature), ()):
        if dialect in fitting:
            return dialect
    # One argument of some other name is a factory as likely as an ASGI 2 application.
    likely = [dialect for dialect in fitting if dialect != "asgi2"]
    return likely[0] if len(likely) == 1 else None


def _first_name(signature: inspect.Signature) -> str:
    first = next(iter(signature.parameters.values()), None)
    return first.name if first is not None and first.kind in _POSITIONAL else ""


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def accepts(call: Callable[..., object], count: int) -> bool | None:
    """Tell whether so many arguments can be given; None when the callable does not say what it takes."""
    signature = _read_signature(call, follow=True)
    return None if signature is None else _binds(signature, count)


def is_coroutine_function(function: object) -> bool:
    """Tell whether a call makes a coroutine, also for what was compiled or marked as such."""
    while isinstance(function, partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    # Cython's functions and asgiref's `markcoroutinefunction` carry asyncio's own mark, an object without a type.
    return type(getattr(function, "_is_coroutine", None)) is object


class DoubleCallable:
    """An ASGI 2 application as one of ASGI 3: called with the scope, then with receive and send."""

    def __init__(self, application: Callable[..., Any]) -> None:
        """Adapt `application`."""
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one scope, which says that this is ASGI 2."""
        scope["asgi"] = {**scope.get("asgi", {}), "version": "2.0"}
        await self.application(scope)(receive, send)


def adapt(application: Callable[..., Any], dialect: Dialect) -> tuple[AsgiApplication | Callable[..., Any], Interface]:
    """Give what the engine calls, and how."""
    if dialect == "asgi2":
        return DoubleCallable(application), "asgi"
    return application, dialect
