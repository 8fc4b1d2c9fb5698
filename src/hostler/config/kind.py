"""Kinds of option values: how each is read from text, converted from a file's value, and written back.

A kind knows nothing of sections, files or flags. Both ways in (`parse` from a flag or an environment variable,
`convert` from a value that the file's own syntax has already typed) end in the same Python value, or in a
ValueError; what was expected stands in `expects`, so that every source words the same mistake the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol
from urllib.parse import parse_qsl, urlencode

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
# Beyond these a number is a slip of the keyboard, and could overflow a 64-bit count of nanoseconds or bytes elsewhere.
LONGEST = 365 * 86400.0
LARGEST = 2**53

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*(ms|s|m|h|d)?", re.ASCII)
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kmg]?i?b)?", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_OCTAL = re.compile(r"(?:0o?)?([0-7]{1,4})", re.ASCII)


def parse_duration(text: str) -> float:
    """Read "30s", "500ms", "2m", "1h", "1d" or a bare number of seconds.

    Returns:
        Seconds.

    Raises:
        ValueError: `text` is none of these, or longer than a year.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    seconds = float(match[1]) * SECONDS[match[2] or "s"]
    if seconds > LONGEST:
        raise ValueError(text)
    return seconds


def format_duration(seconds: float) -> str:
    """Write seconds in the largest unit that keeps them exact: "30s", "500ms", "2m"."""
    for unit in ("d", "h", "m", "s", "ms"):
        amount = seconds / SECONDS[unit]
        if amount >= 1 and amount == int(amount) and parse_duration(f"{int(amount)}{unit}") == seconds:
            return f"{int(amount)}{unit}"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def parse_size(text: str) -> int:
    """Read "64KiB", "10MB", "1.5GiB" or a bare number of bytes.

    Returns:
        Bytes.

    Raises:
        ValueError: `text` is none of these, or no whole number of bytes.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[2] or "").lower() == "ib":
        raise ValueError(text)
    whole, _, fraction = match[1].partition(".")
    scale: int = 10 ** len(fraction)
    amount, rest = divmod(int(whole + fraction) * BYTES[(match[2] or "b").lower()], scale)
    if rest or amount > LARGEST:
        raise ValueError(text)
    return amount


def format_size(size: int) -> str:
    """Write bytes in the largest binary unit that keeps them whole: "100MiB", "8190"."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


class Kind(Protocol):
    """What an option's value may be."""

    @property
    def name(self) -> str:
        """The kind for the reference documentation, such as "duration"."""

    @property
    def expects(self) -> str:
        """What a right value is, to end the sentence "it must be ..."."""

    @property
    def metavar(self) -> str:
        """The placeholder of the value in `--help`."""

    def parse(self, text: str) -> object:
        """Read a value from a flag or an environment variable; ValueError when it is wrong."""

    def convert(self, raw: object) -> object:
        """Take a value from the configuration file; ValueError when it is wrong."""

    def format(self, value: object) -> str:
        """Write a value as the configuration file would have it."""


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false; as a flag it takes no value and has a `--no-` twin."""

    name: str = "boolean"
    expects: str = "true or false"
    metavar: str = ""

    def parse(self, text: str) -> object:
        """Read "true", "yes", "on", "1" and their opposites, in any case."""
        word = text.strip().lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
        raise ValueError(text)

    def convert(self, raw: object) -> object:
        """Take a boolean; a number or a text that looks like one is refused."""
        if isinstance(raw, bool):
            return raw
        raise ValueError(raw)

    def format(self, value: object) -> str:
        """Write "true" or "false"."""
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds.

    Args:
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
        auto: whether the word "auto" is allowed, too.
    """

    minimum: int = 0
    maximum: int = 2**31 - 1
    auto: bool = False

    @property
    def name(self) -> str:
        """See `Kind`."""
        return 'integer or "auto"' if self.auto else "integer"

    @property
    def metavar(self) -> str:
        """See `Kind`."""
        return "N"

    @property
    def expects(self) -> str:
        """See `Kind`."""
        text = f"a whole number from {self.minimum} to {self.maximum}"
        if self.maximum == 2**31 - 1:
            text = f"a whole number of at least {self.minimum}"
        return f'"auto" or {text}' if self.auto else text

    def parse(self, text: str) -> object:
        """Read a decimal number, or "auto" where allowed."""
        if self.auto and text.strip() == "auto":
            return "auto"
        if _INTEGER.fullmatch(text.strip()) is None:
            raise ValueError(text)
        return self.convert(int(text))

    def convert(self, raw: object) -> object:
        """Take an integer within the bounds, or "auto" where allowed."""
        if self.auto and raw == "auto":
            return raw
        if not isinstance(raw, int) or isinstance(raw, bool) or not self.minimum <= raw <= self.maximum:
            raise ValueError(raw)
        return raw

    def format(self, value: object) -> str:
        """Write the number, or "auto" in quotes."""
        return quote(value) if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time; the value is a float of seconds.

    Args:
        minimum: the shortest duration allowed, in seconds.
    """

    minimum: float = 0.0
    name: str = "duration"
    metavar: str = "TIME"

    @property
    def expects(self) -> str:
        """See `Kind`."""
        least = f" of at least {format_duration(self.minimum)}" if self.minimum else ""
        return f'a duration{least}, such as "30s", "500ms", "2m" or a number of seconds'

    def parse(self, text: str) -> object:
        """Read a number with a unit (ms, s, m, h, d), or of seconds."""
        return self._bounded(parse_duration(text))

    def convert(self, raw: object) -> object:
        """Take a text as `parse` does, or a number of seconds."""
        if isinstance(raw, str):
            return self.parse(raw)
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise ValueError(raw)
        return self._bounded(float(raw))

    def format(self, value: object) -> str:
        """Write the duration with its unit, in quotes."""
        return quote(format_duration(float(str(value))))

    def _bounded(self, seconds: float) -> float:
        if not self.minimum <= seconds <= LONGEST:  # false for NaN, too, which TOML can spell
            raise ValueError(seconds)
        return seconds


@dataclass(frozen=True, slots=True)
class Size:
    """An amount of memory or data; the value is an int of bytes.

    Args:
        minimum: the smallest size allowed, in bytes.
    """

    minimum: int = 0
    name: str = "size"
    metavar: str = "SIZE"

    @property
    def expects(self) -> str:
        """See `Kind`."""
        least = f" of at least {format_size(self.minimum)}" if self.minimum else ""
        return f'a size{least}, such as "64KiB", "10MB" or a number of bytes'

    def parse(self, text: str) -> object:
        """Read a number with a unit (B, KB, MB, GB, KiB, MiB, GiB), or of bytes."""
        return self._bounded(parse_size(text))

    def convert(self, raw: object) -> object:
        """Take a text as `parse` does, or a number of bytes."""
        if isinstance(raw, str):
            return self.parse(raw)
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise ValueError(raw)
        return self._bounded(raw)

    def format(self, value: object) -> str:
        """Write the size; with a binary unit, in quotes, where it divides evenly."""
        text = format_size(int(str(value)))
        return text if text.isdigit() else quote(text)

    def _bounded(self, size: int) -> int:
        if not self.minimum <= size <= LARGEST:
            raise ValueError(size)
        return size


@dataclass(frozen=True, slots=True)
class Text:
    """A text without control characters.

    Args:
        choices: the texts allowed; all when empty.
        word: the placeholder in `--help`.
        optional: whether the value may be left out, and is then None; an empty text means the same.
        path: whether the text may name a file; a relative one is then resolved by `resolve`.
    """

    choices: tuple[str, ...] = ()
    word: str = "TEXT"
    optional: bool = False
    path: bool = False

    @property
    def name(self) -> str:
        """See `Kind`."""
        return "choice" if self.choices else "text"

    @property
    def metavar(self) -> str:
        """See `Kind`."""
        return "|".join(self.choices) or self.word

    @property
    def expects(self) -> str:
        """See `Kind`."""
        if self.choices:
            *most, last = (quote(choice) for choice in self.choices)
            return f"{', '.join(most)} or {last}"
        return "a text on one line, without control characters"

    def parse(self, text: str) -> object:
        """Take the text as it is."""
        return self.convert(text)

    def convert(self, raw: object) -> object:
        """Take a text; None for an empty one that is optional."""
        if not isinstance(raw, str) or not _is_clean(raw) or (self.choices and raw not in self.choices):
            raise ValueError(raw)
        return None if self.optional and not raw else raw

    def resolve(self, value: object, directory: Path) -> object:
        """Make a text that names a file absolute; "-", "syslog:...", "journald:" and the empty text name none."""
        if not self.path or not isinstance(value, str) or value in {"", "-"}:
            return value
        if value.startswith(("syslog:", "journald:")):
            return value
        return str(directory / value)

    def format(self, value: object) -> str:
        """Write the text in quotes; an absent one as an empty text."""
        return quote("" if value is None else value)


@dataclass(frozen=True, slots=True)
class Location:
    """A path in the file system; the value is a Path, made absolute by `resolve`.

    Args:
        optional: whether the value may be left out, and is then None; an empty text means the same.
    """

    optional: bool = False
    name: str = "path"
    metavar: str = "PATH"
    expects: str = "a path as a text"

    def parse(self, text: str) -> object:
        """Take the text as a path."""
        return self.convert(text)

    def convert(self, raw: object) -> object:
        """Take a text as a path; None for an empty one that is optional."""
        if not isinstance(raw, str) or not _is_clean(raw) or (not raw and not self.optional):
            raise ValueError(raw)
        return Path(raw) if raw else None

    def resolve(self, value: object, directory: Path) -> object:
        """Make a relative path absolute."""
        return directory / value if isinstance(value, Path) else value

    def format(self, value: object) -> str:
        """Write the path in quotes; an absent one as an empty text."""
        return quote("" if value is None else value)


@dataclass(frozen=True, slots=True)
class Octal:
    """A permission mask, written in octal as a text ("027") or as a TOML octal number (0o027); an int or None."""

    name: str = "octal"
    expects: str = 'an octal mask as a text, such as "027"'
    metavar: str = "MASK"

    def parse(self, text: str) -> object:
        """Read octal digits, with or without a leading "0" or "0o"; an empty text is None."""
        if not text.strip():
            return None
        match = _OCTAL.fullmatch(text.strip())
        if match is None:
            raise ValueError(text)
        return self.convert(int(match[1], 8))

    def convert(self, raw: object) -> object:
        """Take a text as `parse` does, or a number up to 0o777."""
        if isinstance(raw, str):
            return self.parse(raw)
        if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= 0o777:
            raise ValueError(raw)
        return raw

    def format(self, value: object) -> str:
        """Write three octal digits in quotes; an absent mask as an empty text."""
        return quote(f"{value:03o}" if isinstance(value, int) else "")


@dataclass(frozen=True, slots=True)
class TextList:
    """Several texts; the value is a tuple. A flag is repeated, an environment variable separates them by commas.

    Args:
        word: the placeholder of one item in `--help`.
        filled: whether at least one item must be given.
        path: whether the items are paths; they are made absolute by `resolve`.
    """

    word: str = "TEXT"
    filled: bool = False
    path: bool = False
    name: str = "list of texts"

    @property
    def metavar(self) -> str:
        """See `Kind`."""
        return self.word

    @property
    def expects(self) -> str:
        """See `Kind`."""
        return f"a list of {'at least one text' if self.filled else 'texts'}, none of them empty"

    def parse(self, text: str) -> object:
        """Read items separated by commas; an empty text is an empty list."""
        return self.convert([item.strip() for item in text.split(",")] if text.strip() else [])

    def convert(self, raw: object) -> object:
        """Take a list of texts, or one text for a list of one."""
        items = [raw] if isinstance(raw, str) else raw
        if not isinstance(items, list) or (self.filled and not items):
            raise ValueError(raw)
        if not all(isinstance(item, str) and item and _is_clean(item) for item in items):
            raise ValueError(raw)
        return tuple(items)

    def resolve(self, value: object, directory: Path) -> object:
        """Make relative paths absolute."""
        if not self.path or not isinstance(value, tuple):
            return value
        return tuple(str(directory / item) for item in value)

    def format(self, value: object) -> str:
        """Write the list in brackets."""
        items = value if isinstance(value, tuple) else ()
        return "[" + ", ".join(quote(item) for item in items) + "]"


# What an address says of itself behind a question mark that is a path.
_ADDRESS_PATHS = ("certificate", "key", "client_ca")


@dataclass(frozen=True, slots=True)
class AddressList(TextList):
    """Addresses: texts, or tables.

    `{ address = "https://:443", certificate = "a.pem" }` means the same as `https://:443?certificate=a.pem`.
    """

    name: str = "list of addresses"

    @property
    def expects(self) -> str:
        """See `Kind`."""
        return 'a list of at least one text, or of tables such as { address = "https://:443", certificate = "a.pem" }'

    def convert(self, raw: object) -> object:
        """Take a list of texts and tables, or one for a list of one."""
        items = raw if isinstance(raw, list) else [raw]
        return TextList.convert(self, [_flatten(item) if isinstance(item, dict) else item for item in items])

    def resolve(self, value: object, directory: Path) -> object:
        """Make relative paths behind the question mark absolute."""
        items = value if isinstance(value, tuple) else ()
        return tuple(_resolve_address(item, directory) for item in items)


def _flatten(table: dict[str, object]) -> str:
    address = table.get("address")
    others = {key: value for key, value in table.items() if key != "address"}
    if not isinstance(address, str) or not all(isinstance(each, str | bool | int) for each in others.values()):
        raise ValueError(table)
    said = {key: ("on" if each else "off") if isinstance(each, bool) else str(each) for key, each in others.items()}
    separator = "&" if "?" in address else "?"
    return address + (separator + urlencode(said, safe="/:") if said else "")


def _resolve_address(text: str, directory: Path) -> str:
    place, separator, query = text.partition("?")
    if not separator or not any(f"{name}=" in query for name in _ADDRESS_PATHS):
        return text
    said = [(key, str(directory / item) if key in _ADDRESS_PATHS else item) for key, item in parse_qsl(query)]
    return f"{place}?{urlencode(said, safe='/:')}"


@dataclass(frozen=True, slots=True)
class Table:
    """Names with texts; the value is a read-only mapping.

    A flag KEY=VALUE is repeated, an environment variable separates several by commas.

    Args:
        private: whether the texts may be secrets, which no message shows.
    """

    private: bool = False
    name: str = "table"
    metavar: str = "KEY=VALUE"
    expects: str = "a table of texts (as a flag or variable: KEY=VALUE), with names that are not empty"

    def parse(self, text: str) -> object:
        """Read KEY=VALUE items separated by commas."""
        return self.parse_items([item.strip() for item in text.split(",")] if text.strip() else [])

    def parse_items(self, items: list[str]) -> object:
        """Read KEY=VALUE items, a later one of the same name winning."""
        pairs: dict[str, object] = {}
        for item in items:
            key, equals, value = item.partition("=")
            if not equals:
                raise ValueError(item)
            pairs[key.strip()] = value
        return self.convert(pairs)

    def convert(self, raw: object) -> object:
        """Take a table of texts; numbers and booleans are written as text, as people mean them."""
        if not isinstance(raw, dict):
            raise ValueError(raw)
        pairs: dict[str, str] = {}
        for key, item in raw.items():
            value = ("true" if item else "false") if isinstance(item, bool) else item
            if not key or "=" in key or "\0" in key or not isinstance(value, str | int | float) or "\0" in str(value):
                raise ValueError(raw)
            pairs[key] = str(value)
        return MappingProxyType(pairs)

    def format(self, value: object) -> str:
        """Write an inline table."""
        pairs = value if isinstance(value, Mapping) else {}
        inner = ", ".join(f"{quote_key(key)} = {quote(pairs[key])}" for key in pairs)
        return f"{{ {inner} }}" if inner else "{}"


def quote(value: object) -> str:
    """Write a text as a TOML basic string."""
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    text = "".join(named.get(char) or (char if _is_clean(char) else f"\\u{ord(char):04X}") for char in str(value))
    return f'"{text}"'


def quote_key(key: str) -> str:
    """Write a TOML key, in quotes where it must be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quote(key)


def _is_clean(text: str) -> bool:
    return not any(ord(char) < 0x20 or ord(char) == 0x7F for char in text)
