"""The sources of values: the file with its overlays, environment variables, and flags.

Each reader returns what it found as settings, and appends a sentence to `problems` for each thing that is wrong, so
that one run tells everything. None of them decides between sources; `load` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hostler.config.kind import Table, TextList, quote
from hostler.config.line import Path, find_line
from hostler.config.option import Option
from hostler.config.origin import Origin, describe_wrong_value, find_nearest, suggest
from hostler.config.schema import SECTIONS, index_options, list_options

# Variables of Hostler's own that name no option.
RESERVED_VARIABLES = ("HOSTLER_ENV", "HOSTLER_CONFIG")
# Kubernetes sets such variables in every container beside a service called "hostler" or "hostler-app".
_INJECTED_VARIABLE = re.compile(r"HOSTLER_\w*(?:SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(?:TCP|UDP|SCTP)\w*|PORT)")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that one source gives one option."""

    option: Option
    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class Flag:
    """An option given on the command line.

    Attributes:
        spelling: the flag as it was written, such as "-w".
        texts: the texts given, one for each time; ("true",) or ("false",) for a flag without value.
    """

    spelling: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file that was read.

    Attributes:
        name: the file's name for messages.
        tables: what it holds.
        lines: where each key stands.
    """

    name: str
    tables: Mapping[str, object]
    lines: Mapping[Path, int]

    def where(self, path: Path) -> str:
        """Give "file:line" of a key."""
        return f"{self.name}:{find_line(self.lines, path)}"

    @property
    def overlays(self) -> Mapping[str, object]:
        """The tables `[env.NAME]` by name; empty when `env` is no table."""
        found = self.tables.get("env", {})
        return found if isinstance(found, dict) else {}


def read_document(document: Document, problems: list[str]) -> list[Setting]:
    """Read the sections at the top of a file; overlays are checked for mistakes only."""
    sections = {name: value for name, value in document.tables.items() if name != "env"}
    settings = list(_read_sections(document, sections, (), problems))
    if not isinstance(document.tables.get("env", {}), dict):
        problems.append(f"{document.where(('env',))}: env must hold overlays, such as [env.production]")
    for name in document.overlays:
        read_overlay(document, name, problems)
    return settings


def read_overlay(document: Document, name: str, problems: list[str]) -> list[Setting]:
    """Read the overlay `[env.NAME]`; empty when the file has none of that name."""
    sections = document.overlays.get(name, {})
    if not isinstance(sections, dict):
        where = document.where(("env", name))
        problems.append(f"{where}: env.{name} must be a table with sections, such as [env.{name}.workers]")
        return []
    return list(_read_sections(document, sections, ("env", name), problems))


def _read_sections(
    document: Document, sections: Mapping[str, object], prefix: Path, problems: list[str]
) -> Iterator[Setting]:
    for section, values in sections.items():
        where = document.where((*prefix, section))
        if section not in SECTIONS:
            problems.append(f"{where}: unknown {_describe_unknown_section(section, values)}")
        elif not isinstance(values, dict):
            problems.append(
                f"{where}: {section} must be a section: write [{'.'.join((*prefix, section))}] above its options"
            )
        else:
            yield from _read_section(document, section, values, prefix, problems)


def _describe_unknown_section(section: str, values: object) -> str:
    if isinstance(values, dict):
        hint = suggest(f"[{section}]", (f"[{name}]" for name in SECTIONS))
        return f"section [{section}]{hint or '; the sections are ' + ', '.join(SECTIONS) + ' and env.NAME'}"
    if "." in section:
        return f"option {section}: its name must not be quoted"
    nearest = _find_nearest_option("", section)
    return f"option {section} outside any section{f'; did you mean {nearest}?' if nearest else ''}"


def _read_section(
    document: Document, section: str, values: Mapping[str, object], prefix: Path, problems: list[str]
) -> Iterator[Setting]:
    options = index_options()
    for name, raw in values.items():
        where = document.where((*prefix, section, name))
        option = options.get(f"{section}.{name}")
        if option is None:
            nearest = _find_nearest_option(section, name)
            known = ", ".join(found.name for found in list_options() if found.section == section)
            hint = f"did you mean {nearest}?" if nearest else f"[{section}] has {known}"
            problems.append(f"{where}: unknown option {section}.{name}; {hint}")
            continue
        try:
            yield Setting(option, option.kind.convert(raw), Origin("file", where))
        except ValueError:
            problems.append(describe_wrong_value(where, option.path, write_value(raw), option.kind.expects))


def _find_nearest_option(section: str, name: str) -> str | None:
    """Find the option meant by a wrong name: first within its section, then by the same name elsewhere, then any."""
    normal = name.replace("-", "_").lower()
    mine = {found.name: found.path for found in list_options() if found.section == section}
    others = {found.name: found.path for found in list_options() if found.section != section}
    for candidates in (mine, others):
        if normal in candidates:
            return candidates[normal]
    for candidates in (mine, others):
        nearest = find_nearest(normal, candidates, cutoff=0.7)
        if nearest:
            return candidates[nearest]
    # A short flag's name, such as "workers" or "access_log", is what many will try in the file.
    flags = {spelling.lstrip("-").replace("-", "_"): found.path for found in list_options() for spelling in found.short}
    nearest = find_nearest(normal, flags, cutoff=0.7)
    return flags[nearest] if nearest else None


def write_value(raw: object) -> str:
    """Write a value from a file for a message, much as it stands in the file, at most 60 characters long."""
    if isinstance(raw, str):
        text = quote(raw)
    elif isinstance(raw, bool):
        text = "true" if raw else "false"
    elif isinstance(raw, list):
        text = "[" + ", ".join(write_value(item) for item in raw) + "]"
    elif isinstance(raw, dict):
        text = "a table"
    else:
        text = str(raw)
    return text if len(text) <= 60 else text[:56] + " ..."


def read_environment(environ: Mapping[str, str], problems: list[str]) -> list[Setting]:
    """Read the variables HOSTLER_SECTION_NAME; a near miss is a mistake, a variable of another purpose is none."""
    by_variable = {option.variable: option for option in list_options()}
    settings = []
    for variable in sorted(name for name in environ if name.startswith("HOSTLER_")):
        option = by_variable.get(variable)
        if option is None:
            problems.extend(_describe_unknown_variable(variable, by_variable))
            continue
        text = environ[variable]
        try:
            settings.append(Setting(option, option.kind.parse(text), Origin("environment", variable)))
        except ValueError:
            problems.append(describe_wrong_value(variable, option.path, quote(text), option.kind.expects))
    return settings


def _describe_unknown_variable(variable: str, known: Mapping[str, Option]) -> list[str]:
    if variable in RESERVED_VARIABLES or _INJECTED_VARIABLE.fullmatch(variable):
        return []
    section = variable.split("_")[1].lower()
    nearest = find_nearest(variable, known, cutoff=0.8)
    if section not in SECTIONS and nearest is None:
        return []
    return [f"{variable}: unknown option{f'; did you mean {nearest}?' if nearest else ''}"]


def read_fallbacks(environ: Mapping[str, str], problems: list[str]) -> list[Setting]:
    """Read the variables that platforms set for any server: PORT and WEB_CONCURRENCY."""
    settings = []
    for option in list_options():
        text = environ.get(option.fallback, "") if option.fallback else ""
        if not text:
            continue
        where = option.fallback
        try:
            # PORT is set where a router outside the container must reach the server, hence all interfaces.
            value = option.kind.parse(f"0.0.0.0:{_parse_port(text)}" if where == "PORT" else text)
            settings.append(Setting(option, value, Origin("environment", where)))
        except ValueError:
            expects = "a port number from 0 to 65535" if where == "PORT" else option.kind.expects
            problems.append(f"{where} is {quote(text)}; it must be {expects}")
    return settings


def _parse_port(text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or int(text) > 65535:
        raise ValueError(text)
    return int(text)


def read_flags(flags: Mapping[str, Flag], problems: list[str]) -> list[Setting]:
    """Read the options given on the command line, by option path."""
    options = index_options()
    settings = []
    for path, flag in flags.items():
        option = options[path]
        try:
            settings.append(Setting(option, _parse_texts(option, flag.texts), Origin("flag", flag.spelling)))
        except ValueError:
            shown = " ".join(quote(text) for text in flag.texts)
            name = flag.spelling if flag.spelling.startswith("-") else option.path
            problems.append(f"{name} is {shown}; it must be {option.kind.expects}")
    return settings


def _parse_texts(option: Option, texts: Sequence[str]) -> object:
    if isinstance(option.kind, TextList):
        return option.kind.convert(list(texts))
    if isinstance(option.kind, Table):
        return option.kind.parse_items(list(texts))
    return option.kind.parse(texts[-1])
