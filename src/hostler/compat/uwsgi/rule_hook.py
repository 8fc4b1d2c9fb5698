"""What uWSGI's hooks become: commands at points of the server's life."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
    """`hook-as-root` and its like: an action with its argument; of the actions, those that run a command are done."""
    for each in given:
        if " ".join(each.text.split()) == DRAIN_HOOK:
            # See `control`.
            continue
        action, _, argument = each.text.removeprefix("!").partition(":")
        phase = PHASES[each.name.removeprefix("hook-")]
        if action.strip() in _COMMANDS:
            yield Give(phase.path, [write_action(argument, phase)])
        else:
            yield Note(f"{each.text} is not done: only exec: is; write it as a command")


def write_action(command: str, phase: Phase) -> str:
    """Write a command line of the shell as an action of Hostler's hooks."""
    return f"exec:{'+' if phase.is_privileged else ''}/bin/sh -c {shlex.quote(command.strip())}"
