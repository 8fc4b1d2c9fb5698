"""Which event loop an ASGI worker runs in.

Nothing here imports a loop before one is made: the supervisor and the command line only want to know the name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hostler.errors import ConfigurationError

if TYPE_CHECKING:
    import asyncio

_OPTION = "workers.loop"


def describe_loop(choice: str) -> str:
    """Name the loop that a choice leads to, without importing it: "uvloop", "asyncio", or "module:factory"."""
    if choice != "auto":
        return choice
    return "uvloop" if importlib.util.find_spec("uvloop") is not None else "asyncio"


def name_loop(loop: asyncio.AbstractEventLoop) -> str:
    """Name a loop that was made, by the package that it comes from."""
    return type(loop).__module__.partition(".")[0]


def make_loop(choice: str) -> asyncio.AbstractEventLoop:
    """Make the loop; after fork, in the worker. It is in debug mode if the interpreter says so.

    Both kinds of loop read `PYTHONASYNCIODEBUG` and asyncio also `-X dev` when they are made.

    Args:
        choice: the value of `workers.loop`.

    Raises:
        ConfigurationError: there is no such loop.
    """
    if choice == "asyncio":
        return _make_asyncio()
    if choice == "uvloop":
        return _make_uvloop()
    if choice == "auto":
        try:
            return _make_uvloop()
        except ConfigurationError:
            import asyncio

            # As the application's own policy has it, if it has set one.
            return asyncio.new_event_loop()
    return _make_custom(choice)


def _make_asyncio() -> asyncio.AbstractEventLoop:
    import asyncio

    # The class, since `new_event_loop` gives what a policy says, and policies are deprecated as of Python 3.14.
    return asyncio.SelectorEventLoop()


def _make_uvloop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError as error:
        raise ConfigurationError(
            f'{_OPTION} is "uvloop", which cannot be imported ({error}); install hostler[uvloop], or say "asyncio"'
        ) from None
    return uvloop.new_event_loop()


def _make_custom(choice: str) -> asyncio.AbstractEventLoop:
    """Make a loop by a factory, or a class, of somebody else's."""
    import asyncio

    factory = _find_factory(choice)
    try:
        loop = factory()
    except Exception as error:
        raise ConfigurationError(f'{_OPTION} is "{choice}", which failed: {type(error).__name__}: {error}') from error
    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise ConfigurationError(
            f'{_OPTION} is "{choice}", which made an object of type {type(loop).__name__}; it must make an event loop'
        )
    return loop


def _find_factory(choice: str) -> Callable[[], Any]:
    module_name, _, path = choice.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f'{_OPTION} is "{choice}", which is not there: {error}') from error
    if not callable(found):
        raise ConfigurationError(f'{_OPTION} is "{choice}", which is no factory: it cannot be called')
    factory: Callable[[], Any] = found
    return factory
