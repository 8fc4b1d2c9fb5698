"""Recognise the application in a project directory by reading its files; nothing of the project is imported or run.

Each Python file near the top is parsed, and what its module-level names are bound to is looked up in a table of
frameworks. A file named by convention (`wsgi.py`, then `app.py` or `application.py`) goes before others; two that are
equally good are an error that lists both, never a guess.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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
    "starlette.applications.Starlette": "Starlette",
    "quart.Quart": "Quart",
    "litestar.Litestar": "Litestar",
    "falcon.asgi.App": "Falcon (ASGI)",
    "sanic.Sanic": "Sanic",
    "django.core.asgi.get_asgi_application": "Django (ASGI)",
}
# Methods that make an application, whatever the object is called.
WSGI_METHODS = {"make_wsgi_app": "Pyramid"}

_NAMES = ("app", "application", "create_app", "make_app")
_RANKS = {"wsgi": 0, "app": 1, "application": 1}
_SKIPPED = ("test_", "conftest", "setup", "noxfile", "fabfile", "manage")
# Bounds on what is read, so that starting in a wrong directory (a home, a tree of data) stays quick.
_MOST_FILES = 100
_LARGEST_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class Discovery:
    """An application that was recognised.

    Attributes:
        target: how to load it.
        framework: what it is made with, for people; "WSGI" when that cannot be told.
        reason: the file or variable that told.
    """

    target: str
    framework: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    target: str
    framework: str
    reason: str
    rank: int
    is_asgi: bool = False


def discover(directory: Path | str, environ: Mapping[str, str] | None = None) -> Discovery | None:
    """Recognise the application of a project.

    Args:
        directory: the project's top, which will be on the import path.
        environ: environment variables; FLASK_APP and DJANGO_SETTINGS_MODULE are looked at.

    Returns:
        What was recognised, or None when there is nothing like an application.

    Raises:
        ApplicationError: several equally good candidates, or ASGI applications only.
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
    usable = [candidate for candidate in chosen if not candidate.is_asgi]
    if not usable:
        first = chosen[0]
        raise ApplicationError(
            f"{first.reason} makes a {first.framework} application, which is ASGI, but this release serves WSGI only"
        )
    if len(usable) > 1:
        listed = ", ".join(f"{found.target} ({found.framework})" for found in usable)
        raise ApplicationError(
            f'several applications were found: {listed}; name one, such as "hostler {usable[0].target}"'
        )
    frameworks = {found.framework for found in candidates if found.framework != "WSGI"}
    framework = usable[0].framework
    if framework == "WSGI" and len(frameworks) == 1:
        framework = frameworks.pop()  # wsgi.py only passes on what another file makes
    return Discovery(usable[0].target, framework, usable[0].reason)


def _read_variables(directory: Path, environ: Mapping[str, str]) -> Discovery | None:
    if environ.get("FLASK_APP"):
        return Discovery(environ["FLASK_APP"], "Flask", "FLASK_APP")
    if environ.get("DJANGO_SETTINGS_MODULE") and not (directory / "manage.py").exists():
        return Discovery("django.core.wsgi:get_wsgi_application()", "Django", "DJANGO_SETTINGS_MODULE")
    return None


def _find_django(directory: Path) -> Iterator[_Candidate]:
    """Follow manage.py to the settings module, and that to the WSGI application."""
    tree = _parse_file(directory / "manage.py")
    settings = _find_settings(tree) if tree is not None else None
    if settings is None:
        return
    file = directory / (settings.replace(".", "/") + ".py")
    named = _find_constant(_parse_file(file), "WSGI_APPLICATION")
    if named and "." in named:
        module, _, attribute = named.rpartition(".")
        yield _Candidate(f"{module}:{attribute}", "Django", "manage.py", 0)
        return
    package = settings.partition(".")[0]
    if (directory / package / "wsgi.py").is_file():
        yield _Candidate(f"{package}.wsgi:application", "Django", "manage.py", 0)


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
            for name in ("__init__", "wsgi", "app", "application"):
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
    found: dict[str, tuple[str, bool]] = {}
    for node in _walk_module_level(tree):
        for name, framework, is_asgi in _read_binding(node, imports, is_entrance=module.endswith("wsgi")):
            found[name] = (framework, is_asgi)
    for name in _NAMES:
        if name in found:
            found = {name: found[name]}
            break
    rank = _RANKS.get(module.rpartition(".")[2], 2) + (3 if "." in module else 0)
    for name, (framework, is_asgi) in found.items():
        label = f"{name}()" if name in ("create_app", "make_app") else name
        yield _Candidate(f"{module}:{label}", framework, path, rank, is_asgi)


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


def _read_binding(node: ast.stmt, imports: Mapping[str, str], *, is_entrance: bool) -> Iterator[tuple[str, str, bool]]:
    """List the applications that a statement binds: name, framework, whether it is ASGI."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        maker = _identify(node.value, imports)
        for target in targets:
            if isinstance(target, ast.Name) and (maker or (is_entrance and target.id in _NAMES[:2])):
                yield target.id, *(maker or ("WSGI", False))
    elif isinstance(node, ast.FunctionDef):
        if node.name in _NAMES[2:]:
            makers = [maker for inner in ast.walk(node) if (maker := _identify(inner, imports))]
            if makers and not _needs_arguments(node):
                yield node.name, *makers[0]
        elif [argument.arg for argument in node.args.args][:2] == ["environ", "start_response"]:
            yield node.name, "WSGI", False
    elif isinstance(node, ast.ImportFrom) and is_entrance:
        for alias in node.names:
            if (alias.asname or alias.name) in _NAMES[:2]:
                yield alias.asname or alias.name, "WSGI", False


def _needs_arguments(node: ast.FunctionDef) -> bool:
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional > 0 or any(default is None for default in arguments.kw_defaults)


def _identify(node: ast.AST, imports: Mapping[str, str]) -> tuple[str, bool] | None:
    """Tell which framework's application a call makes, and whether that is ASGI; None when it makes none."""
    if not isinstance(node, ast.Call):
        return None
    dotted = _read_dotted(node.func)
    if dotted is None:
        return None
    first, dot, rest = dotted.partition(".")
    full = f"{imports[first]}{dot}{rest}" if first in imports else dotted
    if full in WSGI_MAKERS:
        return WSGI_MAKERS[full], False
    if full in ASGI_MAKERS:
        return ASGI_MAKERS[full], True
    method = WSGI_METHODS.get(full.rpartition(".")[2])
    return (method, False) if method else None


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
