"""Build the configuration from all its sources: flag over environment over overlay over file over default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hostler.config.check import Surroundings, find_conflicts, find_missing_variables
from hostler.config.choice import choose_settings
from hostler.config.document import FILE_NAMES, Document, find_document, load_document
from hostler.config.kind import Location, Text, TextList, quote
from hostler.config.origin import DEFAULT, Origin, suggest
from hostler.config.schema import SECTIONS, Config, list_options
from hostler.config.secret import read_reference
from hostler.config.source import (
    Flag,
    Setting,
    read_document,
    read_environment,
    read_fallbacks,
    read_flags,
    read_overlay,
)
from hostler.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look for values; enough to look again at a reload.

    Attributes:
        directory: the absolute directory Hostler was started in, which relative paths are relative to.
        environ: the environment variables.
        flags: the options given on the command line, by option path.
        file: the file asked for with `--config`; without it, `hostler.toml` (or `.yaml`, ...) in `directory` is read
            if it is there.
        environment: the overlay asked for with `--env`.
        surroundings: what the rules across options need to know.
    """

    directory: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Flag] = field(default_factory=dict)
    file: str | None = None
    environment: str | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and where it came from.

    Attributes:
        config: the configuration.
        origins: the origin of every option's value, by option path.
        file: the absolute path of the file that was read, if any.
        environment: the overlay that was applied, if any.
        masks: what to show in the place of values that are not to be seen, by the path of the option, or of an item
            such as "app.env.SECRET_KEY".
    """

    config: Config
    origins: Mapping[str, Origin]
    file: Path | None
    environment: str | None
    masks: Mapping[str, str] = field(default_factory=dict)


def load_config(sources: Sources) -> Loaded:
    """Read all sources and build the configuration.

    Raises:
        ConfigurationError: anything is wrong; the text has one line for each mistake.
    """
    path = _find_file(sources)
    document = load_document(path, str(path).removeprefix(f"{sources.directory}/")) if path else None
    problems: list[str] = []
    # From the weakest source to the strongest.
    settings = read_fallbacks(sources.environ, problems)
    if document is not None:
        settings += read_document(document, problems)
    environment = _apply_overlay(document, sources, settings, problems)
    settings += read_environment(sources.environ, problems)
    settings += read_flags(sources.flags, problems)
    read = partial(read_reference, directory=sources.directory, environ=sources.environ)
    choice = choose_settings(settings, read, problems)
    config, origins = build_config(choice.settings, sources.directory)
    if not problems:
        problems += find_conflicts(config, origins, sources.surroundings, choice.masks)
        problems += find_missing_variables(config, origins, sources.environ)
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))
    return Loaded(config, origins, path, environment, choice.masks)


def build_config(chosen: Mapping[str, Setting], directory: Path) -> tuple[Config, Mapping[str, Origin]]:
    """Build a configuration.

    Args:
        chosen: one setting by option path, for each option that is not to have its default.
        directory: what relative paths are relative to.

    Returns:
        The configuration, and the origin of every option's value by option path.
    """
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    origins: dict[str, Origin] = {}
    for option in list_options():
        setting = chosen.get(option.path) or Setting(option, option.default, DEFAULT)
        value = setting.value
        if isinstance(option.kind, Text | TextList | Location):
            # The supervisor and its workers may have changed directory when they use it.
            value = option.kind.resolve(value, directory)
        sections[option.section][option.name] = value
        origins[option.path] = setting.origin
    app = sections["app"]
    app["python_path"] = tuple(str(Path(app["chdir"]) / path) for path in app["python_path"])
    built = {name: SECTIONS[name](**values) for name, values in sections.items()}
    return Config(**built), MappingProxyType(origins)


def _find_file(sources: Sources) -> Path | None:
    asked = sources.file or sources.environ.get("HOSTLER_CONFIG")
    if asked:
        return sources.directory / asked
    return find_document(sources.directory)


def _apply_overlay(
    document: Document | None, sources: Sources, settings: list[Setting], problems: list[str]
) -> str | None:
    """Add the settings of the overlay asked for; give its name."""
    name = sources.environment or sources.environ.get("HOSTLER_ENV")
    if not name:
        return None
    where = "--env" if sources.environment else "HOSTLER_ENV"
    if document is None:
        problems.append(
            f"{where} is {quote(name)}, but there is no {FILE_NAMES[0]} here to hold [env.{name}]; "
            "name one with --config"
        )
    elif name not in document.overlays:
        known = ", ".join(document.overlays)
        otherwise = f"; it has {known}" if known else "; it has no overlays"
        hint = suggest(name, document.overlays, otherwise=otherwise)
        overlay = f"[env.{name}]" if document.syntax.has_headers else f"env.{name}"
        problems.append(f"{where} is {quote(name)}, but {document.name} has no {overlay}{hint}")
    else:
        # Mistakes inside were already told when the whole file was read.
        settings += read_overlay(document, name, [])
    return name
