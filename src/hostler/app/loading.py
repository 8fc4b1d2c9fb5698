"""Load the application that a target names, and explain in one line why it could not be.

This runs in a worker, or in the supervisor with `app.preload`; it runs the application's own code, so whatever that
raises is caught here, at the border, and told as the application's error with its own traceback.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from hostler.app.interface import ARGUMENTS, Choice, Dialect, accepts, adapt, detect_dialect, is_coroutine_function
from hostler.app.target import Call, Target, parse_target
from hostler.contracts import AsgiApplication, Interface, WsgiApplication
from hostler.errors import ApplicationError

# Tried in this order where a target names a module only.
USUAL_NAMES = ("app", "application")
USUAL_FACTORIES = ("create_app",)

_OWN_DIRECTORY = f"{Path(__file__).absolute().parent.parent}/"
_IMPORT_FILES = ("<frozen importlib", importlib.__file__)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class LoadedApplication:
    """An application, ready to be called.

    Attributes:
        application: what is called.
        interface: how.
    """

    application: WsgiApplication | AsgiApplication
    interface: Interface


def load_application(target: Target | str, interface: Choice = "auto") -> LoadedApplication:
    """Import the module or file that `target` names, and give the application in it.

    The import path is searched as it stands: change directory and extend it before.

    Args:
        target: what to load.
        interface: how the application is called, or "auto" to find out.

    Raises:
        ApplicationError: there is no such thing, its code failed, or it is no application. The text says which and
            what to do; `details` has the application's traceback when its code failed.
    """
    if isinstance(target, str):
        target = parse_target(target)
    module = _load_file(target) if target.path else _import_module(target)
    if target.attributes:
        found, label = _find_attribute(module, target), str(target)
        if target.call is not None:
            found = _call_factory(found, target.call, label)
    else:
        found, label = _find_usual(module, target)
    subject = f'"{label}": {"the factory gave" if target.call is not None else "that is"} {_describe(found)}'
    return _resolve_interface(found, label, subject, interface)


def load_callable(target: str) -> Callable[..., object]:
    """Import the module of a target such as "module:function", and give what it names.

    Raises:
        ApplicationError: there is no such thing, its module failed, or it cannot be called.
    """
    parsed = parse_target(target)
    found = _find_attribute(_import_module(parsed), parsed)
    if not callable(found):
        raise ApplicationError(f'"{target}": that is {_describe(found)}, which cannot be called')
    return found


def call_foreign(call: Callable[[], object], label: str) -> None:
    """Call something that is not ours.

    Raises:
        ApplicationError: whatever it raised, with its traceback.
    """
    try:
        call()
    except Exception as error:  # code of others may raise anything; this is its border
        text = " ".join(str(error).split()) or "no message"
        raise ApplicationError(f"{label} failed: {type(error).__name__}: {text}", describe_failure(error)) from error


def _import_module(target: Target) -> ModuleType:
    name = target.module
    try:
        return _run(lambda: importlib.import_module(name), target)
    except ApplicationError as failure:
        error = failure.__cause__
        if not isinstance(error, ModuleNotFoundError) or not error.name or any(_list_foreign_frames(error)):
            raise  # the module is there, and failed in its own code
        if not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ApplicationError(_describe_missing_module(target, error.name)) from None


def _describe_missing_module(target: Target, missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    if parent:
        package = sys.modules.get(parent)
        places = list(getattr(package, "__path__", []))
        text = f'"{target}": {parent} has no module "{last}"'
        if not places:
            return f'{text}: {parent} is a single file; name what is in it as "{parent}:{last}"'
    else:
        # Nobody's application is what Python brings along or has installed: "zipapp" and "pip" are much like "app".
        foreign = (f"{sys.prefix}/", f"{sys.base_prefix}/lib")
        places = [str(Path.cwd()), *(place for place in sys.path if not place.startswith(foreign))]
        text = f'"{target}": there is no module "{missing}" in {Path.cwd()} or on the import path'
    nearest = _find_nearest(last, _list_modules(places))
    if nearest:
        return f'{text}; did you mean "{".".join(filter(None, (parent, nearest[0])))}"?'
    return f"{text}; start in the directory that holds it, or name that with --chdir or --python-path"


def _find_nearest(name: str, known: list[str]) -> list[str]:
    """Give the known name most like this one, if any is like it at all."""
    import difflib  # for those who have made a mistake

    return difflib.get_close_matches(name, known, n=1)


def _list_modules(places: Iterable[str]) -> list[str]:
    entries = (entry for place in places for entry in _list_entries(Path(place)))
    return [entry.stem for entry in entries if entry.stem.isidentifier() and _is_module(entry)]


def _is_module(entry: Path) -> bool:
    return entry.suffix == ".py" or (not entry.suffix and entry.is_dir())


def _load_file(target: Target) -> ModuleType:
    path = Path(target.path).absolute()
    if path.is_dir():
        raise ApplicationError(f'"{target}" is a directory; name the file in it that makes the application')
    if not path.is_file():
        nearest = _find_nearest(path.name, _list_scripts(path.parent))
        where = Path(target.path).parent / nearest[0] if nearest else ""
        hint = f'did you mean "{where}"?' if nearest else f"it was looked for in {path.parent}"
        raise ApplicationError(f'"{target}": there is no file "{target.path}"; {hint}')
    root, name = _name_module(path)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    if "." in name:
        return _run(lambda: importlib.import_module(name), target)
    return _run(lambda: _execute_file(name, path), target)


def _list_scripts(directory: Path) -> list[str]:
    return [entry.name for entry in _list_entries(directory) if entry.suffix in {".py", ".wsgi"}]


def _list_entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []  # this only serves a hint: what cannot be read is not suggested


def _name_module(path: Path) -> tuple[Path, str]:
    """Give the directory that must be on the import path, and the module's dotted name: packages are recognised."""
    root, parts = path.parent, [path.stem]
    while path.suffix == ".py" and path.stem.isidentifier() and (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return root, ".".join(parts)


def _execute_file(name: str, path: Path) -> ModuleType:
    """Run a file as the module `name`, whatever the file's suffix is and whatever else has that name."""
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise ImportError(f"{path} cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _find_attribute(module: ModuleType, target: Target) -> object:
    found: object = module
    where = f'module "{module.__name__}"'
    for name in target.attributes:
        if not hasattr(found, name):
            nearest = _find_nearest(name, [known for known in dir(found) if known[:1] != "_"])
            raise ApplicationError(f'"{target}": {where} has no "{name}"; {_hint_attribute(nearest, found)}')
        found = getattr(found, name)
        where = f'"{name}"'
    return found


def _hint_attribute(nearest: list[str], found: object) -> str:
    if nearest:
        return f'did you mean "{nearest[0]}"?'
    usual = [name for name in USUAL_NAMES if hasattr(found, name)]
    usual += [f"{name}()" for name in USUAL_FACTORIES if hasattr(found, name)]
    return f'it has "{usual[0]}"' if usual else "name the object that is the application"


def _find_usual(module: ModuleType, target: Target) -> tuple[object, str]:
    """Find the application under its usual names; the label names it in full for messages."""
    for name in USUAL_NAMES:
        if hasattr(module, name) and not isinstance(getattr(module, name), ModuleType):
            return getattr(module, name), f"{target}:{name}"
    for name in USUAL_FACTORIES:
        if callable(getattr(module, name, None)):
            label = f"{target}:{name}()"
            return _call_factory(getattr(module, name), Call(), label), label
    usual = ", ".join((*USUAL_NAMES, *(f"{name}()" for name in USUAL_FACTORIES)))
    raise ApplicationError(f'"{target}": the module has none of {usual}; name the application as "{target}:NAME"')


def _call_factory(factory: object, call: Call, label: str) -> object:
    if not callable(factory):
        raise ApplicationError(
            f'"{label}": that is {_describe(factory)}, which cannot be called; leave out the parentheses'
        )
    try:
        inspect.signature(factory).bind(*call.arguments, **call.keywords)
    except TypeError as error:
        raise ApplicationError(f'"{label}": the factory cannot be called like this: {error}') from None
    except ValueError:
        pass  # a callable written in C does not tell its signature
    return _run(lambda: factory(*call.arguments, **call.keywords), label)


def _resolve_interface(found: object, label: str, subject: str, interface: Choice) -> LoadedApplication:
    """Tell an application from what is often named in its place, and how it is called."""
    if not callable(found):
        raise ApplicationError(f"{subject}, not an application (a callable)")
    if interface != "auto":
        _check_choice(found, subject, interface)
        return LoadedApplication(*adapt(found, interface))
    dialect = detect_dialect(found)
    if dialect is None:
        raise ApplicationError(f"{subject}, {_explain_refusal(found, label)}")
    return LoadedApplication(*adapt(found, dialect))


def _check_choice(found: Callable[..., object], subject: str, dialect: Dialect) -> None:
    """Refuse what could not even be called in the way that was asked for."""
    count = ARGUMENTS[dialect]
    if accepts(found, count) is False:
        takes = "one argument" if count == 1 else f"{count} arguments"
        raise ApplicationError(f"{subject}, which cannot be called with the {takes} of --interface {dialect}")


def _explain_refusal(found: Callable[..., object], label: str) -> str:
    """Say why something callable is not recognised as an application, and what to do."""
    if accepts(found, ARGUMENTS["wsgi"]) is not False or accepts(found, ARGUMENTS["asgi"]) is not False:
        return (
            "which does not tell how it is called; say so with --interface asgi, asgi2 or wsgi, "
            "or wrap it in a function with the arguments of one of them"
        )
    if accepts(found, 0) and is_coroutine_function(found):
        return "a coroutine function without arguments; a factory must be an ordinary function"
    if accepts(found, 0):
        return f'which takes no arguments; it looks like a factory; write "{label}()"'
    hint = "WSGI calls an application with environ and start_response, ASGI with scope, receive and send"
    if accepts(found, ARGUMENTS["asgi2"]):
        return f"which takes one argument; {hint}; if it is an ASGI 2 application, say --interface asgi2"
    return f"whose arguments fit no interface; {hint}"


def _describe(found: object) -> str:
    if isinstance(found, ModuleType):
        return f'the module "{found.__name__}"'
    if inspect.isfunction(found):
        return f"the function {found.__name__}"
    if inspect.isclass(found):
        return f"the class {found.__name__}"
    if found is None:
        return "None"
    return f"an object of type {type(found).__name__}"


def _run(load: Callable[[], Result], target: Target | str) -> Result:
    """Run the application's code, and turn whatever it raises into an ApplicationError."""
    try:
        return load()
    except SystemExit as error:
        text = (
            f'"{target}" ended the program while it was loaded (exit status {error.code}); leave that to its main guard'
        )
        raise ApplicationError(text, describe_failure(error)) from error
    except Exception as error:  # the application's code may raise anything; this is its border
        raise ApplicationError(_summarise(error, str(target)), describe_failure(error)) from error


def _summarise(error: Exception, label: str) -> str:
    """Say in one line what the application's code raised, and where."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({_shorten(error.filename)}:{error.lineno})"
        text = error.msg
    else:
        frames = list(_list_foreign_frames(error))
        where = f" ({_shorten(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    if len(text) > 200:
        text = text[:197] + "..."
    return f'"{label}" could not be loaded: {type(error).__name__}: {text}{where}'


def _shorten(filename: str) -> str:
    return filename.removeprefix(f"{Path.cwd()}/")


def _list_foreign_frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    """List the frames of a traceback that are neither Hostler's nor the import machinery's."""
    return (frame for frame in traceback.extract_tb(error.__traceback__) if not _is_own(frame.filename))


def _is_own(filename: str) -> bool:
    return filename.startswith((_OWN_DIRECTORY, *_IMPORT_FILES))


def describe_failure(error: BaseException) -> str:
    """Write an exception's traceback, causes included, without the frames of Hostler and of the import machinery."""
    summary = traceback.TracebackException.from_exception(error)
    seen: set[int] = set()
    pending: list[Any] = [summary]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = traceback.StackSummary.from_list([frame for frame in one.stack if not _is_own(frame.filename)])
        pending += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    return "".join(summary.format())
