"""The one door to the native extension: nothing else imports `hostler._engine`."""

from hostler._engine import (
    AsgiEngine,
    Engine,
    check_access_log_format,
    check_tls,
    check_trusted_network,
    scoreboard_layout,
    version,
)

__all__ = [
    "AsgiEngine",
    "Engine",
    "check_access_log_format",
    "check_tls",
    "check_trusted_network",
    "scoreboard_layout",
    "version",
]
