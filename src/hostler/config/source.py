"""The sources of values: the file with its overlays, environment variables, and flags.

Each reader returns what it found as settings, and appends a sentence to `problems` for each thing that is wrong, so
that one run tells everything. None of them decides between sources; `load` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hostler.config.document import Document
from hostler.config.kind import Location, Table, Text, TextList, quote, quote_key
from hostler.config.line import Path
from hostler.config.option import Option
from hostler.config.origin import Origin, describe_wrong_value, find_nearest, suggest
from hostler.config.schema import SECTIONS, index_options, list_options
from hostler.config.secret import EXPECTS, MASK, convert_value, mask_items, parse_value, refer_items

# Variables of Hostler's own that name no option.
RESERVED_VARIABLES = ("HOSTLER_ENV", "HOSTLER_CONFIG")
# Kubernetes sets such variables in every container beside a service called "hostler" or "hostler-app".
_INJECTED_VARIABLE = re.compile(r"HOSTLER_\w*(?:SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(?:TCP|UDP|SCTP)\w*|PORT)")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that one source gives one option.

    Attributes:
        option: the option.
        value: the value; it may be, or hold, a `secret.Reference`.
        origin: where it came from.
        places: where items of a table stand, by name, if that is not where the table begins.
    """

    option: Option
    value: object
    origin: Origin
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flag:
    """An option given on the command line.

    Attributes:
        spelling: the flag as it was written, such as "-w".
        texts: the texts given, one for each time; ("true",) or ("false",) for a flag without value.
    """

    spelling: str
    texts: tuple[str, ...]


def read_document(document: Document, problems: list[str]) -> list[Setting]:
    """Read the sections at the top of a file; overlays are checked for mistakes only."""
    sections = {name: value for name, value in document.tables.items() if name != "env"}
    settings = list(_read_sections(document, sections, (), problems))
    if not isinstance(document.tables.get("env", {}), dict):
        example = _name_section(document, ("env", "production"))
        problems.append(f"{document.where(('env',))}: env must hold overlays, such as {example}")
    for name in document.overlays:
        read_overlay(document, name, problems)
    return settings


def read_overlay(document: Document, name: str, problems: list[str]) -> list[Setting]:
    """Read the overlay `[env.NAME]`; empty when the file has none of that name."""
    sections = document.overlays.get(name, {})
    if not isinstance(sections, dict):
        if sections is not None:
            where, example = document.where(("env", name)), _name_section(document, ("env", name, "workers"))
            problems.append(f"{where}: env.{name} must be a table with sections, such as {example}")
        return []
    return list(_read_sections(document, sections, ("env", name), problems))


def _read_sections(
    document: Document, sections: Mapping[str, object], prefix: Path, problems: list[str]
) -> Iterator[Setting]:
    for section, values in sections.items():
        where = document.where((*prefix, section))
        if section not in SECTIONS:
            problems.append(f"{where}: unknown {_describe_unknown_section(section, values)}")
        elif values is None:
            continue  # in YAML, a section whose options are all commented out
        elif not isinstance(values, dict):
            header = _name_section(document, (*prefix, section))
            how = f"write {header} above its options" if document.syntax.has_headers else "its options stand inside it"
            problems.append(f"{where}: {section} must be a section: {how}")
        else:
            yield from _read_section(document, section, values, prefix, problems)


def _name_section(document: Document, path: Path) -> str:
    """Name a section as the document's syntax does."""
    name = ".".join(path)
    return f"[{name}]" if document.syntax.has_headers else name


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
            value = _convert(document, option, raw)
            items = raw if isinstance(option.kind, Table) and isinstance(raw, dict) else ()
            places = {item: document.where((*prefix, section, name, item)) for item in items}
            yield Setting(option, value, Origin("file", where), places)
        except ValueError:
            problems.append(_describe_wrong(document, option, (*prefix, section, name), raw))


def _convert(document: Document, option: Option, raw: object) -> object:
    if document.syntax.is_text and isinstance(raw, str):
        return parse_value(option.kind, raw)
    if document.syntax.is_text and isinstance(option.kind, Table):  # written as a section, of texts all the same
        return refer_items(option.kind.convert(raw))
    return convert_value(option.kind, raw)


def _describe_wrong(document: Document, option: Option, path: Path, raw: object) -> str:
    """Word what is wrong with a value of a file: of a table, the first item that is."""
    name, expects = option.path, option.kind.expects
    if isinstance(option.kind, Table) and isinstance(raw, dict):
        for key, item in raw.items():
            try:
                convert_value(option.kind, {key: item})
            except ValueError:
                path, name, raw, expects = (*path, key), f"{name}.{quote_key(key)}", item, f"a text, {EXPECTS}"
                break
    elif isinstance(raw, dict) and isinstance(option.kind, Text | Location):
        expects = f"{expects}, {EXPECTS}"
    is_private = isinstance(option.kind, Table) and option.kind.private and not isinstance(raw, dict | list)
    shown = MASK if is_private else write_value(raw)
    return describe_wrong_value(document.where(path), name, shown, expects)


def _find_nearest_option(section: str, name: str) -> str | None:
    """Find the option meant by a wrong name: first within its section, then by the same name elsewhere, then any."""
    normal = name.replace("-", "_").lower()
    mine = {found.name: found.path for found in list_options() if found.section == section}
    # Of several with the same name that of the first section.
    others = {found.name: found.path for found in reversed(list_options()) if found.section != section}
    # A short flag's name, such as "workers" or "access_log", is what many will try in the file.
    flags = {spelling.lstrip("-").replace("-", "_"): found.path for found in list_options() for spelling in found.short}
    tables = (mine, others, flags)
    for candidates in tables:
        if normal in candidates:
            return candidates[normal]
    for candidates in tables:
        nearest = find_nearest(normal, candidates, cutoff=0.7)
        if nearest:
            return candidates[nearest]
    return None


def write_value(raw: object) -> str:
    """Write a value from a file for a message, much as it stands in the file, at most 60 characters long."""
    if isinstance(raw, str):
        text = quote(raw)
    elif isinstance(raw, bool):
        text = "true" if raw else "false"
    elif raw is None:
        text = "null"
    elif isinstance(raw, list):
        text = "[" + ", ".join("a list" if isinstance(item, list) else write_value(item) for item in raw) + "]"
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
            settings.append(Setting(option, parse_value(option.kind, text), Origin("environment", variable)))
        except ValueError:
            problems.append(describe_wrong_value(variable, option.path, _show_text(option, text), option.kind.expects))
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
            shown = " ".join(_show_text(option, text) for text in flag.texts)
            name = flag.spelling if flag.spelling.startswith("-") else option.path
            problems.append(f"{name} is {shown}; it must be {option.kind.expects}")
    return settings


def _show_text(option: Option, text: str) -> str:
    """Write a text for a message, without what may be secret in it."""
    return quote(mask_items(text) if isinstance(option.kind, Table) and option.kind.private else text)


def _parse_texts(option: Option, texts: Sequence[str]) -> object:
    if isinstance(option.kind, TextList):
        return option.kind.convert(list(texts))
    if isinstance(option.kind, Table):
        return refer_items(option.kind.parse_items(list(texts)))
    return parse_value(option.kind, texts[-1])
