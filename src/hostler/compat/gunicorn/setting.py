"""How one setting of Gunicorn is declared: its spellings and type, and what Hostler makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hostler.compat.effect import Effect
from hostler.compat.gunicorn.kind import Kind, take_text


class Fate(Enum):
    """What becomes of a setting."""

    MAPPED = "mapped"
    SILENT = "not needed"
    WARNED = "no equal"
    REFUSED = "refused"
    HOOK = "hook"
    DOOR = "the same"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may look at beside its own setting.

    Attributes:
        values: every setting's value.
        given: the names of those that were given; all else are defaults.
        environ: the environment variables.
    """

    values: Mapping[str, Any]
    given: frozenset[str] = frozenset()
    environ: Mapping[str, str] = field(default_factory=dict)


# Says what comes of a value that was given.
Rule = Callable[[Any, Facts], Iterator[Effect]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: its name in `gunicorn.conf.py`.
        fate: what becomes of it.
        say: for the documentation, and for the warning or refusal: the replacement or the reason.
        flags: its spellings on the command line; none if it is for files only.
        kind: what its values may be.
        default: Gunicorn's.
        options: Hostler's options that it sets.
        rule: says what comes of a value; by default the value itself is given to the only option.
        constant: what a flag without value gives, instead of taking one.
        is_optional: whether the flag's value may be left out, and is then `constant`.
        is_repeated: whether the flag may be given several times.
        variable: an environment variable that takes the place of the default.
    """

    name: str
    fate: Fate
    say: str = ""
    flags: tuple[str, ...] = ()
    kind: Kind = take_text
    default: object = None
    options: tuple[str, ...] = ()
    rule: Rule | None = None
    constant: object = None
    is_optional: bool = False
    is_repeated: bool = False
    variable: str = ""

    @property
    def flag(self) -> str:
        """The long flag; empty if it has none."""
        return next((flag for flag in self.flags if flag.startswith("--")), "")
