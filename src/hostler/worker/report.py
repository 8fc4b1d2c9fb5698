"""What a child tells its supervisor."""

from __future__ import annotations

from hostler.errors import ApplicationError, HostlerError
from hostler.system.channel import send_message


def report_failure(status_fd: int, error: HostlerError) -> None:
    """Tell the supervisor why this child cannot serve."""
    details = error.details if isinstance(error, ApplicationError) else None
    send_message(
        status_fd,
        {"event": "failed", "message": str(error), "details": details or "", "status": error.exit_status},
    )
