"""What only the application's own process can tell: Django's settings, its databases. Runs in the probe's child.

Nothing of it is secret: passwords stay where they are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hostler.system.address import TcpAddress, UnixAddress
from hostler.system.dialling import connect
from hostler.system.environment import environment

# Where libpq looks when no host is named, as Debian and Fedora build it.
_POSTGRES = "/var/run/postgresql"
_PORTS = {"postgres": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379, "oracle": 1521, "mssql": 1433}


def describe() -> dict[str, Any]:
    """Tell what is known once the application is loaded."""
    found: dict[str, Any] = {"databases": []}
    url = environment().get("DATABASE_URL", "")
    if url:
        found["databases"].append(_read_url("DATABASE_URL", url))
    if "django" in sys.modules:
        found.update(_describe_django(found["databases"]))
    return found


def _read_url(label: str, url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        return {"label": label, "kind": "", "error": "it is no URL"}
    kind = _kind(parts.scheme)
    found = {"label": label, "kind": kind, "host": host, "port": port or _PORTS.get(kind, 0), "name": parts.path[1:]}
    return {**found, "refused": _dial(found)}


def _dial(found: Mapping[str, Any]) -> str:
    """Connect to where a database should be; give what the kernel says, or nothing when all is well or not known."""
    host, port = found["host"], found["port"]
    if found["kind"] == "postgres" and (not host or host.startswith("/")):
        address: TcpAddress | UnixAddress = UnixAddress(Path(host or _POSTGRES) / f".s.PGSQL.{port}")
    elif port and found["kind"] != "sqlite":
        address = TcpAddress(host or "localhost", port)
    else:
        return ""
    try:
        connect(address).close()
    except OSError as error:
        return f"{str(address).removeprefix('http://')}: {error.strerror or error}"
    return ""


def _kind(text: str) -> str:
    text = text.lower()
    if "psycopg" in text or "postg" in text or "pgsql" in text:
        return "postgres"
    return next((kind for kind in (*_PORTS, "sqlite") if kind in text), text)


def _describe_django(databases: list[dict[str, Any]]) -> dict[str, Any]:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        configured: Mapping[str, Mapping[str, Any]] = settings.DATABASES
        facts: dict[str, Any] = {
            "module": environment().get("DJANGO_SETTINGS_MODULE", ""),
            "debug": bool(settings.DEBUG),
            "allowed_hosts": [str(each) for each in settings.ALLOWED_HOSTS],
            "ssl_redirect": bool(settings.SECURE_SSL_REDIRECT),
        }
    except ImproperlyConfigured as error:
        return {"django": {"error": str(error)}}
    for alias, each in configured.items():
        if each.get("ENGINE"):
            databases.append(_read_django(alias, each))
    return {"django": facts}


def _read_django(alias: str, configured: Mapping[str, Any]) -> dict[str, Any]:
    kind = _kind(str(configured["ENGINE"]).rpartition(".")[2])
    found = {
        "label": f"DATABASES['{alias}']",
        "kind": kind,
        "host": str(configured.get("HOST") or ""),
        "port": int(configured.get("PORT") or 0) or _PORTS.get(kind, 0),
        "name": str(configured.get("NAME") or ""),
    }
    # A SQLite file would be made by trying, and belong to whoever asks here.
    if kind == "sqlite":
        return found
    found["refused"] = _dial(found)
    if not found["refused"]:
        found["error"] = _try(alias)
    return found


def _try(alias: str) -> str:
    """Connect as the application does; give what its driver says, or nothing when all is well."""
    from django.db import connections

    try:
        connections[alias].ensure_connection()
    except Exception as error:  # noqa: BLE001 - drivers raise what they like, and all of it is an answer
        return " ".join(str(error).split()) or type(error).__name__
    connections[alias].close()
    return ""
