"""Turn what was read into Hostler's configuration, and say setting by setting what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hostler.compat.assembly import assemble, convert_gives
from hostler.compat.effect import Give, Note
from hostler.compat.gunicorn.rule import name_class, parse_raw_env
from hostler.compat.gunicorn.setting import Facts, Fate, Setting
from hostler.compat.gunicorn.source import Given, Reading
from hostler.compat.gunicorn.table import SETTINGS
from hostler.config import Config, Surroundings
from hostler.config.origin import Origin
from hostler.config.source import Setting as Value
from hostler.errors import ConfigurationError

# What Gunicorn does without being told, and applications rely on: the number of threads is its own, and it has no limit
# on bodies. All other defaults are Hostler's.
_ALWAYS = frozenset({"bind", "worker_class"})
_UNLIMITED_BODY = Give("limits.body_size", 0)
# What `secure_scheme_headers` may say without a difference.
_SAME_HEADERS = {"X-FORWARDED-PROTO": "https"}
GUNICORN = Origin("file", "Gunicorn's default")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one setting.

    Attributes:
        setting: the setting.
        value: its value.
        origin: where it was given.
        gives: the options that it sets.
        notes: what people should know, a sentence each.
    """

    setting: Setting
    value: object
    origin: Origin
    gives: tuple[Give, ...]
    notes: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The setting with its value, for people: `workers = 9`; of what is long, secret or a function the name."""
        if self.setting.fate is Fate.HOOK or callable(self.value) or self.setting.name == "raw_env":
            return self.setting.name
        text = repr(name_class(self.value) if self.setting.name == "worker_class" else self.value)
        return f"{self.setting.name} = {text}" if len(text) <= 60 else self.setting.name


def translate(reading: Reading, environ: Mapping[str, str], *, is_refusal_noted: bool = False) -> tuple[Outcome, ...]:
    """Say what becomes of each setting that was given, in the order of the table.

    Args:
        reading: what was read.
        environ: the environment variables.
        is_refusal_noted: note what Hostler must refuse, instead of raising.

    Raises:
        ConfigurationError: something is asked for that Hostler must refuse; a line for each.
    """
    facts = Facts(reading.values, frozenset(reading.given), environ)
    outcomes, problems = [], []
    for setting in SETTINGS:
        given = reading.given.get(setting.name)
        if given is None and setting.name in _ALWAYS:
            given = Given(setting.default, GUNICORN)
        if given is None:
            continue
        if setting.fate is Fate.REFUSED and given.value and given.value != setting.default:
            if is_refusal_noted:
                outcomes.append(Outcome(setting, given.value, given.origin, (), (setting.say,)))
            else:
                problems.append(f"{given.origin.where}: {setting.name} cannot be: {setting.say}")
            continue
        try:
            outcomes.append(_follow(setting, given, facts))
        except ValueError as error:
            problems.append(f"{given.origin.where}: {setting.name} is {given.value!r}; it must be {error}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return tuple(outcomes)


def _follow(setting: Setting, given: Given, facts: Facts) -> Outcome:
    effects = list(_list_effects(setting, given, facts))
    gives = tuple(each for each in effects if isinstance(each, Give))
    notes = tuple(each.text for each in effects if isinstance(each, Note))
    return Outcome(setting, given.value, given.origin, gives, notes)


def _list_effects(setting: Setting, given: Given, facts: Facts) -> Iterator[Give | Note]:
    if setting.rule is not None:
        yield from setting.rule(given.value, facts)
    elif setting.fate is Fate.MAPPED and given.value is not None:
        yield Give(setting.options[0], given.value)
    elif setting.fate is Fate.WARNED and not _is_default(setting, given.value):
        yield Note(setting.say.replace("`", ""))


def _is_default(setting: Setting, value: object) -> bool:
    if setting.name == "logger_class" and value == "simple":
        return True
    if isinstance(value, dict) and {str(name).upper(): text for name, text in value.items()} == _SAME_HEADERS:
        return True
    return value == setting.default or (not value and not setting.default)


def list_values(outcomes: tuple[Outcome, ...], environ: Mapping[str, str]) -> list[Value]:
    """Give Hostler's options as settings, from the weakest to the strongest; HOSTLER_ variables are not among them.

    Raises:
        ConfigurationError: an option cannot have the value.
    """
    gives = [(_UNLIMITED_BODY, "limits.body_size", GUNICORN)]
    if environ.get("SCRIPT_NAME"):
        prefix = environ["SCRIPT_NAME"].rstrip("/")
        gives.append((Give("app.script_name", prefix), "SCRIPT_NAME", Origin("environment", "SCRIPT_NAME")))
    gives += [(give, each.setting.name, each.origin) for each in outcomes for give in each.gives]
    return convert_gives(gives)


def build(
    reading: Reading, outcomes: tuple[Outcome, ...], environ: Mapping[str, str], surroundings: Surroundings
) -> Config:
    """Build the configuration; variables HOSTLER_SECTION_NAME win over all that Gunicorn was told.

    Raises:
        ConfigurationError: it cannot be.
    """
    return assemble(list_values(outcomes, environ), reading.directory, environ, surroundings)


def list_warnings(reading: Reading, outcomes: tuple[Outcome, ...]) -> list[str]:
    """Say what is not as it was with Gunicorn, a line each."""
    lines = list(reading.remarks)
    for outcome in outcomes:
        if outcome.origin != GUNICORN:
            lines += [f"{outcome.setting.name}: {note} ({outcome.origin.where})" for note in outcome.notes]
    return lines


def read_variables(reading: Reading) -> dict[str, str]:
    """Give the environment that `raw_env` asks for."""
    return parse_raw_env(reading.values["raw_env"])
