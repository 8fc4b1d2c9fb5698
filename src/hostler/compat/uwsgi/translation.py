"""Turn what was read into Hostler's configuration, and say option by option what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostler.compat.assembly import assemble, convert_gives
from hostler.compat.effect import Effect, Give, Note
from hostler.compat.uwsgi import rule_log
from hostler.compat.uwsgi.option import Facts, Fate, Given, Option
from hostler.compat.uwsgi.reader import Reading
from hostler.compat.uwsgi.rule_application import GREEN
from hostler.compat.uwsgi.rule_process import count_workers, is_lazy
from hostler.compat.uwsgi.rule_socket import NEIGHBOURS, is_open_gateway
from hostler.compat.uwsgi.table import list_options
from hostler.config import Config, Surroundings
from hostler.config.origin import Origin
from hostler.config.source import Setting as Value
from hostler.errors import ConfigurationError

UWSGI = Origin("file", "uWSGI's default")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one option.

    Attributes:
        option: the option.
        given: all times that it was given.
        gives: Hostler's options that it sets.
        notes: what people should know, a sentence each.
    """

    option: Option
    given: tuple[Given, ...]
    gives: tuple[Give, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> Origin:
        """Where it was given last."""
        return self.given[-1].origin

    @property
    def shown(self) -> str:
        """The option with its values, for people; of what is long or may be secret the name."""
        names = list(dict.fromkeys(each.name for each in self.given))
        last = self.given[-1]
        if len(self.given) > 1 or last.value is None or len(last.value) > 50 or self.option.name in ("env", "envdir"):
            return ", ".join(names)
        return f"{last.name} = {last.value}"


def gather(reading: Reading, directory: Path, environ: Mapping[str, str]) -> Facts:
    """Gather what was given by option."""
    given: dict[str, tuple[Given, ...]] = {}
    for option in list_options():
        found = tuple(each for each in reading.given if each.name in option.names)
        # "false" is as if a switch was not given, and so are the options before it.
        if found and not (option.is_switch and not found[-1].is_on):
            given[option.name] = found
    return Facts(given, directory, environ)


def translate(facts: Facts, *, is_refusal_noted: bool = False) -> tuple[Outcome, ...]:
    """Say what becomes of each option that was given, in the order of the table.

    Args:
        facts: what was given.
        is_refusal_noted: note what Hostler must refuse, instead of raising.

    Raises:
        ConfigurationError: something is asked for that Hostler must refuse; a line for each.
    """
    outcomes, problems = [], []
    for option in list_options():
        given = facts.all(option.name)
        if not given:
            continue
        where, name = given[-1].origin.where, given[-1].name
        if option.fate is Fate.REFUSED and not is_refusal_noted:
            problems.append(f"{where}: {name} cannot be: {_plain(option.say)}")
            continue
        try:
            outcomes.append(_follow(option, given, facts))
        except ValueError as error:
            if is_refusal_noted:
                outcomes.append(Outcome(option, given, (), (f"it must be {error}",)))
            else:
                problems.append(f'{where}: {name} is "{given[-1].text}"; it must be {error}')
    if problems:
        raise ConfigurationError("\n".join(problems))
    return tuple(outcomes)


def _plain(text: str) -> str:
    return text.replace("`", "")


def _follow(option: Option, given: tuple[Given, ...], facts: Facts) -> Outcome:
    effects = list(_list_effects(option, given, facts))
    gives = tuple(each for each in effects if isinstance(each, Give))
    notes = tuple(each.text for each in effects if isinstance(each, Note))
    return Outcome(option, given, gives, notes)


def _list_effects(option: Option, given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    if option.rule is not None:
        yield from option.rule(given, facts)
    elif option.fate in (Fate.LATER, Fate.WARNED, Fate.REFUSED):
        yield Note(_plain(option.say))


def list_defaults(facts: Facts) -> Iterator[Give]:
    """Give what uWSGI does without being told, and applications or operators rely on."""
    yield Give("limits.body_size", 0)
    if not any(name in facts.given for name in GREEN):
        yield Give("workers.threads", 1)
    if count_workers(facts) > 1 and not is_lazy(facts):
        yield Give("app.preload", raw=True)
    if not rule_log.is_silent(facts):
        yield Give("log.access", "-")
        yield Give("log.access_format", rule_log.DEFAULT_FORMAT)
    if is_open_gateway(facts):
        yield Give("trust.networks", list(NEIGHBOURS))


def list_values(facts: Facts, outcomes: Iterable[Outcome]) -> list[Value]:
    """Give Hostler's options as settings, from the weakest to the strongest; HOSTLER_ variables are not among them.

    Raises:
        ConfigurationError: an option cannot have the value.
    """
    gives = [(give, "uWSGI's default", UWSGI) for give in list_defaults(facts)]
    gives += [(give, each.given[-1].name, each.origin) for each in outcomes for give in each.gives]
    return convert_gives(_merge(gives))


def _merge(gives: Iterable[tuple[Give, str, Origin]]) -> list[tuple[Give, str, Origin]]:
    """Put together what several options add to one list or table of Hostler's."""
    merged: dict[str, tuple[Give, str, Origin]] = {}
    for give, name, origin in gives:
        former = merged.get(give.path)
        raw = give.raw
        if former is not None and former[2] != UWSGI:
            if isinstance(raw, list) and isinstance(former[0].raw, list):
                # Keys stand in the order of their certificates, and several may have the same.
                raw = [*former[0].raw, *raw]
            elif isinstance(raw, dict) and isinstance(former[0].raw, dict):
                raw = former[0].raw | raw
        merged[give.path] = Give(give.path, raw), name, origin
    return list(merged.values())


def build(facts: Facts, outcomes: Iterable[Outcome], surroundings: Surroundings) -> Config:
    """Build the configuration; variables HOSTLER_SECTION_NAME win over all that uWSGI was told.

    Raises:
        ConfigurationError: it cannot be.
    """
    directory = facts.home
    if not directory.is_dir():
        last = facts.last("chdir") or facts.last("chdir2")
        where = last.origin.where if last is not None else ""
        raise ConfigurationError(f"{where}: chdir is {directory}; there is no such directory")
    return assemble(list_values(facts, outcomes), directory.resolve(), facts.environ, surroundings)


def list_warnings(reading: Reading, outcomes: Iterable[Outcome]) -> list[str]:
    """Say what is not as it was with uWSGI, a line each."""
    lines = list(reading.remarks)
    for outcome in outcomes:
        names = ", ".join(dict.fromkeys(each.name for each in outcome.given))
        lines += [f"{names}: {note} ({outcome.origin.where})" for note in outcome.notes]
    return lines
