"""How one option is declared: a dataclass field whose metadata says everything that any source or document needs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from hostler.config.kind import Integer, Kind

_KEY = "option"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the schema, as its sources and documents see it.

    Attributes:
        section: the section's name, such as "workers".
        name: the option's name within the section, such as "count".
        kind: what its values may be.
        default: the value when no source gives one.
        doc: one or two plain sentences for the reference.
        unit: what a number counts ("seconds", "bytes", "processes"); empty for other kinds.
        short: further flag spellings, such as ("-w", "--workers").
        reloadable: whether a reload (SIGHUP) takes a changed value over; otherwise a restart is needed.
        common: whether the short `--help` lists it.
        fallback: an environment variable other tools set, read when nothing else gives a value.
    """

    section: str
    name: str
    kind: Kind
    default: Any
    doc: str
    unit: str
    short: tuple[str, ...]
    reloadable: bool
    common: bool
    fallback: str

    @property
    def path(self) -> str:
        """The name in the file and in messages: "workers.count"."""
        return f"{self.section}.{self.name}"

    @property
    def flag(self) -> str:
        """The long flag by rule: "--workers-count"."""
        return f"--{self.section}-{self.name}".replace("_", "-")

    @property
    def flags(self) -> tuple[str, ...]:
        """All spellings as a flag; a short one first, the one by rule last."""
        return (*self.short, self.flag) if self.flag not in self.short else self.short

    @property
    def variable(self) -> str:
        """The environment variable by rule: "HOSTLER_WORKERS_COUNT"."""
        return f"HOSTLER_{self.section}_{self.name}".upper()


def option(
    default: Any,  # noqa: ANN401 - each option has its own type
    kind: Kind,
    *,
    doc: str,
    unit: str = "",
    short: tuple[str, ...] = (),
    reloadable: bool = True,
    common: bool = False,
    fallback: str = "",
) -> Any:  # noqa: ANN401 - as dataclasses.field is typed
    """Declare a field of a section to be an option; see `Option` for the arguments.

    `default` is given as the value itself (a float of seconds, an int of bytes, a tuple). The result is typed as
    Any, as that of `dataclasses.field` is, so that the field's own annotation stands.
    """
    facts = {
        "kind": kind,
        "doc": doc,
        "unit": unit or {"duration": "seconds", "size": "bytes"}.get(kind.name, ""),
        "short": short,
        "reloadable": reloadable,
        "common": common,
        "fallback": fallback,
    }
    if isinstance(kind, Integer) and not unit:
        raise TypeError(f"an integer option needs a unit: {doc}")
    if default.__class__.__hash__ is None:  # a mapping: dataclasses wants a factory
        return dataclasses.field(default_factory=lambda: default, metadata={_KEY: facts})
    return dataclasses.field(default=default, metadata={_KEY: facts})


def read_options(section: str, declaration: type) -> tuple[Option, ...]:
    """List the options that the dataclass of a section declares, in the order of declaration."""
    options = []
    for field in dataclasses.fields(declaration):
        default = field.default if field.default is not dataclasses.MISSING else None
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        options.append(Option(section=section, name=field.name, default=default, **field.metadata[_KEY]))
    return tuple(options)
