"""How one option of uWSGI is declared: its spellings, and what Hostler makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hostler.compat.effect import Effect
from hostler.compat.uwsgi.placeholder import read_number
from hostler.config.origin import Origin

_OFF = frozenset({"false", "off", "no", "0"})


class Fate(Enum):
    """What becomes of an option."""

    MAPPED = "mapped"
    SILENT = "not needed"
    DOOR = "the same"
    LATER = "planned"
    WARNED = "no equal"
    REFUSED = "refused"


class Takes(Enum):
    """Whether an option takes a value on the command line."""

    NOTHING = ""
    VALUE = "="
    MAYBE = "?"


@dataclass(frozen=True, slots=True)
class Given:
    """One time that an option was given.

    Attributes:
        name: the spelling.
        value: its value; None for a flag without one.
        origin: where.
    """

    name: str
    value: str | None
    origin: Origin

    @property
    def text(self) -> str:
        """The value, or nothing."""
        return self.value or ""

    @property
    def is_on(self) -> bool:
        """Whether a switch is on: any value but false, off, no and 0."""
        return self.value is None or self.value.lower() not in _OFF

    @property
    def number(self) -> int:
        """The number that the value begins with; 1 for a flag without one."""
        return 1 if self.value is None else read_number(self.value)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may look at.

    Attributes:
        given: what was given, in order, by the option's first name.
        directory: where the server is started, absolute.
        environ: the environment variables.
    """

    given: Mapping[str, tuple[Given, ...]]
    directory: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The directory that the application is run in, and that most relative paths are relative to."""
        return self.directory / (self.text("chdir") or self.text("chdir2") or ".")

    def all(self, name: str) -> tuple[Given, ...]:
        """Give all times that an option was given."""
        return self.given.get(name, ())

    def last(self, name: str) -> Given | None:
        """Give the last time that an option was given, which is the one that counts."""
        return self.all(name)[-1] if name in self.given else None

    def text(self, name: str) -> str:
        """Give an option's value; nothing if it was not given."""
        last = self.last(name)
        return last.text if last is not None else ""

    def number(self, name: str) -> int:
        """Give an option's number; 0 if it was not given."""
        last = self.last(name)
        return last.number if last is not None else 0

    def is_on(self, name: str) -> bool:
        """Tell whether a switch was given, and on."""
        last = self.last(name)
        return last is not None and last.is_on


# Says what comes of an option that was given.
Rule = Callable[[tuple[Given, ...], Facts], Iterator[Effect]]


@dataclass(frozen=True, slots=True)
class Option:
    """One option with its spellings, or a family of options that share their fate.

    Attributes:
        names: the spellings, with what each takes.
        fate: what becomes of it.
        say: for the documentation, and for the warning or refusal: the replacement or the reason.
        options: Hostler's options that it sets.
        rule: says what comes of it.
        short: its letter on the command line; empty without one.
    """

    names: Mapping[str, Takes]
    fate: Fate
    say: str = ""
    options: tuple[str, ...] = ()
    rule: Rule | None = None
    short: str = ""

    @property
    def name(self) -> str:
        """The first spelling."""
        return next(iter(self.names))

    @property
    def is_switch(self) -> bool:
        """Whether it takes no value, so that "false" in a file is as if it was not given."""
        return Takes.NOTHING in self.names.values()


def declare(
    spec: str, fate: Fate, say: str = "", options: tuple[str, ...] | str = (), rule: Rule | None = None
) -> Option:
    """Declare an option.

    Args:
        spec: its names separated by blanks: `name=` takes a value, `name?` may take one, `name` takes none; `-x` is
            its letter.
        fate: what becomes of it.
        say: see `Option`.
        options: see `Option`.
        rule: see `Option`.
    """
    words = spec.split()
    names = {word.rstrip("=?"): _read_mark(word) for word in words if not word.startswith("-")}
    short = next((word[1:] for word in words if word.startswith("-")), "")
    paths = (options,) if isinstance(options, str) else options
    return Option(names, fate, say, paths, rule, short)


def _read_mark(word: str) -> Takes:
    return Takes(word[-1]) if word[-1] in "=?" else Takes.NOTHING
