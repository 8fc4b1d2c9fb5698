"""The process title that `ps` and `top` show."""

from __future__ import annotations


def set_title(title: str) -> None:
    """Show `title` as the command line of this process."""
    # Imported late: the C extension costs a few milliseconds before the listeners are open.
    from setproctitle import setproctitle

    setproctitle(title)
