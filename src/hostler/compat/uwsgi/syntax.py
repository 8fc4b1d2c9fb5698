"""The four formats of uWSGI's files: text to options, in order, without their meaning.

Each is read as uWSGI reads it, which is not always as the format's specification has it: INI has no comments behind
values, keys may be repeated everywhere, and of YAML only one level of a block is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.parsers import expat

from hostler.errors import ConfigurationError

BLANKS = " \t\r"


@dataclass(frozen=True, slots=True)
class Line:
    """One option in a file.

    Attributes:
        key: its name.
        value: its value, as text.
        number: the line that it stands in, from 1; 0 where that is not known.
    """

    key: str
    value: str
    number: int


Parse = Callable[[str, str, str], Iterator[Line]]


def parse_ini(text: str, section: str, _name: str) -> Iterator[Line]:
    """Read the options of one section of an INI file; a key without "=" has an empty value."""
    current = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(BLANKS)
        if line.startswith("["):
            current = line[1:-1]
        elif line and line[0] not in ";#" and current == section:
            key, _, value = line.partition("=")
            yield Line(key.rstrip(BLANKS), value.strip(BLANKS), number)


# YAML


_ENTRY = re.compile(
    r"""(?P<indent>\ *)(?P<dash>-(?:\s+|$))?"""
    r"""(?:(?P<key>"[^"]*"|'[^']*'|[^\s:#"'\[{-][^:#]*?)\s*:(?:\s+|$))?(?P<rest>.*)$"""
)


def parse_yaml(text: str, section: str, name: str) -> Iterator[Line]:
    """Read the block that a section names: `key: value`, lists of values, quoted values.

    Raises:
        ConfigurationError: a line of the block is none of these.
    """
    is_inside, key, block_indent = False, "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip()
        if not line.strip() or line.lstrip().startswith("#") or line in ("---", "..."):
            continue
        match = _ENTRY.match(line)
        assert match is not None
        indent = len(match["indent"])
        if not indent and not match["dash"]:
            is_inside, key, block_indent = _unquote(match["key"] or "", name, number) == section, "", 0
            continue
        if not is_inside:
            continue
        block_indent = block_indent or indent
        if match["key"] is not None and not match["dash"] and indent == block_indent:
            key = _unquote(match["key"], name, number)
        elif match["dash"] is None or match["key"] is not None or not key:
            raise ConfigurationError(
                f'{name}:{number}: "{line.strip()}" is not read; write "option: value" or "- value"'
            )
        for value in _read_scalars(match["rest"], name, number):
            yield Line(key, value, number)


def _read_scalars(text: str, name: str, number: int) -> Iterator[str]:
    """Read what stands behind a key or a dash: nothing, one value, or a list in brackets."""
    plain = text.partition(" #")[0].rstrip()
    if plain.startswith("[") and plain.endswith("]"):
        inside = plain[1:-1]
        for part in inside.split(","):
            if part.strip():
                yield _unquote(part.strip(), name, number)
        return
    if text[:1] in ("|", ">", "{", "&", "*", "!"):
        raise ConfigurationError(f'{name}:{number}: "{text}" is not read; write the value in one line, in quotes')
    if text and not text.startswith("#"):
        yield _unquote(text, name, number)


_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "/": "/", "e": "\033", "0": "\0"}


def _unquote(text: str, name: str, number: int) -> str:
    if text[:1] not in ("'", '"'):
        return re.split(r"\s+#", text, maxsplit=1)[0].strip()
    match = re.match(r"""'((?:[^']|'')*)'\s*(?:#.*)?$|"((?:[^"\\]|\\.)*)"\s*(?:#.*)?$""", text)
    if match is None:
        raise ConfigurationError(f"{name}:{number}: {text} has a quote without its like")
    if match[1] is not None:
        return match[1].replace("''", "'")
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), match[2])


# JSON


class _Pairs(list[tuple[str, object]]):
    """An object, with what it repeats."""


def parse_json(text: str, section: str, name: str) -> Iterator[Line]:
    """Read the object that a section names.

    Raises:
        ConfigurationError: it is not JSON, or has no such object.
    """
    try:
        root = json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except ValueError as error:
        raise ConfigurationError(f"{name}: not JSON: {error}") from None
    found = next((value for key, value in root if key == section), None) if isinstance(root, _Pairs) else None
    if not isinstance(found, _Pairs):
        raise ConfigurationError(f'{name}: there is no object "{section}" in it')
    for key, value in found:
        values = value if isinstance(value, list) and not isinstance(value, _Pairs) else [value]
        for each in values:
            if isinstance(each, str):
                yield Line(key, each, 0)
            elif each is None or isinstance(each, bool):
                yield Line(key, "1" if each else "0", 0)


# XML


class _Element:
    """An element: what uWSGI looks at is its text up to the first child, and its children."""

    def __init__(self, name: str, attributes: dict[str, str], number: int) -> None:
        self.name = name
        self.attributes = attributes
        self.number = number
        self.text = ""
        self.children: list[_Element] = []


class _Builder:
    """Builds elements. Refuses documents with a type: their entities are a way to files and to endless memory."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parser = expat.ParserCreate()
        self._open: list[_Element] = []
        self.root: _Element | None = None
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = lambda _name: self._open.pop()
        self._parser.CharacterDataHandler = self._read_text
        self._parser.StartDoctypeDeclHandler = self._refuse_type

    def build(self, text: str) -> _Element:
        try:
            self._parser.Parse(text, True)  # noqa: FBT003 - the parser's own signature
        except expat.ExpatError as error:
            raise ConfigurationError(f"{self._name}:{error.lineno}: not XML: {expat.ErrorString(error.code)}") from None
        assert self.root is not None
        return self.root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        element = _Element(name, attributes, self._parser.CurrentLineNumber)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _read_text(self, text: str) -> None:
        if self._open and not self._open[-1].children:
            self._open[-1].text += text

    def _refuse_type(self, *_facts: object) -> None:
        number = self._parser.CurrentLineNumber
        raise ConfigurationError(f"{self._name}:{number}: a document type is not read; take <!DOCTYPE ...> out")


def parse_xml(text: str, section: str, name: str) -> Iterator[Line]:
    """Read the options of a <uwsgi> element; a section is the `id` of elements that others are passed over for.

    Raises:
        ConfigurationError: it is not XML, has a document type, or no <uwsgi>.
    """
    root = _Builder(name).build(text)
    element = root if root.name == "uwsgi" else _find_stanza(root, section)
    if element is None:
        raise ConfigurationError(f"{name}: there is no <uwsgi> element in it")
    for child in element.children:
        if _is_meant(child, section):
            yield from _read_app(child) if child.name == "app" else _read_element(child)


def _find_stanza(root: _Element, section: str) -> _Element | None:
    stanzas = (each for each in root.children if each.name == "uwsgi")
    return next((each for each in stanzas if _is_meant(each, section)), None)


def _is_meant(element: _Element, section: str) -> bool:
    identity = element.attributes.get("id")
    return not section or identity is None or identity == section


def _read_element(element: _Element) -> Iterator[Line]:
    yield Line(element.name, element.text if element.text or element.children else "1", element.number)


def _read_app(element: _Element) -> Iterator[Line]:
    """Read <app mountpoint="/x">module:callable</app>, whose value may stand in an element of its own."""
    inner = element.children[0] if element.children else None
    value = inner.text if inner is not None else element.text
    if value:
        place = element.attributes.get("mountpoint")
        domain = element.attributes.get("domain")
        mount = f"{place}={value}" if place is not None else f"{domain}|={value}" if domain is not None else value
        yield Line("mount", mount, element.number)
    yield Line("app", "", element.number)


# By the ending of a file's name, and by the option that names one.
FORMATS: dict[str, Parse] = {
    "ini": parse_ini,
    "xml": parse_xml,
    "xmlconfig": parse_xml,
    "yaml": parse_yaml,
    "yml": parse_yaml,
    "json": parse_json,
    "js": parse_json,
}
# What a section is called if none is named; of XML then all elements are meant.
SECTIONS: dict[Parse, str] = {parse_ini: "uwsgi", parse_yaml: "uwsgi", parse_json: "uwsgi", parse_xml: ""}
