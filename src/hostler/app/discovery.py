"""Recognise the application in a project directory by reading its files; nothing of the project is imported or run.

Each Python file near the top is parsed, and what its module-level names are bound to is looked up in a table of
frameworks. A file named by convention (`wsgi.py`, `asgi.py`, then `app.py` or `application.py`) goes before others; two
that are equally good are an error that lists both, never a guess.

A Django project has both interfaces. WSGI is what it gets, as Django's own views and middleware are mostly synchronous
and run in threads either way, unless it uses Channels or names an ASGI application only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostler.contracts import Interface
from hostler.errors import ApplicationError

# What makes an application, by the dotted name under which its module has it.
WSGI_MAKERS = {
    "flask.Flask": "Flask",
    "bottle.Bottle": "Bottle",
    "bottle.default_app": "Bottle",
    "bottle.app": "Bottle",
    "falcon.App": "Falcon",
    "falcon.API": "Falcon",
    "django.core.wsgi.get_wsgi_application": "Django",
    "web.application": "web.py",
    "cherrypy.Application": "CherryPy",
    "werkzeug.Application": "Werkzeug",
}
ASGI_MAKERS = {
    "fastapi.FastAPI": "FastAPI",
    "fastapi.applications.FastAPI": "FastAPI",
    "starlette.applications.Starlette": "Starlette",
    "quart.Quart": "Quart",
    "litestar.Litestar": "Litestar",
    "litestar.app.Litestar": "Litestar",
    "falcon.asgi.App": "Falcon",
    "sanic.Sanic": "Sanic",
    "blacksheep.Application": "BlackSheep",
    "channels.routing.ProtocolTypeRouter": "Channels",
    "django.core.asgi.get_asgi_application": "Django",
    "socketio.ASGIApp": "python-socketio",
}
# What something is called that nothing is known of but its interface.
GENERIC = frozenset({"WSGI", "ASGI"})
_ARGUMENTS: dict[tuple[str, ...], Interface] = {
    ("environ", "start_response"): "wsgi",
    ("scope", "receive", "send"): "asgi",
}
# Methods that make an application, whatever the object is called.
WSGI_METHODS = {"make_wsgi_app": "Pyramid"}

_NAMES = ("app", "application", "create_app", "make_app")
_RANKS = {"wsgi": 0, "asgi": 1, "app": 2, "application": 2}
_OTHER_RANK = 3
_ENTRANCES: dict[str, Interface] = {"wsgi": "wsgi", "asgi": "asgi"}
_SKIPPED = ("test_", "conftest", "setup", "noxfile", "fabfile", "manage")
# Bounds on what is read, so that starting in a wrong directory (a home, a tree of data) stays quick.
_MOST_FILES = 100
_LARGEST_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class Discovery:
    """An application that was recognised.

    Attributes:
        target: how to load it.
        framework: what it is made with, for people; "WSGI" or "ASGI" when that cannot be told.
        reason: the file or variable that told.
        interface: how it seems to be called.
        note: why this one, where the project has another, too; empty otherwise.
    """

    target: str
    framework: str
    reason: str
    interface: Interface = "wsgi"
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    target: str
    framework: str
    reason: str
    rank: int
    interface: Interface = "wsgi"
    note: str = ""


# What a name in a module is bound to: the framework and the interface.
Made = tuple[str, Interface]


def discover(directory: Path | str, environ: Mapping[str, str] | None = None) -> Discovery | None:
    """Recognise the application of a project.

    Args:
        directory: the project's top, which will be on the import path.
        environ: environment variables; FLASK_APP and DJANGO_SETTINGS_MODULE are looked at.

    Returns:
        What was recognised, or None when there is nothing like an application.

    Raises:
        ApplicationError: several equally good candidates.
    """
    directory = Path(directory)
    environ = environ or {}
    told = _read_variables(directory, environ)
    if told is not None:
        return told
    candidates = [*_find_django(directory), *_find_in_files(directory)]
    if not candidates:
        return None
    best = min(candidate.rank for candidate in candidates)
    chosen = list({found.target: found for found in candidates if found.rank == best}.values())
    if len(chosen) > 1:
        listed = ", ".join(f"{found.target} ({found.framework})" for found in chosen)
        raise ApplicationError(
            f'several applications were found: {listed}; name one, such as "hostler {chosen[0].target}"'
        )
    (found,) = chosen
    frameworks = {other.framework for other in candidates if other.framework not in GENERIC}
    framework = found.framework
    if framework in GENERIC and len(frameworks) == 1:
        framework = frameworks.pop()  # wsgi.py only passes on what another file makes
    return Discovery(found.target, framework, found.reason, found.interface, found.note)


def _read_variables(directory: Path, environ: Mapping[str, str]) -> Discovery | None:
    if environ.get("FLASK_APP"):
        return Discovery(environ["FLASK_APP"], "Flask", "FLASK_APP")
    if environ.get("QUART_APP"):
        return Discovery(environ["QUART_APP"], "Quart", "QUART_APP", "asgi")
    if environ.get("DJANGO_SETTINGS_MODULE") and not (directory / "manage.py").exists():
        return Discovery("django.core.wsgi:get_wsgi_application()", "Django", "DJANGO_SETTINGS_MODULE")
    return None


def _find_django(directory: Path) -> Iterator[_Candidate]:
    """Follow manage.py to the settings module, and that to the WSGI or the ASGI application."""
    tree = _parse_file(directory / "manage.py")
    settings = _find_settings(tree) if tree is not None else None
    if settings is None:
        return
    settings_tree = _parse_file(directory / (settings.replace(".", "/") + ".py"))
    wsgi = _find_entrance(directory, settings, settings_tree, "wsgi")
    asgi = _find_entrance(directory, settings, settings_tree, "asgi")
    why = _explain_asgi(directory, settings_tree, wsgi, asgi) if asgi else ""
    if asgi and why:
        yield _Candidate(asgi, "Django", "manage.py", 0, "asgi", f"ASGI because {why}" if wsgi else "")
    elif wsgi:
        yield _Candidate(wsgi, "Django", "manage.py", 0, "wsgi", f"WSGI; for ASGI name {asgi}" if asgi else "")


def _find_entrance(directory: Path, settings: str, tree: ast.Module | None, interface: Interface) -> str:
    """Find a project's application: the one that its settings name, or the file that Django has made."""
    named = _find_constant(tree, f"{interface.upper()}_APPLICATION")
    if named and "." in named:
        module, _, attribute = named.rpartition(".")
        return f"{module}:{attribute}"
    package = settings.partition(".")[0]
    return f"{package}.{interface}:application" if (directory / package / f"{interface}.py").is_file() else ""


def _explain_asgi(directory: Path, settings: ast.Module | None, wsgi: str, asgi: str) -> str:
    """Say why a project is to be served by ASGI; empty when it is not."""
    file = f"{asgi.partition(':')[0].replace('.', '/')}.py"
    if _imports_channels(_parse_file(directory / file)):
        return f"{file} uses Channels"
    if _names_channels(settings):
        return "the settings install Channels"
    if not wsgi:
        return "there is no WSGI application"
    is_only_asgi = _find_constant(settings, "ASGI_APPLICATION") and not _find_constant(settings, "WSGI_APPLICATION")
    return "the settings name ASGI_APPLICATION only" if is_only_asgi else ""


def _imports_channels(tree: ast.Module | None) -> bool:
    return tree is not None and any(name.partition(".")[0] == "channels" for name in _read_imports(tree).values())


def _names_channels(tree: ast.Module | None) -> bool:
    """Tell whether INSTALLED_APPS has Channels, or its server."""
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "INSTALLED_APPS" for target in node.targets
        ):
            texts = {part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)}
            return not texts.isdisjoint({"channels", "daphne"})
    return False


def _find_settings(tree: ast.Module) -> str | None:
    """Find the module in `os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")` or in an assignment."""
    for node in ast.walk(tree):
        texts: list[str] = []
        if isinstance(node, ast.Call):
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            parts = (node.targets[0].slice, node.value)
            texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if len(texts) == 2 and texts[0] == "DJANGO_SETTINGS_MODULE":
            return texts[1]
    return None


def _find_constant(tree: ast.Module | None, name: str) -> str | None:
    for node in tree.body if tree is not None else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in node.targets):
            return node.value.value if isinstance(node.value.value, str) else None
    return None


def _find_in_files(directory: Path) -> Iterator[_Candidate]:
    for path, module in _list_modules(directory):
        tree = _parse_file(directory / path)
        if tree is not None:
            yield from _find_in_module(tree, module, path)


def _list_modules(directory: Path) -> Iterator[tuple[str, str]]:
    """List the files worth reading with their module names: those at the top, and the entrances of packages there."""
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return
    found = 0
    for entry in entries:
        if not entry.stem.isidentifier() or entry.stem.startswith(_SKIPPED) or found >= _MOST_FILES:
            continue
        if entry.suffix == ".py":
            found += 1
            yield entry.name, entry.stem
        elif not entry.suffix and (entry / "__init__.py").is_file():
            for name in ("__init__", "wsgi", "asgi", "app", "application", "main"):
                if (entry / f"{name}.py").is_file():
                    found += 1
                    yield f"{entry.name}/{name}.py", entry.name if name == "__init__" else f"{entry.name}.{name}"


def _parse_file(path: Path) -> ast.Module | None:
    """Parse a Python file; None when there is none, or it is no Python, or too large to be written by hand."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return None
        return ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _find_in_module(tree: ast.Module, module: str, path: str) -> Iterator[_Candidate]:
    """Find applications among a module's names: the usual name alone if it is there, else all."""
    imports = _read_imports(tree)
    last = module.rpartition(".")[2]
    found: dict[str, Made] = {}
    for node in _walk_module_level(tree):
        found.update(_read_binding(node, imports, _ENTRANCES.get(last)))
    for name in _NAMES:
        if name in found:
            found = {name: found[name]}
            break
    rank = _RANKS.get(last, _OTHER_RANK) + (_OTHER_RANK + 1 if "." in module else 0)
    for name, (framework, interface) in found.items():
        label = f"{name}()" if name in ("create_app", "make_app") else name
        yield _Candidate(f"{module}:{label}", framework, path, rank, interface)


def _walk_module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """List statements that run when the module is imported, also those inside `if`, `try` and `with`."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.If) and _is_main_guard(node):
            continue
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if isinstance(node, ast.If | ast.Try | ast.With):
                pending += getattr(node, inner, [])


def _is_main_guard(node: ast.If) -> bool:
    return (
        isinstance(node.test, ast.Compare) and isinstance(node.test.left, ast.Name) and node.test.left.id == "__name__"
    )


def _read_imports(tree: ast.Module) -> dict[str, str]:
    """Map each imported name to what it stands for, dotted."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    return names


def _read_binding(node: ast.stmt, imports: Mapping[str, str], entrance: Interface | None) -> Iterator[tuple[str, Made]]:
    """List the applications that a statement binds; in an entrance also what is only called like one."""
    generic: Made | None = (entrance.upper(), entrance) if entrance else None
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        maker = _identify(node.value, imports)
        for target in targets:
            if isinstance(target, ast.Name):
                made = maker or (generic if target.id in _NAMES[:2] else None)
                if made:
                    yield target.id, made
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _read_function(node, imports)
    elif isinstance(node, ast.ImportFrom) and generic:
        for alias in node.names:
            if (alias.asname or alias.name) in _NAMES[:2]:
                yield alias.asname or alias.name, generic


def _read_function(
    node: ast.FunctionDef | ast.AsyncFunctionDef, imports: Mapping[str, str]
) -> Iterator[tuple[str, Made]]:
    """Recognise a factory by its name and what it makes, an application by its arguments."""
    if node.name in _NAMES[2:]:
        makers = [maker for inner in ast.walk(node) if (maker := _identify(inner, imports))]
        if makers and not _needs_arguments(node):
            yield node.name, makers[0]
        return
    names = tuple(argument.arg for argument in node.args.args)
    for arguments, interface in _ARGUMENTS.items():
        if names[: len(arguments)] == arguments:
            yield node.name, (interface.upper(), interface)


def _needs_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional > 0 or any(default is None for default in arguments.kw_defaults)


def _identify(node: ast.AST, imports: Mapping[str, str]) -> Made | None:
    """Tell which framework's application a call makes, and its interface; None when it makes none."""
    if not isinstance(node, ast.Call):
        return None
    dotted = _read_dotted(node.func)
    if dotted is None:
        return None
    first, dot, rest = dotted.partition(".")
    full = f"{imports[first]}{dot}{rest}" if first in imports else dotted
    if full in WSGI_MAKERS:
        return WSGI_MAKERS[full], "wsgi"
    if full in ASGI_MAKERS:
        return ASGI_MAKERS[full], "asgi"
    method = WSGI_METHODS.get(full.rpartition(".")[2])
    return (method, "wsgi") if method else None


def _read_dotted(node: ast.AST) -> str | None:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Call):  # Configurator(...).make_wsgi_app()
        names.append("")
    elif isinstance(node, ast.Name):
        names.append(node.id)
    else:
        return None
    return ".".join(reversed(names))
