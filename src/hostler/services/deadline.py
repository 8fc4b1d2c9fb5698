"""The deadline of the request that is being served, in the application's hands."""

from __future__ import annotations

from hostler.engine import DeadlineExceeded, set_deadline, watch_deadlines

__all__ = ["DeadlineExceeded", "set_deadline"]

# Whoever imports this wants requests to be found from the tasks and threads that they start, too.
watch_deadlines()
