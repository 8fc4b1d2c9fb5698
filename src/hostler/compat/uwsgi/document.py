"""Write what became of options for people: help, a hostler.toml with comments, a report, and the guide's table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from hostler.compat.document import Imported, write_options, write_row
from hostler.compat.uwsgi.command_line import PROGRAM
from hostler.compat.uwsgi.magic import Machine
from hostler.compat.uwsgi.option import Fate, Option, Takes
from hostler.compat.uwsgi.reader import Reader
from hostler.compat.uwsgi.table import AREAS, index_letters
from hostler.compat.uwsgi.translation import UWSGI, Outcome, gather, list_values, translate

_HEAD = "| option | in Hostler | |\n|---|---|---|\n"
_FATES = {
    Fate.MAPPED: "",
    Fate.SILENT: "not needed",
    Fate.DOOR: "the same",
    Fate.LATER: "planned",
    Fate.WARNED: "no equal",
    Fate.REFUSED: "refused",
}
# What options that the door alone follows come to for a server that is started from hostler.toml.
_ELSEWHERE = {
    "die-on-term": "not needed: SIGTERM drains and ends",
    "exit-on-reload": "no equal: a reload keeps the supervisor",
    "touch-logreopen": "no option: send SIGUSR1",
    "touch-logrotate": "no option: send SIGUSR1 after logrotate",
    "master-fifo": "no option: use `hostler reload` and its like",
    "daemonize": "no option: let systemd start it (docs/guides/systemd.md)",
    "attach-daemon": "no option: run it as a service of its own",
    "py-autoreload": "no option: use `hostler dev`",
    "import": "no option: import it in the application",
    "shared-import": "no option: import it in the application",
}
_DEFAULTS = {
    "limits.body_size": "uWSGI has no limit; consider one, such as 100MiB",
    "workers.threads": "uWSGI's default; more threads if the application is safe in them",
    "app.preload": "uWSGI loads the application once, unless lazy-apps is set",
    "log.access": "uWSGI logs requests, unless disable-logging is set",
    "trust.networks": "uWSGI believes everyone who reaches its sockets; name the web server alone",
}


# Import


def import_file(path: Path) -> Imported:
    """Turn a configuration of uWSGI into a hostler.toml.

    Args:
        path: an .ini, .xml, .yaml or .json file, with a section behind a colon if it is not `uwsgi`.

    Raises:
        ConfigurationError: it cannot be read, or its values cannot be.
    """
    kind = path.name.partition(":")[0].rpartition(".")[2]
    return import_words([f"--{kind}", path.name], path)


def import_words(words: Sequence[str], path: Path, remarks: Sequence[str] = ()) -> Imported:
    """Turn a command line of uWSGI into a hostler.toml.

    Args:
        words: the command line, without the program's name.
        path: the file that it stands in, whose directory paths are relative to.
        remarks: what else to say in the report.

    Raises:
        ConfigurationError: a file that it names cannot be read, or values cannot be.
    """
    directory = path.absolute().parent
    reading = Reader({}, Machine(directory), is_elsewhere=True).read(words, index_letters())
    facts = gather(reading, directory, {})
    outcomes = [each for each in translate(facts, is_refusal_noted=True) if not is_reading(each)]
    values = {each.option.path: each for each in list_values(facts, outcomes)}
    comments = {path: text for path, text in _DEFAULTS.items() if path in values}
    for outcome in outcomes:
        for give in outcome.gives:
            text = f"{outcome.shown} ({outcome.origin.where})"
            former = comments.get(give.path, "")
            is_added = give.path in ("server.bind", "app.env", "app.mounts", "app.python_path") and former
            comments[give.path] = f"{former}, {text}" if is_added else text
    shown = {
        path: value
        for path, value in values.items()
        if value.origin != UWSGI or (path in _DEFAULTS and value.value != value.option.default)
    }
    said = [*remarks, *reading.remarks]
    if any("%k" in each.read_text(encoding="utf-8", errors="replace") for each in reading.files):
        said.append('%k is taken to be 1; for as many workers as there are cores write count = "auto"')
    if not outcomes:
        said.append(f"{path} sets nothing that uWSGI knows")
    return Imported(write_options(shown, comments, path.name), (*write_report(outcomes), *said))


def is_reading(outcome: Outcome) -> bool:
    """Tell whether an option was done with when the file was read, so that nothing is left to say of it."""
    option = outcome.option
    return option in AREAS["Files, placeholders, commands"] and option.fate in (Fate.DOOR, Fate.SILENT)


def write_report(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say what became of each option that was given."""
    width = min(44, max((len(each.shown) for each in outcomes), default=0))
    for outcome in outcomes:
        yield f"{outcome.shown:<{width}}  {_describe(outcome)}"


def _describe(outcome: Outcome) -> str:
    option = outcome.option
    if outcome.gives:
        paths = dict.fromkeys(give.path for give in outcome.gives)
        return "; ".join([", ".join(paths), *outcome.notes])
    reason = option.say.replace("`", "")
    if option.fate is Fate.DOOR:
        return _ELSEWHERE.get(option.name, f"only with `hostler uwsgi`{f': {reason}' if reason else ''}")
    if outcome.notes:
        return f"{_FATES[option.fate] or 'no equal'}: {'; '.join(outcome.notes)}"
    start = {Fate.MAPPED: ", ".join(option.options)}.get(option.fate, "not needed")
    return f"{start}{f': {reason}' if reason else ''}"


# The guide


def write_table() -> str:
    """Write the guide's tables of every option, by area."""
    parts = [f"### {area}\n\n{_HEAD}{''.join(map(_write_row, options))}" for area, options in AREAS.items()]
    return "\n".join(parts)


def _write_row(option: Option) -> str:
    names = " ".join(f"`{name}`" for name in option.names)
    options = ", ".join(f"`{path}`" for path in option.options) or _FATES[option.fate]
    return write_row(names, options, option.say)


# Help


def write_help() -> str:
    """Write the text of `--help`."""
    lines = [
        f"usage: {PROGRAM} [OPTIONS] [FILE ...]",
        "",
        "Serve from uWSGI's own command line and files (.ini, .xml, .yaml, .json). In brackets: what becomes of it.",
    ]
    for area, options in AREAS.items():
        lines += ["", f"{area}:"]
        for option in options:
            lines += _write_help(option)
    return "\n".join(lines) + "\n"


def _write_help(option: Option) -> Iterator[str]:
    marks = {Takes.NOTHING: "", Takes.VALUE: " VALUE", Takes.MAYBE: "[=VALUE]"}
    letter = f"-{option.short}, " if option.short else ""
    names = ", ".join(f"--{name}{marks[takes]}" for name, takes in option.names.items())
    yield from textwrap.wrap(letter + names, 100, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    target = ", ".join(option.options) or _FATES[option.fate]
    text = f"[{target}] {option.say}".replace("`", "").rstrip()
    yield from textwrap.wrap(text, 100, initial_indent="        ", subsequent_indent="        ", break_on_hyphens=False)
