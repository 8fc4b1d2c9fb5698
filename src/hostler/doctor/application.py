"""Whether the application loads, accepts the name, and has its database. Pure: the probe's report is handed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hostler.doctor.model import Finding, Page

_NAMES = {
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "redis": "Redis",
    "oracle": "Oracle",
    "sqlite": "SQLite",
}
_SERVICES = {"postgres": "postgresql", "mysql": "mysql", "mariadb": "mariadb", "redis": "redis-server"}
# django.http.request: what DEBUG allows when ALLOWED_HOSTS is empty.
_DEBUG_HOSTS = (".localhost", "127.0.0.1", "::1", "[::1]")


def check_django(facts: Mapping[str, Any], host: str) -> Iterator[Finding]:
    """Check that Django answers for a host.

    Args:
        facts: what it said of itself.
        host: the host that it is asked for, without port.
    """
    module = str(facts.get("module", ""))
    if facts.get("error"):
        yield Finding("fault", "application", f"Django's settings cannot be used: {facts['error']}", module)
        return
    allowed = list(facts["allowed_hosts"])
    if is_allowed(host, allowed or (_DEBUG_HOSTS if facts["debug"] else ())):
        yield Finding("fine", "application", f"Django answers for {host}", f"ALLOWED_HOSTS in {module}")
    else:
        shown = ", ".join(repr(each) for each in allowed)
        yield Finding(
            "fault",
            "application",
            f"Django refuses {host} with 400: ALLOWED_HOSTS is [{shown}]",
            module,
            (f"ALLOWED_HOSTS = [{', '.join(filter(None, (shown, repr(host))))}]    # in {module}",),
        )
    if facts["debug"]:
        yield Finding(
            "warning",
            "application",
            "DEBUG is on: errors show settings and code to everybody",
            module,
            (f"DEBUG = False    # in {module}",),
        )


def is_allowed(host: str, allowed: Sequence[str]) -> bool:
    """Tell whether Django takes a host (django.http.request.validate_host)."""
    host = host.lower().rstrip(".")
    for each in allowed:
        pattern = each.lower()
        if pattern in {"*", host} or (pattern.startswith(".") and (host.endswith(pattern) or host == pattern[1:])):
            return True
    return False


def check_https(facts: Mapping[str, Any], page: Page) -> Iterator[Finding]:
    """Say what SECURE_SSL_REDIRECT does to a page asked for by http."""
    if facts.get("ssl_redirect") and page.scheme == "http":
        yield Finding(
            "note", "application", "SECURE_SSL_REDIRECT is on: the page is answered with a redirect to https",
            str(facts.get("module", "")),
        )  # fmt: skip


def check_database(database: Mapping[str, Any]) -> Finding:
    """Say how a database is."""
    label, kind = str(database["label"]), str(database["kind"])
    name = _NAMES.get(kind, kind or "the database")
    if database.get("refused"):
        service = _SERVICES.get(kind)
        remedies = [f"systemctl start {service}    # if it belongs on this machine"] if service else []
        return Finding(
            "fault",
            "database",
            f"{name} does not take connections at {database['refused']}",
            label,
            (*remedies, f"# otherwise correct {label}"),
        )
    if database.get("error"):
        return Finding(
            "fault", "database", f"{name} refuses the application: {database['error']}", label, (f"# correct {label}",)
        )
    return Finding("fine", "database", f"{name} takes connections", label)
