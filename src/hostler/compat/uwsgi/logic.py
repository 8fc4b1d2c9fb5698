"""`for` and `if` in uWSGI's files: what becomes of an option between one of them and its end."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostler.compat.uwsgi.placeholder import read_number
from hostler.errors import ConfigurationError

ENDS = frozenset({"end", "endfor", "endif", "end-if", "end-for"})
# How often one `for-times` may repeat (arbitrary).
MOST_TIMES = 10_000
# What `if-plugin` finds: the parts of uWSGI that Hostler has.
PLUGINS = ("python", "http", "corerouter", "cheaper_busyness", "logfile", "rsyslog")


@dataclass(frozen=True, slots=True)
class Scene:
    """What conditions ask about.

    Attributes:
        directory: what paths are relative to.
        environ: the environment variables.
        host: the machine's name.
        is_reload: whether the configuration is read again.
        find: gives the value of an option that was read before; None without one.
    """

    directory: Path
    environ: Mapping[str, str]
    host: str
    is_reload: bool
    find: Callable[[str], str | None]


# Gives the texts that `%(_)` stands for, once for each time that the options are read; None keeps it as it is.
Repeat = Callable[[str, Scene], Iterable[str | None]]


def _repeat_words(argument: str, _scene: Scene) -> Iterable[str | None]:
    return [word for word in argument.split(" ") if word]


def _repeat_files(argument: str, scene: Scene) -> Iterable[str | None]:
    found = sorted(glob.glob(argument, root_dir=scene.directory))  # noqa: PTH207 - absolute patterns too
    marked = [f"{path}/" if (scene.directory / path).is_dir() and not path.endswith("/") else path for path in found]
    return marked or [argument]


def _repeat_lines(argument: str, scene: Scene) -> Iterable[str | None]:
    try:
        text = (scene.directory / argument).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"for-readline: {argument} cannot be read: {error}") from None
    return text.splitlines()


def _repeat_times(argument: str, _scene: Scene) -> Iterable[str | None]:
    times = read_number(argument)
    if times > MOST_TIMES:
        raise ConfigurationError(f"for-times is {argument}; it must be {MOST_TIMES} at most")
    return [str(number) for number in range(1, times + 1)]


def _when(*, is_met: bool, text: str | None) -> Iterable[str | None]:
    return [text] if is_met else []


def _match_named(argument: str, find: Callable[[str], str | None]) -> tuple[bool, str | None]:
    """Look up `name` or `name=value`: whether it is so, and the value that was found."""
    name, equals, wanted = argument.partition("=")
    value = find(name)
    return value is not None and (not equals or value == wanted), value


def _if_named(find: Callable[[Scene], Callable[[str], str | None]], *, is_wanted: bool) -> Repeat:
    def repeat(argument: str, scene: Scene) -> Iterable[str | None]:
        is_met, value = _match_named(argument, find(scene))
        return _when(is_met=is_met is is_wanted, text=value)

    return repeat


def _if_path(ask: Callable[[Path], bool], *, is_wanted: bool) -> Repeat:
    def repeat(argument: str, scene: Scene) -> Iterable[str | None]:
        return _when(is_met=ask(scene.directory / argument) is is_wanted, text=argument)

    return repeat


def _if_fact(ask: Callable[[str, Scene], bool], *, is_wanted: bool) -> Repeat:
    def repeat(argument: str, scene: Scene) -> Iterable[str | None]:
        return _when(is_met=ask(argument, scene) is is_wanted, text=argument)

    return repeat


def _has_plugin(name: str, _scene: Scene) -> bool:
    return any(each in name for each in PLUGINS)


def _get_variable(scene: Scene) -> Callable[[str], str | None]:
    return scene.environ.get


def _get_option(scene: Scene) -> Callable[[str], str | None]:
    return scene.find


def _is_host(argument: str, scene: Scene) -> bool:
    return scene.host == argument


def _is_like_host(argument: str, scene: Scene) -> bool:
    try:
        return re.search(argument, scene.host) is not None
    except re.error as error:
        raise ConfigurationError(f'if-hostname-match is "{argument}", which is no pattern: {error}') from None


def _is_reload(_argument: str, scene: Scene) -> bool:
    return scene.is_reload


STATEMENTS: Mapping[str, Repeat] = {
    "for": _repeat_words,
    "for-glob": _repeat_files,
    "for-readline": _repeat_lines,
    "for-times": _repeat_times,
    **dict.fromkeys(("if-env", "ifenv"), _if_named(_get_variable, is_wanted=True)),
    "if-not-env": _if_named(_get_variable, is_wanted=False),
    "if-opt": _if_named(_get_option, is_wanted=True),
    "if-not-opt": _if_named(_get_option, is_wanted=False),
    **dict.fromkeys(("if-exists", "ifexists"), _if_path(Path.exists, is_wanted=True)),
    "if-not-exists": _if_path(Path.exists, is_wanted=False),
    "if-file": _if_path(Path.is_file, is_wanted=True),
    "if-not-file": _if_path(Path.is_file, is_wanted=False),
    **dict.fromkeys(("if-dir", "ifdir", "if-directory"), _if_path(Path.is_dir, is_wanted=True)),
    "if-not-dir": _if_path(Path.is_dir, is_wanted=False),
    **dict.fromkeys(("if-plugin", "ifplugin"), _if_fact(_has_plugin, is_wanted=True)),
    "if-not-plugin": _if_fact(_has_plugin, is_wanted=False),
    "if-hostname": _if_fact(_is_host, is_wanted=True),
    "if-not-hostname": _if_fact(_is_host, is_wanted=False),
    "if-hostname-match": _if_fact(_is_like_host, is_wanted=True),
    "if-not-hostname-match": _if_fact(_is_like_host, is_wanted=False),
    "if-reload": _if_fact(_is_reload, is_wanted=True),
    "if-not-reload": _if_fact(_is_reload, is_wanted=False),
}
