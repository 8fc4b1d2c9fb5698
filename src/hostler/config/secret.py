"""Values that stand elsewhere: in a file of their own, or in an environment variable; and what is kept out of sight.

A source gives a `Reference` in the place of such a value. It is followed once it is known which source wins, so that
the secrets of an overlay that was not chosen need not exist. Whatever came through a reference, and whatever looks
like a secret, is shown as its mask: `***`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from hostler.config.kind import Kind, Location, Table, Text

MASK = "***"
EXPECTS = 'or { file = "PATH" } or { env = "NAME" } to take it from elsewhere'
# Arbitrary; a certificate chain has some KiB, and the kernel takes no variable longer than 128 KiB.
LARGEST_FILE = 1_048_576

_SOURCES: Mapping[str, Literal["file", "env"]] = MappingProxyType({"file": "file", "env": "env"})
_SPELLING = re.compile(r"@(file|env):(.*)", re.DOTALL)
# Hiding a value too many is harmless.
_SECRET_NAME = re.compile(r"PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|PRIVATE|AUTH|COOKIE|SALT|DSN", re.IGNORECASE)
# A user with a password in a URL (RFC 3986 3.2.1).
_SECRET_URL = re.compile(r"://[^/\s@]*:[^/\s]*@")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a value stands.

    Attributes:
        source: the kind of place.
        name: the path of the file, or the name of the variable.
    """

    source: Literal["file", "env"]
    name: str

    def __str__(self) -> str:
        return f"{'file' if self.source == 'file' else 'variable'} {self.name}"

    @property
    def mask(self) -> str:
        """What is shown in place of the value."""
        return f"{MASK} (from {self})"


class UnreadableError(ValueError):
    """What a reference names is not there, or cannot be read."""


def parse_reference(text: str) -> Reference | None:
    """Read "@file:PATH" or "@env:NAME"; None for any other text.

    Raises:
        ValueError: path or name are missing.
    """
    match = _SPELLING.fullmatch(text.strip())
    if match is None:
        return None
    return _make_reference(match[1], match[2].strip())


def convert_reference(raw: object) -> Reference | None:
    """Take `{ file = PATH }` or `{ env = NAME }` from a file; None for what is no table.

    Raises:
        ValueError: it is another table.
    """
    if not isinstance(raw, dict):
        return None
    if len(raw) != 1:
        raise ValueError(raw)
    (source, name), *_ = raw.items()
    return _make_reference(source, name)


def _make_reference(source: str, name: object) -> Reference:
    if source not in _SOURCES or not isinstance(name, str) or not name or "\0" in name:
        raise ValueError(source)
    return Reference(_SOURCES[source], name)


def parse_value(kind: Kind, text: str) -> object:
    """Read a value, or a reference to it, as `kind.parse` reads values: for variables and for files of texts."""
    if isinstance(kind, Text | Location):
        return parse_reference(text) or kind.parse(text)
    return refer_items(kind.parse(text)) if isinstance(kind, Table) else kind.parse(text)


def convert_value(kind: Kind, raw: object) -> object:
    """Take a value, or a reference to it, as `kind.convert` takes values: for files with types."""
    if isinstance(kind, Text | Location):
        return convert_reference(raw) or kind.convert(raw)
    if not isinstance(kind, Table) or not isinstance(raw, dict):
        return kind.convert(raw)
    references = {key: found for key, item in raw.items() if (found := convert_reference(item))}
    plain = kind.convert({key: "" if key in references else item for key, item in raw.items()})
    assert isinstance(plain, Mapping)
    return MappingProxyType({**plain, **references})


def refer_items(pairs: object) -> object:
    """Replace the items of a table that are spelled as references by these."""
    assert isinstance(pairs, Mapping)
    return MappingProxyType({key: parse_reference(text) or text for key, text in pairs.items()})


def read_reference(reference: Reference, directory: Path, environ: Mapping[str, str]) -> str:
    """Follow a reference.

    Args:
        reference: to what.
        directory: what a relative path is relative to.
        environ: the variables.

    Returns:
        The text without the line end that it may have.

    Raises:
        UnreadableError: it is not there or cannot be read; the text says why.
    """
    if reference.source == "env":
        if reference.name not in environ:
            raise UnreadableError(f"{reference} is not set")
        return environ[reference.name]
    try:
        with (directory / reference.name).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UnreadableError(f"{reference} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise UnreadableError(f"{reference} is larger than 1 MiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{reference} is not UTF-8 text (byte {error.start})") from None  # it holds the text
    return text.removesuffix("\n").removesuffix("\r")


def looks_secret(name: str, value: str) -> bool:
    """Tell whether a variable is one whose value people do not want to see printed."""
    return bool(_SECRET_NAME.search(name) or _SECRET_URL.search(value))


def mask_items(text: str) -> str:
    """Write the items of a private table without their values: "A=***, B=***"."""
    names = (item.partition("=") for item in text.split(","))
    return ", ".join(f"{name.strip()}={MASK}" if equals else MASK for name, equals, _ in names)
