"""Actions that the operator wants at a point of the server's life: a command, or a function of the application's."""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass

from hostler.app.loading import call_foreign, load_callable
from hostler.app.target import parse_target
from hostler.contracts import HookEvent
from hostler.errors import ApplicationError, HostlerError
from hostler.system.command import run_command

COMMAND = "exec:"
# systemd's sign for a command that runs with full rights.
PRIVILEGED = "+"


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    Attributes:
        text: as it was written.
        command: the program and its arguments; empty for a function.
        target: the function, as "module:name"; empty for a command.
        is_privileged: whether the command keeps the supervisor's rights.
    """

    text: str
    command: tuple[str, ...] = ()
    target: str = ""
    is_privileged: bool = False


def parse_action(text: str) -> Action:
    """Read "exec:PROGRAM ARGUMENT...", "exec:+PROGRAM ..." or "module:function".

    Raises:
        ValueError: it is none of these.
    """
    if text.startswith(COMMAND):
        words = text.removeprefix(COMMAND).strip()
        is_privileged = words.startswith(PRIVILEGED)
        try:
            command = tuple(shlex.split(words.removeprefix(PRIVILEGED)))
        except ValueError as error:
            raise ValueError(f"a command is split as a shell would: {error}") from None
        if not command:
            raise ValueError('"exec:" needs a program')
        return Action(text, command=command, is_privileged=is_privileged)
    try:
        target = parse_target(text)
    except ApplicationError as error:
        raise ValueError(str(error)) from None
    if target.path or not target.attributes or target.call is not None:
        raise ValueError('it must be "module:function", or "exec:" and a command')
    return Action(text, target=text)


def run_action(action: Action, event: HookEvent, timeout: float | None) -> None:
    """Run an action in this process.

    Args:
        action: what to run.
        event: why; a function gets it as its argument, a command as variables.
        timeout: seconds that a command may take; None for any time.

    Raises:
        ApplicationError: it failed; the text says which, and how.
    """
    if action.target:
        function = load_callable(action.target)
        call_foreign(lambda: function(event), f'the hook "{action.target}"')
        return
    fault = run_command(action.command, build_variables(event), timeout)
    if fault:
        raise ApplicationError(f"the hook {shlex.join(action.command)!r} {fault} (hooks.{event.phase})")


def log_failure(error: HostlerError) -> None:
    """Say in the server log that an action has failed where nothing depends on it."""
    details = error.details if isinstance(error, ApplicationError) and error.details else ""
    logging.getLogger("hostler").log(logging.ERROR, "%s%s", error, f"\n{details.rstrip()}" if details else "")


def build_variables(event: HookEvent) -> dict[str, str]:
    """Say in environment variables what has happened; what does not apply is left out."""
    facts = {
        "HOOK_PHASE": event.phase,
        "HOOK_SUPERVISOR_PID": str(event.supervisor_pid),
        "HOOK_WORKER": str(event.worker or ""),
        "HOOK_WORKER_PID": str(event.pid or ""),
        "HOOK_REASON": event.reason,
        "HOOK_ADDRESSES": " ".join(event.addresses),
    }
    return {name: value for name, value in facts.items() if value}
