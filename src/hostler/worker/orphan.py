"""A worker without a supervisor: nobody is left to kill it if a request never ends."""

from __future__ import annotations

from collections.abc import Callable

from hostler.system.process import parent_pid
from hostler.system.signals import end_process_after


def build_orphan_guard(supervisor_pid: int, graceful_timeout: float) -> Callable[[int, object], None]:
    """Build the handler for TERM, which the kernel sends when the supervisor ends, that sets a limit to draining."""

    def note_term(_number: int, _frame: object) -> None:
        if parent_pid() != supervisor_pid:
            end_process_after(graceful_timeout)

    return note_term
