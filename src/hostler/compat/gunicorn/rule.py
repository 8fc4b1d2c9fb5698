"""What Gunicorn's settings become where that is more than a copy: each rule yields options and notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from hostler.compat.effect import Effect, Give, Note
from hostler.compat.gunicorn.setting import Facts
from hostler.system.address import EVERY_ADDRESS

# Gunicorn's largest head: what a limit of 0 stands for here, as Hostler has no unlimited one.
LARGEST_LINE = 65_536
# For worker classes with many clients per process. Threads are made when they are needed, and 64 of them are
# about what one interpreter can keep busy with waiting (arbitrary).
GREEN_THREADS = 64
# Hostler's own; Gunicorn's `timeout` also bounds the loading of the application, and long ones are set for that.
BOOT_TIMEOUT = 60
# What "never" becomes for the start of a worker.
LONGEST_BOOT = 3600

_SYNC = {"sync", "gunicorn.workers.sync.SyncWorker", "SyncWorker"}
_THREADED = {"gthread", "gunicorn.workers.gthread.ThreadWorker", "ThreadWorker"}
_ASGI = {"asgi", "gunicorn.workers.gasgi.ASGIWorker", "ASGIWorker"}
_GREEN = ("gevent", "eventlet", "GeventWorker", "GeventPyWSGIWorker", "EventletWorker")
_LEVELS = {"warn": "warning", "fatal": "critical", "notset": "debug", "trace": "debug"}
_ATOM = re.compile(r"%\((?P<name>\{[^}]*\}[A-Za-z]|[^)]*)\)(?P<width>[-+ #0]*\d*(?:\.\d+)?)(?P<type>[a-zA-Z])|%%")
_ATOMS = frozenset("hlutrsmUqHbBfaTDMLp")
COMBINED = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'


# The application


def name_application(value: str) -> str:
    """Write Gunicorn's name of an application in Hostler's words: a module alone stands for its "application"."""
    module, colon, attribute = value.partition(":")
    return f"{module}:{attribute}" if colon and attribute else f"{module}:application"


def leave(_value: object, _facts: Facts) -> Iterator[Effect]:
    """A setting that the rule of another looks at."""
    return iter(())


def map_application(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`wsgi_app`, or the argument."""
    if value:
        yield Give("app.target", name_application(value))


def name_class(value: object) -> str:
    """Give the name of a worker class, which may be given as the class itself."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return str(value)


def map_worker_class(value: object, facts: Facts) -> Iterator[Effect]:
    """`worker_class`: the interface to the application, and the threads that stand for its way to wait."""
    name = name_class(value).removeprefix("egg:gunicorn#")
    last = name.rpartition(".")[2]
    if is_green(value):
        yield Give("app.interface", "wsgi")
        yield from _map_green(last, facts)
        return
    if "threads" not in facts.given:
        yield Give("workers.threads", 1)
    if name in _SYNC or name in _THREADED:
        yield Give("app.interface", "wsgi")
    elif name in _ASGI:
        yield Give("app.interface", "asgi")
    elif last.startswith("UvicornH11"):
        yield Give("workers.loop", "asyncio")
        yield Note("Hostler has its own parser and takes the event loop of workers.loop; asyncio is chosen")
    elif last in {"tornado", "TornadoWorker"}:
        yield Give("app.interface", "wsgi")
        yield Note("tornado: the application is called by WSGI; handlers of Tornado itself are not served")
    elif not last.startswith("Uvicorn"):
        yield Note(f"{name} is not used: Hostler has its own workers, and finds the application's interface out")


def is_green(value: object) -> bool:
    """Tell whether a worker class has many clients per process by greenlets."""
    return name_class(value).removeprefix("egg:gunicorn#").rpartition(".")[2].startswith(_GREEN)


def _map_green(name: str, facts: Facts) -> Iterator[Effect]:
    count = int(facts.values["threads"])
    if count <= 1:
        count = min(GREEN_THREADS, max(1, int(facts.values["worker_connections"])))
        yield Give("workers.threads", count)
    yield Note(f"{name}: requests run in up to {count} threads, nothing is monkey-patched; threads sets another number")


def map_threads(value: int, facts: Facts) -> Iterator[Effect]:
    """`threads`; one means nothing to a worker class of greenlets."""
    if value > 1 or not is_green(facts.values["worker_class"]):
        yield Give("workers.threads", max(1, value))


# Sockets


def map_bind(value: list[str], facts: Facts) -> Iterator[Effect]:
    """`bind`: every form of an address; unix sockets get the mode and the owner that Gunicorn gives them."""
    yield Give("server.bind", [name_address(text, facts) for text in value])


def name_address(text: str, facts: Facts) -> str:
    """Write one address in Hostler's words."""
    text = re.sub(r"^(?:tcp|http)://", "", text)
    if text.startswith("unix:"):
        return f"unix:{_name_path(text)}{_write_query(_describe_owner(facts) | _describe_protocol(facts))}"
    if not text.startswith("fd://") and not re.search(r":\d+$", text) and not text.isdigit():
        host = f"[{text}]" if ":" in text and not text.startswith("[") else text
        text = f"{host or EVERY_ADDRESS}:8000"
    return f"{text}{_write_query(_describe_protocol(facts))}"


def _name_path(text: str) -> str:
    path = text.removeprefix("unix:")
    return path.removeprefix("//")


def _describe_protocol(facts: Facts) -> dict[str, str]:
    parts = {}
    if facts.values["protocol"] != "http":
        parts["protocol"] = str(facts.values["protocol"])
    elif facts.values["certfile"] is not None:
        parts["protocol"] = "https"
    if facts.values["proxy_protocol"] != "off":
        parts["proxy_protocol"] = "on"
    return parts


def _write_query(parts: dict[str, str]) -> str:
    return f"?{urlencode(parts)}" if parts else ""


def _describe_owner(facts: Facts) -> dict[str, str]:
    parts = {}
    if "umask" in facts.given:
        # Gunicorn makes the socket with every right that its umask leaves.
        parts["mode"] = f"{0o777 & ~int(facts.values['umask']):o}"
    for name in ("user", "group"):
        if name in facts.given and facts.values[name] is not None:
            parts[name] = str(facts.values[name])
    return parts


# Time and size


def map_timeout(value: int, facts: Facts) -> Iterator[Effect]:
    """`timeout`: bounds the start, and requests where Gunicorn's does, which is in sync workers only."""
    if value == 0 or value > BOOT_TIMEOUT:
        yield Give("workers.boot_timeout", value or LONGEST_BOOT)
    if value and name_class(facts.values["worker_class"]) in _SYNC and facts.values["threads"] == 1:
        yield Give("deadlines.default", value)
        yield Note("a request that takes longer gets 503 and is ended; its worker is replaced only if that fails")
    else:
        yield Note("a long request is left to run, as with these workers; bound it with deadlines.default")


def map_certificate(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`certfile`: all addresses speak TLS then, see `bind`."""
    if value is not None:
        yield Give("tls.certificate", [value])


def map_key(value: str | None, facts: Facts) -> Iterator[Effect]:
    """`keyfile`: used beside `certfile` only."""
    if value is not None and facts.values["certfile"] is not None:
        yield Give("tls.key", [value])


def map_client_auth(value: int, facts: Facts) -> Iterator[Effect]:
    """`cert_reqs`: the numbers of Python's `ssl.CERT_NONE`, `CERT_OPTIONAL` and `CERT_REQUIRED`."""
    if value and facts.values["ca_certs"] is None:
        yield Note("no client can be asked for a certificate without ca_certs")
    elif value and facts.values["certfile"] is not None:
        yield Give("tls.client_auth", {1: "optional", 2: "required"}.get(value, "required"))
        yield Give("tls.client_ca", str(facts.values["ca_certs"]))


def map_jitter(value: int, facts: Facts) -> Iterator[Effect]:
    """`max_requests_jitter`: means something beside `max_requests` only."""
    if facts.values["max_requests"]:
        yield Give("workers.max_requests_jitter", value)


def map_connections(value: int, _facts: Facts) -> Iterator[Effect]:
    """`worker_connections`."""
    yield Give("limits.connections", max(1, value))


def map_request_line(value: int, _facts: Facts) -> Iterator[Effect]:
    """`limit_request_line`: 0 is the largest."""
    yield Give("limits.request_line", min(LARGEST_LINE, max(64, value)) if value else LARGEST_LINE)


def map_fields(value: int, _facts: Facts) -> Iterator[Effect]:
    """`limit_request_fields`."""
    yield Give("limits.header_count", min(32_768, max(1, value)))


def map_field_size(value: int, _facts: Facts) -> Iterator[Effect]:
    """`limit_request_field_size`: 0 is the largest; the whole head must have room for it."""
    size = max(64, value) if value else LARGEST_LINE
    yield Give("limits.header_size", size)
    if size > LARGEST_LINE:
        yield Give("limits.head_size", size + LARGEST_LINE)


def map_message_size(value: int, _facts: Facts) -> Iterator[Effect]:
    """`websocket_max_message_size`: 0 is the largest."""
    yield Give("websocket.max_message", value or 2**31)


# Processes


def map_workers(value: int, _facts: Facts) -> Iterator[Effect]:
    """`workers`."""
    yield Give("workers.count", max(1, value))


def map_python_path(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`pythonpath`: directories separated by commas."""
    yield Give("app.python_path", [part.strip() for part in (value or "").split(",") if part.strip()])


def parse_raw_env(items: list[str]) -> dict[str, str]:
    """Read `raw_env`.

    Raises:
        ValueError: an item has no "=".
    """
    pairs = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise ValueError(f'NAME=VALUE, other than "{item}"')
        pairs[name] = text
    return pairs


def map_environment(value: list[str], _facts: Facts) -> Iterator[Effect]:
    """`raw_env`; SCRIPT_NAME in it is where the application is mounted."""
    pairs = parse_raw_env(value)
    yield Give("app.env", pairs)
    if pairs.get("SCRIPT_NAME"):
        yield Give("app.script_name", pairs["SCRIPT_NAME"].rstrip("/"))


def map_root_path(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`root_path`."""
    if value:
        yield Give("app.script_name", value.rstrip("/"))


def map_umask(value: int, _facts: Facts) -> Iterator[Effect]:
    """`umask`."""
    yield Give("server.umask", f"{value & 0o777:03o}")


# Trust


def map_forwarders(value: list[str], _facts: Facts) -> Iterator[Effect]:
    """`forwarded_allow_ips`: whoever reaches a unix socket is trusted as well, as by Gunicorn."""
    yield Give("trust.networks", ["*"] if "*" in value else [*value, "unix"])


def map_header_map(value: str, _facts: Facts) -> Iterator[Effect]:
    """`header_map`."""
    yield Give("http.underscore_headers", "allow" if value == "dangerous" else value)


# Logs


def map_level(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`loglevel`: in any case; what Gunicorn does not know it takes for info."""
    name = (value or "info").lower()
    name = _LEVELS.get(name, name)
    if name not in {"debug", "info", "warning", "error", "critical"}:
        yield Note(f'"{value}" is no level; info is taken')
        name = "info"
    yield Give("log.level", name)


def map_access_log(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`accesslog`: None is nowhere."""
    yield Give("log.access", value or "")


def map_error_log(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`errorlog`."""
    yield Give("log.file", value or "-")


def map_access_format(value: str | None, _facts: Facts) -> Iterator[Effect]:
    """`access_log_format`: the atoms are the same; unknown ones are written as Gunicorn writes them, "-"."""
    text = value or COMBINED
    if text == COMBINED:
        yield Give("log.access_format", "combined")
        return
    unknown: list[str] = []

    def translate(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        if name in _ATOMS or re.fullmatch(r"\{[^}]+\}[ioe]", name):
            return f"%({name})s"
        unknown.append(match[0])
        return "-"

    yield Give("log.access_format", _ATOM.sub(translate, text))
    if unknown:
        yield Note(f"{', '.join(dict.fromkeys(unknown))} cannot be known and stays a dash, as with Gunicorn")


def map_syslog(value: bool | None, facts: Facts) -> Iterator[Effect]:  # noqa: FBT001 - as all rules
    """`syslog` and what belongs to it: the access log goes there."""
    if not value:
        return
    if not facts.values["disable_redirect_access_to_syslog"]:
        where = name_syslog(facts.values)
        if where:
            yield Give("log.access", where)
        else:
            yield Note(f"{facts.values['syslog_addr']} cannot be used; name udp://HOST:PORT or unix:///dev/log")
    yield Note("only the access log goes to syslog; send the server log there with systemd, or name a file in errorlog")


def map_statsd(value: str | None, facts: Facts) -> Iterator[Effect]:
    """`statsd_host` and what belongs to it."""
    if not value:
        return
    yield Give("metrics.statsd", f"unix:{_name_path(value)}" if value.startswith("unix:") else value)
    tags = [tag.strip() for tag in str(facts.values["dogstatsd_tags"]).split(",") if tag.strip()]
    if tags:
        yield Give("metrics.statsd_format", "dogstatsd")
        yield Give("metrics.statsd_tags", {name: text for name, _, text in (tag.partition(":") for tag in tags)})
    prefix = str(facts.values["statsd_prefix"]).strip(".")
    if prefix:
        yield Give("metrics.statsd_prefix", prefix)
    yield Note("the metrics have names of their own: docs/reference/metrics.md")


def name_syslog(values: Mapping[str, Any]) -> str:
    """Write the address of a syslog daemon in Hostler's words; empty for one that cannot be."""
    address = str(values["syslog_addr"])
    tag = f"gunicorn.{values['syslog_prefix']}" if values["syslog_prefix"] else "gunicorn"
    query = urlencode({"facility": str(values["syslog_facility"]).lower(), "tag": tag})
    if address.startswith("unix:"):
        return f"syslog:unix:{_name_path(address).partition('#')[0]}?{query}"
    if address.startswith("udp://"):
        place = address.removeprefix("udp://")
        return f"syslog:udp://{place if ':' in place else f'{place}:514'}?{query}"
    return ""
