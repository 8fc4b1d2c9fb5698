"""Gather a project's facts: what the configuration says, and what a look at the directory tells."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import hostler
from hostler.app import Discovery, discover
from hostler.config import Loaded, Sources
from hostler.config.document import FILE_NAMES, load_document
from hostler.config.kind import Table, TextList
from hostler.config.option import Option
from hostler.config.schema import list_options
from hostler.config.secret import MASK, looks_secret, parse_reference
from hostler.errors import ApplicationError, ConfigurationError
from hostler.generate.choice import Choices, check_path
from hostler.generate.model import Project

# Files that say what is to be installed.
_DEPENDENCIES = ("requirements.txt", "pyproject.toml")
# PEP 508: what may follow a name. A line of its own, or a text in a list.
_OWN_REQUIREMENT = re.compile(r"""(?:^\s*|["'])hostler(?=[\s"'\[<>=~!;@,]|$)""", re.MULTILINE)
Interface = Literal["wsgi", "asgi", ""]


@dataclass(frozen=True, slots=True)
class _Given:
    """What the file does not hold."""

    settings: Mapping[str, tuple[str, ...]]
    secrets: tuple[str, ...]


def describe_project(sources: Sources, loaded: Loaded, found: Discovery | None, choices: Choices) -> Project:
    """Gather what generators need to know.

    Args:
        sources: where the configuration came from.
        loaded: the configuration, with the application that was recognised.
        found: what was recognised, when no application was named.
        choices: what was chosen on the command line.
    """
    config = loaded.config
    given = _collect_settings(sources, loaded)
    directory = Path(choices.directory or sources.directory)
    target = given.settings.get("app.target", ("",))[-1] or (found.target if found else "")
    files = frozenset(name for name in _DEPENDENCIES if (sources.directory / name).is_file())
    return Project(
        config=config,
        name=choices.name or make_name(config.server.name or sources.directory.name),
        directory=directory,
        program=choices.program or find_program(),
        file=_name_file(sources, loaded.file),
        file_name=loaded.file.name if loaded.file else FILE_NAMES[0],
        environment=loaded.environment or "",
        target=target,
        settings={path: texts for path, texts in given.settings.items() if path != "app.target"},
        secrets=tuple(sorted({*given.secrets, *_list_required(loaded)})),
        exposed=_list_exposed(loaded),
        interface=_tell_interface(loaded, found),
        overlays=_list_overlays(loaded.file),
        files=files,
        requires_hostler=any(_names_hostler(sources.directory / name) for name in files),
        python=choices.python or f"{sys.version_info.major}.{sys.version_info.minor}",
        version=hostler.__version__,
    )


def make_name(text: str) -> str:
    """Make a name that services, units and labels can have of any text; "app" when nothing is left of it."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")[:50].strip("-")
    return name or "app"


def find_program() -> str:
    """Give the path of the `hostler` beside this interpreter, or the bare name where there is none."""
    program = Path(sys.executable).with_name("hostler")
    return str(program) if program.exists() else "hostler"


def _collect_settings(sources: Sources, loaded: Loaded) -> _Given:
    """Collect the options that flags and variables gave, as texts, without those values that look like secrets."""
    settings: dict[str, tuple[str, ...]] = {}
    secrets: list[str] = []
    for option in list_options():
        texts = _read_texts(option, sources, loaded)
        if option.path == "app.env":
            hidden = {text.partition("=")[0] for text in texts if _is_exposed(text)}
            secrets += sorted(hidden)
            texts = tuple(text for text in texts if text.partition("=")[0] not in hidden)
        if texts:
            settings[option.path] = texts
    return _Given(settings, tuple(secrets))


def _is_exposed(text: str) -> bool:
    """Tell whether NAME=VALUE shows a secret, where it might only have told where it is."""
    name, _, value = text.partition("=")
    return looks_secret(name, value) and parse_reference(value) is None


def _list_exposed(loaded: Loaded) -> tuple[str, ...]:
    """List the variables in the file's `app.env` that look like secrets, and do not come from elsewhere."""
    if loaded.origins["app.env"].source != "file":
        return ()
    env = loaded.config.app.env
    return tuple(
        sorted(
            name
            for name, value in env.items()
            # The mask of a value from elsewhere says from where.
            if looks_secret(name, value) and loaded.masks.get(f"app.env.{name}", MASK) == MASK
        )
    )


def _list_required(loaded: Loaded) -> list[str]:
    """List the variables of `app.require` that the file does not give."""
    app = loaded.config.app
    is_filed = loaded.origins["app.env"].source == "file"
    return [name for name in app.require if not (is_filed and name in app.env)]


def _read_texts(option: Option, sources: Sources, loaded: Loaded) -> tuple[str, ...]:
    origin = loaded.origins[option.path]
    if origin.source == "flag":
        return tuple(sources.flags[option.path].texts)
    if origin.source != "environment":
        return ()
    if origin.where == "PORT":
        return loaded.config.server.bind
    text = sources.environ[origin.where]
    if isinstance(option.kind, TextList | Table):
        return tuple(item.strip() for item in text.split(",")) if text.strip() else ()
    return (text,)


def _name_file(sources: Sources, file: Path | None) -> str:
    """Give the file's name as it must be passed on; empty for the one that is found by itself."""
    if file is None or not (sources.file or sources.environ.get("HOSTLER_CONFIG")):
        return ""
    directory = sources.directory
    return check_path("--config", str(file.relative_to(directory) if file.is_relative_to(directory) else file))


def _list_overlays(file: Path | None) -> tuple[str, ...]:
    return tuple(load_document(file, file.name).overlays) if file is not None else ()


def _tell_interface(loaded: Loaded, found: Discovery | None) -> Interface:
    """Tell how the application is called from what is said or seen of it; it is not loaded for that."""
    app = loaded.config.app
    if app.interface != "auto":
        return "wsgi" if app.interface == "wsgi" else "asgi"
    if found is None and app.target is not None:
        try:
            found = discover(Path(app.chdir))
        except ApplicationError:  # several: then none of them is known to be this one
            return ""
    return found.interface if found is not None and found.target == app.target else ""


def _names_hostler(path: Path) -> bool:
    try:
        return _OWN_REQUIREMENT.search(path.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
