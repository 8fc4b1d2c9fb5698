"""Write what became of settings for people: a hostler.toml with comments, a report, and the guide's table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hostler.compat.document import Imported, write_options, write_row
from hostler.compat.gunicorn.command import find_command
from hostler.compat.gunicorn.setting import Fate, Setting
from hostler.compat.gunicorn.source import VARIABLE, Sources
from hostler.compat.gunicorn.syntax import Place, locate_names
from hostler.compat.gunicorn.table import SETTINGS
from hostler.compat.gunicorn.translation import GUNICORN, Outcome, list_values, translate
from hostler.errors import ConfigurationError

_HEAD = "| setting | flag | in Hostler | |\n|---|---|---|---|\n"
_FATES = {
    Fate.MAPPED: "",
    Fate.SILENT: "not needed",
    Fate.WARNED: "no equal",
    Fate.REFUSED: "refused",
    Fate.HOOK: "called",
    Fate.DOOR: "the same",
}


def import_file(path: Path) -> Imported:
    """Turn a Gunicorn configuration, or a file that holds its command line, into a hostler.toml.

    A configuration file is run: it is Python.

    Raises:
        ConfigurationError: it cannot be read, or its values cannot be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    remarks: list[str] = []
    environ: dict[str, str] = {}
    places: Mapping[str, Place] = {}
    unknown: frozenset[str] = frozenset()
    if path.suffix == ".py":
        words = ["--config", path.name]
        places = locate_names(text) if _is_python(text) else {}
    else:
        command = find_command(text, str(path))
        words = list(command.words)
        remarks += command.remarks
        unknown = command.unknown
        environ = {VARIABLE: command.arguments} if command.arguments else {}
    reading = Sources(words, environ, path.absolute().parent).read(is_elsewhere=True)
    # What the command line says wins over the file that it names, also where it is not known what that is.
    reading = replace(reading, given={name: each for name, each in reading.given.items() if name not in unknown})
    outcomes = translate(reading, environ, is_refusal_noted=True)
    remarks += reading.remarks
    if not set(reading.given) - {"config"}:
        remarks.append(f"{path} sets nothing that Gunicorn knows")
    return Imported(write_toml(outcomes, path.name, places), (*write_report(outcomes), *remarks))


def _is_python(text: str) -> bool:
    try:
        compile(text, "", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def write_toml(outcomes: tuple[Outcome, ...], name: str, places: Mapping[str, Place]) -> str:
    """Write the options as a hostler.toml.

    Args:
        outcomes: what became of each setting.
        name: where they come from.
        places: where the file sets them, and to what.
    """
    comments = {give.path: _comment(each, give.path, places) for each in outcomes for give in each.gives}
    comments["limits.body_size"] = "Gunicorn has no limit; consider one, such as 100MiB"
    values = {each.option.path: each for each in list_values(outcomes, {})}
    shown = {
        path: value for path, value in values.items() if value.origin != GUNICORN or value.value != value.option.default
    }
    return write_options(shown, comments, name)


def _comment(outcome: Outcome, path: str, places: Mapping[str, Place]) -> str:
    if outcome.origin == GUNICORN:
        if path == "workers.threads":
            return "Gunicorn's default; more threads if the application is safe in them"
        return "Gunicorn's default"
    place = places.get(outcome.setting.name)
    if place is not None and not place.is_literal:
        return f"{outcome.setting.name} was computed: {place.expression} ({outcome.origin.where})"
    return f"{outcome.shown} ({outcome.origin.where})"


def write_report(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say what became of each setting that was given."""
    given = [each for each in outcomes if each.origin != GUNICORN and each.setting.name != "config"]
    width = min(44, max((len(each.shown) for each in given), default=0))
    for outcome in given:
        yield f"{outcome.shown:<{width}}  {_describe(outcome)}"


def _describe(outcome: Outcome) -> str:
    setting = outcome.setting
    if outcome.gives:
        return "; ".join([", ".join(give.path for give in outcome.gives), *outcome.notes])
    if outcome.notes:
        return f"no equal: {'; '.join(outcome.notes)}"
    if setting.fate is Fate.HOOK or setting.name.startswith("logconfig"):
        return "only with `hostler gunicorn`, which runs this file"
    reason = setting.say.replace("`", "")
    start = {Fate.MAPPED: ", ".join(setting.options), Fate.DOOR: "no option"}.get(setting.fate, "not needed")
    return f"{start}{f': {reason}' if reason else ''}"


def write_table() -> str:
    """Write the guide's table of every setting."""
    return _HEAD + "".join(map(_write_row, SETTINGS))


def _write_row(setting: Setting) -> str:
    flags = " ".join(f"`{flag}`" for flag in setting.flags)
    options = ", ".join(f"`{path}`" for path in setting.options) or _FATES[setting.fate]
    return write_row(f"`{setting.name}`", flags, options, setting.say)
