"""The one door to the native extension: nothing else imports `hostler._engine`."""

from hostler._engine import (
    AsgiEngine,
    DeadlineExceeded,
    Engine,
    check_access_log_filter,
    check_access_log_format,
    check_deadline_pattern,
    check_tls,
    check_trusted_network,
    scoreboard_layout,
    set_deadline,
    version,
    watch_deadlines,
)

__all__ = [
    "AsgiEngine",
    "DeadlineExceeded",
    "Engine",
    "check_access_log_filter",
    "check_access_log_format",
    "check_deadline_pattern",
    "check_tls",
    "check_trusted_network",
    "scoreboard_layout",
    "set_deadline",
    "version",
    "watch_deadlines",
]
