"""What the options of logs become."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

from hostler.compat.effect import Effect, Give, Note
from hostler.compat.uwsgi.option import Facts, Given

# uWSGI's line, in the form that programs read it: what Hostler does not count is 0.
DEFAULT_FORMAT = (
    "[pid: %({pid}x)s|app: 0|req: 0/0] %(h)s (%(u)s) {0 vars in 0 bytes} [%({date}x)s] %(m)s %({target}x)s => "
    "generated %(B)s bytes in %(M)s msecs (%(H)s %(s)s) 0 headers in 0 bytes (0 switches on core 0)"
)
# uWSGI's variables of `log-format` in Hostler's words.
_VARIABLES = {
    "uri": "%({target}x)s",
    "method": "%(m)s",
    "user": "%(u)s",
    "addr": "%(h)s",
    "host": "%({host}i)s",
    "proto": "%(H)s",
    "uagent": "%(a)s",
    "referer": "%(f)s",
    "status": "%(s)s",
    "rsize": "%(B)s",
    "size": "%(B)s",
    "cl": "%({content-length}i)s",
    "micros": "%(D)s",
    "msecs": "%(M)s",
    "secs": "%(L)s",
    "time": "%({epoch}x)s",
    "ltime": "%({clf}x)s",
    "ftime": "%({clf}x)s",
    "epoch": "%({epoch}x)s",
    "ctime": "%({date}x)s",
    "pid": "%({pid}x)s",
}
_VARIABLE = re.compile(r"%\(([^)]*)\)")


def leave(_given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """An option that the rule of another looks at."""
    return iter(())


def is_silent(facts: Facts) -> bool:
    """Tell whether requests are not logged at all."""
    return facts.is_on("disable-logging") and not list_choices(facts)


def list_choices(facts: Facts) -> list[Give]:
    """List by what requests are chosen that are logged in spite of `disable-logging`."""
    statuses = [name.removeprefix("log-") for name in ("log-4xx", "log-5xx") if facts.is_on(name)]
    choices = [Give("log.access_statuses", statuses)] if statuses else []
    if slow := facts.given.get("log-slow"):
        choices.append(Give("log.access_slow", f"{slow[-1].text}ms"))
    return choices


def map_log_file(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`logto`: everything goes to the file."""
    yield Give("log.file", given[-1].text)
    if not is_silent(facts) and "req-logger" not in facts.given:
        yield Give("log.access", given[-1].text)


def map_logger(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`logger`: everything goes there; without a request logger the access log too."""
    place, note = name_place(given[-1].text)
    if note:
        yield Note(note)
    if place and not place.startswith("syslog:"):
        yield Give("log.file", place)
    elif place:
        yield Note("the server log stays on standard error, which systemd hands on; the access log goes to syslog")
    if place and not is_silent(facts) and "req-logger" not in facts.given:
        yield Give("log.access", place)
    if len(given) > 1:
        yield Note("one place for each log; the last one counts")


def map_request_logger(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`req-logger`: the access log."""
    place, note = name_place(given[-1].text)
    if note:
        yield Note(note)
    if place and not is_silent(facts):
        yield Give("log.access", place)


def map_syslog(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`log-syslog`: its value is the name that lines have."""
    if not is_silent(facts):
        yield Give("log.access", _name_syslog(given[-1].text))
    yield Note("the server log stays on standard error, which systemd hands on")


def name_place(text: str) -> tuple[str, str]:
    """Write where a logger writes in Hostler's words, and what people should know.

    Args:
        text: `plugin:argument`, perhaps behind a name and a blank.
    """
    _, blank, rest = text.partition(" ")
    plugin, _, argument = (rest if blank and ":" in rest else text).partition(":")
    if plugin == "file":
        # `file:logfile=/x,maxsize=...` is the other form.
        keys = dict(part.partition("=")[::2] for part in argument.split(",")) if "logfile=" in argument else {}
        note = "the size is not bounded; set log.rotate_size" if "maxsize" in keys else ""
        return keys.get("logfile", argument), note
    if plugin in ("stdio", "fd", "systemd"):
        return "-", ""
    if plugin == "syslog":
        return _name_syslog(argument), ""
    if plugin == "rsyslog":
        place, _, tag = argument.partition(",")
        where = place if ":" in place else f"{place}:514"
        return f"syslog:udp://{where}{_write_query(tag)}", ""
    return "", f"{text} is no place that Hostler logs to; use file:PATH, stdio or syslog"


def _name_syslog(argument: str) -> str:
    tag, _, facility = argument.partition(",")
    return f"syslog:unix:/dev/log{_write_query(tag, facility)}"


def _write_query(tag: str, facility: str = "") -> str:
    parts = {name: text for name, text in (("facility", facility.lower()), ("tag", tag)) if text}
    return f"?{urlencode(parts)}" if parts else ""


def map_size(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`log-maxsize`: bytes, beyond which a file is put aside."""
    yield Give("log.rotate_size", given[-1].text)


def map_disabled(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`disable-logging`: requests are not logged, but for those that `log-4xx` and its like choose."""
    if is_silent(facts):
        yield Give("log.access", "")
    elif given[-1].is_on:
        yield from list_choices(facts)


def map_format(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`log-format`."""
    text, unknown = translate_format(given[-1].text)
    yield Give("log.access_format", text)
    if unknown:
        yield Note(f"{', '.join(unknown)} cannot be known and stays a dash")


def translate_format(text: str) -> tuple[str, list[str]]:
    """Write a format in Hostler's words, and the variables that are unknown."""
    unknown: dict[str, None] = {}

    def translate(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("var."):
            return _name_variable(name.removeprefix("var."))
        if name not in _VARIABLES:
            unknown[match[0]] = None
        return _VARIABLES.get(name, "-")

    pieces = []
    end = 0
    for match in _VARIABLE.finditer(text):
        pieces += [text[end : match.start()].replace("%", "%%"), translate(match)]
        end = match.end()
    pieces.append(text[end:].replace("%", "%%"))
    return "".join(pieces), list(unknown)


def _name_variable(name: str) -> str:
    if name.startswith("HTTP_"):
        return f"%({{{name.removeprefix('HTTP_').lower().replace('_', '-')}}}i)s"
    return f"%({{{name}}}e)s"
