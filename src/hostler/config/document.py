"""A configuration file: found, read, and taken apart by the syntax that its suffix names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MappingProxyType

from hostler.config.line import Path, find_line
from hostler.config.syntax import MalformedError, Parsed
from hostler.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Syntax:
    """One way to write a configuration file.

    Attributes:
        name: what people call it.
        parse: takes a text apart.
        has_headers: whether sections are written as `[name]`.
        is_text: whether all values are texts, to be parsed as environment variables are.
    """

    name: str
    parse: Callable[[str], Parsed]
    has_headers: bool = False
    is_text: bool = False


# Each parser is imported when there is a file to read with it.
def _parse_toml(text: str) -> Parsed:
    from hostler.config.toml_text import parse_toml

    return parse_toml(text)


def _parse_yaml(text: str) -> Parsed:
    from hostler.config.yaml_text import parse_yaml

    return parse_yaml(text)


def _parse_json(text: str) -> Parsed:
    from hostler.config.json_text import parse_json

    return parse_json(text)


def _parse_ini(text: str) -> Parsed:
    from hostler.config.ini_text import parse_ini

    return parse_ini(text)


TOML = Syntax("TOML", _parse_toml, has_headers=True)
_YAML = Syntax("YAML", _parse_yaml)

# By suffix, in the order in which files are looked for.
SYNTAXES: Mapping[str, Syntax] = MappingProxyType(
    {
        ".toml": TOML,
        ".yaml": _YAML,
        ".yml": _YAML,
        ".json": Syntax("JSON", _parse_json),
        ".ini": Syntax("INI", _parse_ini, has_headers=True, is_text=True),
    }
)
FILE_NAMES = tuple(f"hostler{suffix}" for suffix in SYNTAXES)


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file that was read.

    Attributes:
        name: the file's name for messages.
        tables: what it holds.
        lines: where each key stands.
        syntax: how it is written.
    """

    name: str
    tables: Mapping[str, object]
    lines: Mapping[Path, int]
    syntax: Syntax = TOML

    def where(self, path: Path) -> str:
        """Give "file:line" of a key."""
        return f"{self.name}:{find_line(self.lines, path)}"

    @property
    def overlays(self) -> Mapping[str, object]:
        """The tables `[env.NAME]` by name; empty when `env` is no table."""
        found = self.tables.get("env", {})
        return found if isinstance(found, dict) else {}


def find_document(directory: FilePath) -> FilePath | None:
    """Find the configuration file of a directory.

    Raises:
        ConfigurationError: there are several.
    """
    found = [directory / name for name in FILE_NAMES if (directory / name).exists()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise ConfigurationError(f"{names} are here together; keep one of them, or name one with --config")
    return found[0] if found else None


def load_document(path: FilePath, name: str) -> Document:
    """Read a configuration file. One whose suffix names no syntax is TOML.

    Args:
        path: the file.
        name: what to call it in messages: the name that the person who started Hostler would use.

    Raises:
        ConfigurationError: the file cannot be read, or does not follow its syntax.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name}: is not UTF-8 text (byte {error.start})") from error
    syntax = SYNTAXES.get(path.suffix.lower(), TOML)
    try:
        parsed = syntax.parse(text.replace("\r\n", "\n"))
    except MalformedError as error:
        line = f":{error.line}" if error.line else ""
        column = f" (column {error.column})" if error.column else ""
        raise ConfigurationError(f"{name}{line}: not valid {syntax.name}: {error.reason}{column}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{name}: not valid {syntax.name}: nested too deeply") from error
    # Editors look there for the schema to help with.
    tables = {key: value for key, value in parsed.tables.items() if key != "$schema"}
    return Document(name, tables, parsed.lines, syntax)
