"""What uWSGI's hooks become: commands at points of the server's life."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from hostler.compat.effect import Effect, Give, Note
from hostler.compat.uwsgi.option import Facts, Given

# The hook that people have SIGTERM drain with, as uWSGI's own meaning of it is another.
DRAIN_HOOK = "unix_signal:15 gracefully_kill_them_all"
_COMMANDS = ("exec", "safeexec")


@dataclass(frozen=True, slots=True)
class Phase:
    """Where a phase of uWSGI's is in Hostler.

    Attributes:
        path: the option for it.
        is_privileged: whether it comes before uWSGI gives its rights up.
    """

    path: str
    is_privileged: bool = False


_PREPARE, _PREPARE_AS_ROOT = Phase("hooks.prepare"), Phase("hooks.prepare", is_privileged=True)
# By what stands behind "hook-" or "exec-".
PHASES: Mapping[str, Phase] = {
    **dict.fromkeys(("asap", "pre-jail", "post-jail", "in-jail", "as-root"), _PREPARE_AS_ROOT),
    **dict.fromkeys(("as-user", "pre-app", "master-start"), _PREPARE),
    **dict.fromkeys(("post-app", "accepting1", "accepting-once", "accepting1-once"), Phase("hooks.serving")),
    "post-fork": Phase("hooks.worker_forked"),
    "accepting": Phase("hooks.worker_loaded"),
    "as-user-atexit": Phase("hooks.ended"),
}


def map_command(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`exec-as-root` and its like: a command line of the shell."""
    for each in given:
        phase = PHASES[each.name.removeprefix("exec-")]
        yield Give(phase.path, [write_action(each.text, phase)])


def map_hook(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`hook-as-root` and its like: an action with its argument; done are those that a command of the shell can do."""
    for each in given:
        if " ".join(each.text.split()) == DRAIN_HOOK:
            # See `control`.
            continue
        action, _, argument = each.text.removeprefix("!").partition(":")
        phase = PHASES[each.name.removeprefix("hook-")]
        command = build_command(action.strip(), argument.strip())
        if command:
            yield Give(phase.path, [write_action(command, phase)])
        else:
            yield Note(f"{each.text} is not done; write it as a command, after exec:")


def build_command(action: str, argument: str) -> str:
    """Build the command line that does what an action of uWSGI's does; empty where there is none."""
    if action in _COMMANDS:
        return argument
    build = _ACTIONS.get(action)
    first, _, rest = argument.partition(" ")
    return build(first, rest.strip()) if build is not None and first else ""


def _write(file: str, text: str, *, form: str = "%s", operator: str = ">") -> str:
    return f"printf {shlex.quote(form)} {shlex.quote(text)} {operator} {shlex.quote(file)}"


def _make_directory(path: str, mode: str) -> str:
    return f"mkdir -p {f'-m {shlex.quote(mode)} ' if mode else ''}-- {shlex.quote(path)}"


def _print(first: str, rest: str) -> str:
    return f"printf {shlex.quote(_LINE)} {shlex.quote(f'{first} {rest}'.strip())} >&2"


def _change(program: str, path: str, value: str) -> str:
    return f"{program} {shlex.quote(value)} -- {shlex.quote(path)}" if value else ""


_LINE = r"%s\n"
# Each is given the first word of the argument, and the rest.
_ACTIONS: Mapping[str, Callable[[str, str], str]] = {
    "append": partial(_write, operator=">>"),
    "appendn": partial(_write, form=_LINE, operator=">>"),
    "chmod": partial(_change, "chmod"),
    "chown": lambda path, owner: _change("chown", path, ":".join(owner.split())),
    "create": lambda path, _: f": > {shlex.quote(path)}",
    "log": _print,
    "mkdir": _make_directory,
    "print": _print,
    "sticky": lambda path, _: f"chmod +t -- {shlex.quote(path)}",
    "unlink": lambda path, _: f"rm -- {shlex.quote(path)}",
    "write": _write,
    "writen": partial(_write, form=_LINE),
}


def write_action(command: str, phase: Phase) -> str:
    """Write a command line of the shell as an action of Hostler's hooks."""
    return f"exec:{'+' if phase.is_privileged else ''}/bin/sh -c {shlex.quote(command.strip())}"
