"""`attach-daemon`: a program that is started, kept alive and stopped with the server."""

from __future__ import annotations

import logging
import signal

from hostler.compat.uwsgi.door import Door
from hostler.contracts import ChildContext
from hostler.system.command import SHELL, become_command
from hostler.system.process import change_directory, tie_to_parent
from hostler.system.user import drop_privileges, resolve_identity


def run_daemon(door: Door, number: int, context: ChildContext) -> int:
    """Become the program, with the user, directory and environment of workers. After fork."""
    given = door.facts.all("attach-daemon")
    if number >= len(given) or door.config is None:
        return 0
    config = door.config
    identity = resolve_identity(config.server.user, config.server.group)
    if identity is not None:
        drop_privileges(identity)
        # The kernel cancels the tie when the user changes.
        tie_to_parent(context.supervisor_pid, signal.SIGTERM)
    change_directory(door.facts.home)
    try:
        # Signals are to reach the program, and not a shell before it.
        become_command([SHELL, "-c", f"exec {given[number].text}"], config.app.env)
    except OSError as error:
        logging.getLogger("hostler").error("%s cannot be started: %s", given[number].text, error.strerror)  # noqa: TRY400
        return 1
