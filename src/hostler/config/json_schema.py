"""Generate a JSON Schema (draft 2020-12) of the configuration file, for editors and for checks elsewhere.

It describes the values of typed files (TOML, YAML, JSON). Rules across options, and the bounds of durations and sizes,
are beyond it: what it accepts may still be refused, what it refuses is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostler.config.kind import (
    LARGEST,
    LONGEST,
    AddressList,
    Boolean,
    Duration,
    Integer,
    Kind,
    Location,
    Octal,
    Size,
    Table,
    Text,
    TextList,
    format_duration,
    format_size,
)
from hostler.config.option import Option
from hostler.config.schema import SECTIONS, list_options

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# As ECMA 262 spells them, whose expressions JSON Schema uses; the same as those of the kinds.
_DURATION = r"^\s*[0-9]{1,12}(\.[0-9]{1,9})?\s*(ms|s|m|h|d)?\s*$"
_SIZE = r"^\s*[0-9]{1,18}(\.[0-9]{1,9})?\s*(([KkMmGg][Ii]?)?[Bb])?\s*$"
_OCTAL = r"^\s*((0o?)?[0-7]{1,3})?\s*$"
# By what is not there: "$" also matches before a line end in some expressions.
_CLEAN = {"not": {"pattern": r"[\u0000-\u001f\u007f]"}}
_REFERENCE = {"$ref": "#/$defs/reference"}


def build_schema() -> Schema:
    """Build the schema of a whole file."""
    sections = {name: {"$ref": f"#/$defs/{name}"} for name in SECTIONS}
    overlay = {
        "type": "object",
        "description": "An overlay, applied with --env NAME or HOSTLER_ENV.",
        "properties": sections,
        "additionalProperties": False,
    }
    overlays = {
        "type": "object",
        "description": "Overlays by name: what differs between environments.",
        "additionalProperties": {"$ref": "#/$defs/overlay"},
    }
    return {
        "$schema": DIALECT,
        "title": "Configuration of Hostler",
        "type": "object",
        "properties": {"$schema": {"type": "string"}, **sections, "env": overlays},
        "additionalProperties": False,
        "$defs": {
            **{name: _build_section(name, declaration) for name, declaration in SECTIONS.items()},
            "overlay": overlay,
            "reference": _build_reference(),
        },
    }


def _build_section(name: str, declaration: type) -> Schema:
    return {
        "type": "object",
        "description": (declaration.__doc__ or "").strip(),
        "properties": {found.name: _build_option(found) for found in list_options() if found.section == name},
        "additionalProperties": False,
    }


def _build_option(option: Option) -> Schema:
    schema: Schema = {"description": option.doc, **_build_value(option.kind), "default": _write_default(option)}
    if option.unit:
        schema["x-unit"] = option.unit
    return schema


def _build_reference() -> Schema:
    place = {"type": "string", "minLength": 1}
    return {
        "description": "A value that stands elsewhere: in a file, or in an environment variable.",
        "type": "object",
        "properties": {"file": place, "env": place},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _build_value(kind: Kind) -> Schema:
    """Describe the values of a kind."""
    match kind:
        case Boolean():
            return {"type": "boolean"}
        case Integer(minimum=minimum, maximum=maximum, auto=auto):
            number = {"type": "integer", "minimum": minimum, "maximum": maximum}
            return {"anyOf": [{"const": "auto"}, number]} if auto else number
        case Duration(minimum=shortest):
            return _amount("number", shortest, LONGEST, _DURATION)
        case Size(minimum=smallest):
            return _amount("integer", smallest, LARGEST, _SIZE)
        case Octal():
            return _amount("integer", 0, 0o777, _OCTAL)
        case Text() | Location():
            return {"anyOf": [_build_text(kind), _REFERENCE]}
        case TextList(filled=filled):
            text = {"type": "string", "minLength": 1, **_CLEAN}
            return _build_list(_build_address() if isinstance(kind, AddressList) else text, int(filled))
        case Table():
            item = {"anyOf": [{"type": ["string", "number", "boolean"]}, _REFERENCE]}
            return {"type": "object", "propertyNames": {"pattern": "^[^=\\u0000]+$"}, "additionalProperties": item}
    raise TypeError(f"no schema for values of the kind {kind.name}")


def _build_list(item: Schema, minimum: int) -> Schema:
    """Describe a list of so many items at least, or a single one."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": minimum}]}


def _build_address() -> Schema:
    """Describe an address: a text, or a table with one and what would stand behind its question mark."""
    text = {"type": "string", "minLength": 1, **_CLEAN}
    table = {
        "type": "object",
        "properties": {"address": text},
        "required": ["address"],
        "additionalProperties": {"type": ["string", "integer", "boolean"]},
    }
    return {"anyOf": [text, table]}


def _amount(number: str, minimum: float, maximum: float, pattern: str) -> Schema:
    """Describe a number, or a text of a pattern."""
    return {"anyOf": [{"type": number, "minimum": minimum, "maximum": maximum}, {"type": "string", "pattern": pattern}]}


def _build_text(kind: Text | Location) -> Schema:
    if isinstance(kind, Text) and kind.choices:
        return {"enum": list(kind.choices)}
    least = 1 if isinstance(kind, Location) and not kind.optional else 0
    return {"type": "string", **_CLEAN, **({"minLength": least} if least else {})}


def _write_default(option: Option) -> object:
    """Write a default as a file would have it."""
    value = option.default
    match option.kind:
        case Duration():
            return format_duration(value)
        case Size():
            text = format_size(value)
            return int(text) if text.isdigit() else text
        case Octal() | Text() | Location():
            return "" if value is None else value
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
