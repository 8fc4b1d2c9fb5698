"""The command line's options, generated from the schema for the standard library's argument parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hostler.config.kind import Boolean, Table, TextList, format_duration, format_size
from hostler.config.option import Option
from hostler.config.origin import suggest
from hostler.config.schema import SECTIONS, list_options
from hostler.config.source import Flag
from hostler.errors import ConfigurationError

FLAGS = "flags"


@dataclass(frozen=True, slots=True)
class Switch:
    """A flag, for those who describe a command line.

    Attributes:
        spellings: all of them, such as ("-w", "--workers", "--workers-count").
        summary: its help.
        metavar: the placeholder of its value; empty when it takes none.
        option: the option that it sets, if it is one of the schema.
    """

    spellings: tuple[str, ...]
    summary: str
    metavar: str
    option: Option | None


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are ConfigurationErrors with the nearest right flag."""

    def error(self, message: str) -> NoReturn:
        """Raise, in place of printing and exiting."""
        raise ConfigurationError(f"{message}; see {self.prog} --help")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse a command's arguments.

        Raises:
            ConfigurationError: a flag is unknown, lacks its value, or an argument is too many.
        """
        namespace, rest = self.parse_known_args(arguments)
        for extra in rest:
            if not extra.startswith("-") or extra == "--":
                raise ConfigurationError(f'unexpected argument "{extra}"; see {self.prog} --help')
            name = extra.partition("=")[0]
            hint = suggest(name, self.list_spellings(), otherwise="; see --help-all")
            raise ConfigurationError(f"unknown option {name}{hint}")
        return namespace

    def list_switches(self) -> list[Switch]:
        """List all flags that have help."""
        return [
            Switch(
                spellings=tuple(action.option_strings),
                summary=(action.help or "").replace("%%", "%"),
                metavar="" if action.nargs == 0 else str(action.metavar),
                option=action.option if isinstance(action, _Record) else None,
            )
            for action in self._actions
            if action.option_strings
        ]

    def list_spellings(self) -> list[str]:
        """List all long spellings of all flags."""
        return [text for action in self._actions for text in action.option_strings if text.startswith("--")]


class _Record(argparse.Action):
    """Keeps what was written for an option: the spelling and every text; the schema makes values of them."""

    def __init__(self, option_strings: Sequence[str], dest: str, option: Option, **rest: Any) -> None:  # noqa: ANN401
        super().__init__(option_strings, dest, **rest)
        self.option = option

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the standard library's signature
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if values is None:  # an optional positional that is not there
            return
        flags: dict[str, Flag] = dict(getattr(namespace, FLAGS, None) or {})
        spelling = option_string or "APP"
        text = str(values)
        if isinstance(self.option.kind, Boolean):
            text = "false" if spelling.startswith("--no-") else "true"
        before = flags.get(self.option.path)
        repeats = isinstance(self.option.kind, TextList | Table)
        texts = (*before.texts, text) if before is not None and repeats else (text,)
        flags[self.option.path] = Flag(spelling, texts)
        setattr(namespace, FLAGS, flags)


def add_target(parser: Parser) -> None:
    """Add the argument APP."""
    option = next(found for found in list_options() if found.path == "app.target")
    text = "the application: module:attr, module, module:factory() or a file; without it, recognised"
    parser.add_argument("app.target", nargs="?", metavar="APP", action=_Record, option=option, help=text)


def add_options(parser: Parser, *, show_all: bool) -> None:
    """Add a flag for every option of the schema.

    Args:
        parser: where to.
        show_all: whether `--help` shows every option, or the common ones only; all are understood in any case.
    """
    parser.set_defaults(**{FLAGS: {}})
    for section, declaration in SECTIONS.items():
        title = (declaration.__doc__ or section).partition(".")[0]
        group = parser.add_argument_group(f"{section}: {title[:1].lower()}{title[1:]}")
        for option in list_options():
            if option.section == section:
                _add_option(group, option, show=show_all or option.common)


def _add_option(group: Any, option: Option, *, show: bool) -> None:  # noqa: ANN401 - argparse's own type is private
    spellings = list(option.flags)
    if option.path == "app.target":
        show = False  # the argument APP says it
    shown = describe(option).replace("%", "%%") if show else argparse.SUPPRESS
    if isinstance(option.kind, Boolean):
        spellings += [f"--no-{text[2:]}" for text in option.flags if text.startswith("--")]
        group.add_argument(*spellings, dest=option.path, nargs=0, action=_Record, option=option, help=shown)
        return
    metavar = option.kind.metavar.replace("%", "%%")
    group.add_argument(*spellings, dest=option.path, metavar=metavar, action=_Record, option=option, help=shown)


def describe(option: Option) -> str:
    """Write an option's help: its documentation without mark-up, and its default."""
    text = option.doc.replace("`", "")
    repeats = " May be given several times." if isinstance(option.kind, TextList | Table) else ""
    return f"{text}{repeats} [{describe_default(option)}]"


def describe_default(option: Option) -> str:
    """Write an option's default for people: "30s", "100MiB", "none"."""
    value = option.default
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if option.kind.name == "duration":
        return format_duration(value)
    if option.kind.name == "size":
        return format_size(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(value) or "none"
    return str(value)
