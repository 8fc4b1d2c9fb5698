"""Build the configuration from all its sources: flag over environment over overlay over file over default."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hostler.config.check import Surroundings, find_conflicts
from hostler.config.kind import Location, Text, quote
from hostler.config.line import locate_keys
from hostler.config.origin import DEFAULT, Origin, suggest
from hostler.config.schema import SECTIONS, Config, list_options
from hostler.config.source import (
    Document,
    Flag,
    Setting,
    read_document,
    read_environment,
    read_fallbacks,
    read_flags,
    read_overlay,
)
from hostler.errors import ConfigurationError

FILE_NAME = "hostler.toml"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look for values; enough to look again at a reload.

    Attributes:
        directory: the absolute directory Hostler was started in, which relative paths are relative to.
        environ: the environment variables.
        flags: the options given on the command line, by option path.
        file: the file asked for with `--config`; without it, `hostler.toml` in `directory` is read if it is there.
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
    """

    config: Config
    origins: Mapping[str, Origin]
    file: Path | None
    environment: str | None


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
    config, origins = build_config(settings, sources.directory)
    if not problems:
        problems += find_conflicts(config, origins, sources.surroundings)
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))
    return Loaded(config, origins, path, environment)


def load_document(path: Path, name: str) -> Document:
    """Read a configuration file.

    Args:
        path: the file.
        name: what to call it in messages: the name that the person who started Hostler would use.

    Raises:
        ConfigurationError: the file cannot be read, or is no TOML.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: is not UTF-8 text (byte {error.start})") from error
    text = text.replace("\r\n", "\n")
    import tomllib  # 5 ms that a start without a file need not spend

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(_describe_syntax_error(name, str(error), text)) from error
    return Document(name, tables, locate_keys(text))


def _describe_syntax_error(name: str, message: str, text: str) -> str:
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", message, re.DOTALL)
    if match is None:
        return f"{name}: not valid TOML: {message}"
    line = int(match[2]) if match[2] else text.count("\n") + 1
    return f"{name}:{line}: not valid TOML: {match[1]}"


def build_config(settings: Sequence[Setting], directory: Path) -> tuple[Config, Mapping[str, Origin]]:
    """Build a configuration from settings, a later one winning over an earlier one.

    Args:
        settings: what sources gave, from the weakest to the strongest.
        directory: what relative paths are relative to.

    Returns:
        The configuration, and the origin of every option's value by option path.
    """
    chosen = {setting.option.path: setting for setting in settings}
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    origins: dict[str, Origin] = {}
    for option in list_options():
        setting = chosen.get(option.path) or Setting(option, option.default, DEFAULT)
        value = setting.value
        if isinstance(option.kind, Text | Location):
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
    path = sources.directory / FILE_NAME
    return path if path.exists() else None


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
            f"{where} is {quote(name)}, but there is no {FILE_NAME} here to hold [env.{name}]; name one with --config"
        )
    elif name not in document.overlays:
        known = ", ".join(document.overlays)
        otherwise = f"; it has {known}" if known else "; it has no overlays"
        hint = suggest(name, document.overlays, otherwise=otherwise)
        problems.append(f"{where} is {quote(name)}, but {document.name} has no [env.{name}]{hint}")
    else:
        # Mistakes inside were already told when the whole file was read.
        settings += read_overlay(document, name, [])
    return name
