"""Where Gunicorn's settings come from, and which of them wins.

From the weakest: Gunicorn's defaults, a few environment variables, the configuration file, GUNICORN_CMD_ARGS, the
command line. The file is Python and is run here, in the supervisor, as Gunicorn's master runs it: it belongs to the
operator, like a systemd unit, and must not import the application.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from hostler.app import describe_failure
from hostler.compat.gunicorn.setting import Fate, Setting
from hostler.compat.gunicorn.syntax import locate_names
from hostler.compat.gunicorn.table import SETTINGS, index_settings
from hostler.config.origin import Origin, find_nearest, suggest
from hostler.config.parser import Parser
from hostler.errors import ConfigurationError

DEFAULT_FILE = "gunicorn.conf.py"
VARIABLE = "GUNICORN_CMD_ARGS"
PROGRAM = "hostler gunicorn"


@dataclass(frozen=True, slots=True)
class Given:
    """A setting that was given.

    Attributes:
        value: its value.
        origin: where.
    """

    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was read.

    Attributes:
        values: every setting's value, defaults included.
        given: what was given, by name.
        directory: the directory that relative paths are relative to, absolute.
        file: the configuration file, for people; empty if there was none.
        remarks: what is odd about the file, a sentence each.
    """

    values: Mapping[str, Any]
    given: Mapping[str, Given]
    directory: Path
    file: str
    remarks: tuple[str, ...]


def build_parser() -> Parser:
    """Build the parser of Gunicorn's command line, from the table."""
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [OPTIONS] [APP_MODULE]",
        description="Serve from Gunicorn's own command line. In brackets: the option that a setting becomes.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32),
    )
    parser.add_argument("-v", "--version", action="store_true", dest="version", help="print the version and exit")
    parser.add_argument("app_module", nargs="*", help=argparse.SUPPRESS)
    for setting in SETTINGS:
        if setting.flags:
            _add_flag(parser, setting)
    return parser


def _add_flag(parser: Parser, setting: Setting) -> None:
    target = ", ".join(setting.options)
    text = " ".join(filter(None, (f"[{target or setting.fate.value}]", setting.say.replace("`", "")))).replace(
        "%", "%%"
    )
    facts: dict[str, Any] = {"dest": setting.name, "default": None, "help": text}
    if setting.is_optional:
        facts |= {"nargs": "?", "const": setting.constant, "metavar": "VALUE"}
    elif setting.constant is not None:
        facts |= {"action": "store_const", "const": setting.constant}
    else:
        facts |= {"action": "append" if setting.is_repeated else "store", "metavar": "VALUE"}
    parser.add_argument(*setting.flags, **facts)


def parse_words(words: Sequence[str], where: str) -> argparse.Namespace:
    """Parse a command line.

    Args:
        words: without the program's name.
        where: what to call it in messages; empty for the command line itself.

    Raises:
        ConfigurationError: a flag is unknown or lacks its value.
    """
    parser = build_parser()
    prefix = f"{where}: " if where else ""
    try:
        namespace, rest = parser.parse_known_args(words)
    except ConfigurationError as error:
        raise ConfigurationError(f"{prefix}{error}") from None
    for extra in rest:
        name = extra.partition("=")[0]
        if name.startswith("-"):
            hint = suggest(name, parser.list_spellings(), otherwise=f"; see {PROGRAM} --help")
            raise ConfigurationError(f"{prefix}unknown option {name}{hint}")
    return namespace


class Sources:
    """The sources of one server, read at the start and again at each reload."""

    def __init__(self, words: Sequence[str], environ: Mapping[str, str], directory: Path) -> None:
        """Parse the command line.

        Args:
            words: the command line, without the program's name.
            environ: the environment variables.
            directory: where the server is started, absolute.

        Raises:
            ConfigurationError: it is wrong.
        """
        self._directory = directory
        self._environ = environ
        self.arguments = parse_words(words, "")
        self._more = parse_words(_split(environ.get(VARIABLE, "")), VARIABLE)

    def read(self, *, is_elsewhere: bool = False) -> Reading:
        """Read everything.

        Args:
            is_elsewhere: whether the server runs on another machine: files and directories may be missing here.

        Raises:
            ConfigurationError: a value is wrong, or the file cannot be run.
        """
        given = self._read_variables()
        remarks: list[str] = []
        location = self.arguments.config or self._more.config or self._find_default()
        if location and is_elsewhere and not (self._directory / location.removeprefix("file:")).is_file():
            remarks.append(f"{location} is not here, and so was not read; import it by itself")
            location = ""
        if location:
            given |= self._read_file(location, remarks)
        given |= self._read_namespace(self._more, f"{VARIABLE} ")
        given |= self._read_namespace(self.arguments, "")
        if self.arguments.app_module:
            given["wsgi_app"] = Given(self.arguments.app_module[0], Origin("flag", "APP_MODULE"))
        values = {setting.name: setting.default for setting in SETTINGS}
        values |= {name: each.value for name, each in given.items()}
        if "default_proc_name" not in given:
            values["default_proc_name"] = values["wsgi_app"] or values["default_proc_name"]
        directory = self._directory / str(values["chdir"] or ".")
        if not is_elsewhere and not directory.is_dir():
            raise ConfigurationError(
                f"{given['chdir'].origin.where}: chdir is {values['chdir']}; there is no such directory"
            )
        return Reading(values, given, directory.resolve(), location, tuple(remarks))

    def _find_default(self) -> str:
        return DEFAULT_FILE if (self._directory / DEFAULT_FILE).exists() else ""

    def _read_variables(self) -> dict[str, Given]:
        given = {}
        for setting in SETTINGS:
            text = self._environ.get(setting.variable, "") if setting.variable else ""
            if text and setting.fate is Fate.MAPPED:
                raw = f"0.0.0.0:{text}" if setting.variable == "PORT" else text
                origin = Origin("environment", setting.variable)
                given[setting.name] = Given(take_value(setting, raw, setting.variable), origin)
        return given

    def _read_namespace(self, namespace: argparse.Namespace, prefix: str) -> dict[str, Given]:
        given = {}
        for name, raw in vars(namespace).items():
            setting = index_settings().get(name)
            if setting is not None and raw is not None:
                where = f"{prefix}{setting.flag}"
                given[name] = Given(take_value(setting, raw, where), Origin("flag", where))
        return given

    def _read_file(self, location: str, remarks: list[str]) -> dict[str, Given]:
        module, path = self._run(location)
        places = locate_names(path.read_text(encoding="utf-8")) if path is not None else {}
        given = {}
        for name, raw in vars(module).items():
            setting = index_settings().get(name)
            if setting is None:
                remarks += _note_near_miss(location, name, raw)
                continue
            where = f"{location}:{places[name].line}" if name in places else location
            given[name] = Given(take_value(setting, raw, where), Origin("file", where))
        return given

    def _run(self, location: str) -> tuple[ModuleType, Path | None]:
        directory = str(self._directory)
        if directory not in sys.path:
            sys.path.insert(0, directory)
        if location.startswith("python:"):
            return _run_module(location), None
        path = self._directory / location.removeprefix("file:")
        # A device is as good as a file: people name /dev/null to have none.
        if not path.exists() or path.is_dir():
            raise ConfigurationError(f"{location}: there is no such configuration file in {directory}")
        return _run_file(location, path), path


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigurationError(f"{VARIABLE}: cannot be split into words: {error}") from None


def _run_file(location: str, path: Path) -> ModuleType:
    name = "__config__"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        # Compiled anew each time: a reload must see a file that was changed within the second.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 - the operator's own program
    except (Exception, SystemExit) as error:
        raise _explain(location, error) from error
    _reject_patches(location)
    return module


def _run_module(location: str) -> ModuleType:
    name = location.removeprefix("python:")
    try:
        former = sys.modules.get(name)
        return importlib.import_module(name) if former is None else importlib.reload(former)
    except (Exception, SystemExit) as error:
        raise _explain(location, error) from error


def _reject_patches(location: str) -> None:
    """Refuse what takes away the functions that the supervisor waits and forks with.

    Raises:
        ConfigurationError: the file has monkey-patched this process.
    """
    for module, mark in (("gevent.monkey", "saved"), ("eventlet.patcher", "already_patched")):
        if getattr(sys.modules.get(module), mark, None):
            name = module.partition(".")[0]
            raise ConfigurationError(
                f"{location} patches the standard library for {name}, which Hostler does not use: take that out"
            )


def _explain(location: str, error: BaseException) -> ConfigurationError:
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == "gunicorn":
        return ConfigurationError(f"{location} imports Gunicorn, which is not installed: install it, or take that out")
    trace = "".join(f"\n  {line}" for line in describe_failure(error).rstrip().splitlines())
    return ConfigurationError(f"{location} failed: {type(error).__name__}: {' '.join(str(error).split())}{trace}")


def take_value(setting: Setting, raw: object, where: str) -> object:
    """Take a value for a setting.

    Raises:
        ConfigurationError: it cannot be.
    """
    try:
        value = setting.kind(raw)
        return _import_function(value) if setting.fate is Fate.HOOK and isinstance(value, str) else value
    except ValueError as error:
        raise ConfigurationError(f"{where}: {setting.name} is {raw!r}; it must be {error}") from None


def _import_function(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"a function that can be imported ({error})") from None
    if not callable(found):
        raise ValueError("a function")
    return cast("object", found)


def _note_near_miss(location: str, name: str, raw: object) -> list[str]:
    """Say that a name in the file was probably meant to be a setting; Gunicorn passes over it in silence."""
    if name.startswith("_") or isinstance(raw, ModuleType | type) or callable(raw):
        return []
    nearest = find_nearest(name, index_settings(), cutoff=0.85)
    return [f"{location}: {name} is no setting; did you mean {nearest}?"] if nearest else []
