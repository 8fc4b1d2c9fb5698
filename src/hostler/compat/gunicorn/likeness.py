"""The objects that Gunicorn's server hooks are given, with the attributes that people use."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from hostler.compat.gunicorn.rule import name_class, parse_raw_env

BOOTING = "[booting]"


class HookLog:
    """`server.log` and `worker.log`: Gunicorn's methods, on Hostler's server log."""

    def __init__(self) -> None:
        """Write to the logger of the server."""
        self.error_log = logging.getLogger("hostler")
        self.access_log = logging.getLogger("gunicorn.access")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a method of the logger: debug, info, exception, ...
        return getattr(self.error_log, name)

    def reopen_files(self) -> None:
        """Do nothing: the server reopens its logs itself."""


class Settings:
    """`server.cfg` and `worker.cfg`: the value of every setting as an attribute."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Show these values."""
        self._values = dict(values)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - each setting has its own type
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"no configuration setting for: {name}") from None

    @property
    def address(self) -> list[tuple[str, int] | str]:
        """Where the server listens: (host, port) or a path."""
        return [_split_address(text) for text in self._values["bind"]]

    @property
    def env(self) -> dict[str, str]:
        """The variables of `raw_env`."""
        return parse_raw_env(self._values["raw_env"])

    @property
    def worker_class_str(self) -> str:
        """The name of the worker class."""
        name = name_class(self._values["worker_class"])
        return "gthread" if name == "sync" and self._values["threads"] > 1 else name

    @property
    def is_ssl(self) -> bool:
        """Whether TLS was asked for."""
        return bool(self._values["certfile"] or self._values["keyfile"])


def _split_address(text: str) -> tuple[str, int] | str:
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdigit() else text


class Worker:
    """`worker` in a hook. One object from `pre_fork` on, in both processes, as forking copies it.

    Attributes:
        age: which worker this is, counted from 1 over all reloads.
        pid: its process id; "[booting]" before it is forked.
        ppid: the supervisor's.
        cfg: the settings.
        log: the server log.
        timeout: the setting of that name.
        alive: whether it goes on serving.
        booted: whether the application is loaded.
        aborted: whether it was killed for being silent: never.
        nr: how many requests it has served; counted only where a request hook is set.
        wsgi: the application, once it is loaded.
    """

    def __init__(self, age: int, ppid: int, cfg: Settings, log: HookLog) -> None:
        """Make a worker that is about to be forked."""
        self.age = age
        self.pid: int | str = BOOTING
        self.ppid = ppid
        self.cfg = cfg
        self.log = log
        self.timeout = cfg.timeout
        self.alive = True
        self.booted = False
        self.aborted = False
        self.nr = 0
        self.wsgi: object = None

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"


class Server:
    """`server` in a hook; one for the whole life of the supervisor, whatever is reloaded.

    Attributes:
        pid: the supervisor's process id.
        cfg: the settings that serve now.
        log: the server log.
        WORKERS: the workers that run, by process id.
        num_workers: how many are wanted.
        worker_age: how many have been started.
        forking: the worker that is about to be forked, or has just been.
        proc_name: the setting of that name.
    """

    def __init__(self, pid: int, cfg: Settings) -> None:
        """Make a server without workers."""
        self.pid = pid
        self.cfg = cfg
        self.log = HookLog()
        self.WORKERS: dict[int, Worker] = {}
        self.num_workers: int = cfg.workers
        self.worker_age = 0
        self.forking: Worker | None = None

    @property
    def address(self) -> list[tuple[str, int] | str]:
        """Where it listens: (host, port) or a path."""
        return self.cfg.address

    @property
    def proc_name(self) -> str:
        """What process titles call it."""
        return str(self.cfg.proc_name or self.cfg.default_proc_name)

    @property
    def timeout(self) -> int:
        """The setting of that name."""
        return int(self.cfg.timeout)


class Request:
    """`req` in a request hook.

    Attributes:
        method: the method.
        uri: the target as it was sent.
        path: the path, still encoded.
        query: the query.
        fragment: always empty.
        version: such as (1, 1).
        headers: pairs of the name in capitals and the value.
        scheme: "http" or "https".
        remote_addr: where it came from, as (host, port).
    """

    def __init__(self, method: str, target: str, version: str, headers: Iterable[tuple[str, str]]) -> None:
        """Describe a request: `version` is such as "HTTP/1.1" or "1.1"."""
        self.method = method
        self.uri = target
        self.path, _, self.query = target.partition("?")
        self.fragment = ""
        major, _, minor = version.removeprefix("HTTP/").partition(".")
        self.version = (int(major or 1), int(minor or 0))
        self.headers = list(headers)
        self.scheme = "http"
        self.remote_addr: tuple[str, int] = ("", 0)

    @property
    def peer_addr(self) -> tuple[str, int]:
        """As `remote_addr`."""
        return self.remote_addr


class Response:
    """`resp` in `post_request`.

    Attributes:
        status: such as "200 OK"; empty if there was none.
        headers: pairs of name and value.
    """

    def __init__(self) -> None:
        """Make one that has not begun."""
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    @property
    def status_code(self) -> int | None:
        """The number; None if there is none."""
        return int(self.status[:3]) if self.status[:3].isdigit() else None


def read_environ(environ: Mapping[str, Any]) -> Request:
    """Describe the request of a WSGI environ."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or (f"{path}?{query}" if query else path)
    names = {"CONTENT_TYPE": "CONTENT-TYPE", "CONTENT_LENGTH": "CONTENT-LENGTH"}
    headers = []
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers.append((name[5:].replace("_", "-"), value))
        elif name in names and value:
            headers.append((names[name], value))
    request = Request(environ.get("REQUEST_METHOD", ""), target, environ.get("SERVER_PROTOCOL", ""), headers)
    request.scheme = environ.get("wsgi.url_scheme", "http")
    request.remote_addr = (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0))
    return request


def read_scope(scope: Mapping[str, Any]) -> Request:
    """Describe the request of an ASGI scope."""
    raw = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    target = (raw + b"?" + query if query else raw).decode("latin-1")
    headers = [(name.decode("latin-1").upper(), value.decode("latin-1")) for name, value in scope.get("headers", ())]
    request = Request(scope["method"], target, scope.get("http_version", "1.1"), headers)
    request.scheme = scope.get("scheme", "http")
    client = scope.get("client")
    if client:
        request.remote_addr = (client[0], client[1] or 0)
    return request


def build_environ(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Write an ASGI scope as the environ that `post_request` is given."""
    request = read_scope(scope)
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": scope.get("root_path", ""),
        "PATH_INFO": unquote(request.path),
        "QUERY_STRING": request.query,
        "RAW_URI": request.uri,
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": request.remote_addr[0],
        "REMOTE_PORT": str(request.remote_addr[1]),
        "wsgi.url_scheme": request.scheme,
    }
    return environ | {f"HTTP_{name.replace('-', '_')}": value for name, value in request.headers}
