"""What the doctor is asked and what it finds. Frozen values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from hostler.contracts import WireProtocol
from hostler.errors import ConfigurationError

# In the order of their weight. Only a fault keeps the page away.
Level = Literal["fine", "note", "warning", "fault"]
# The steps of a request's way, in its order.
Step = Literal[
    "configuration", "name", "port", "firewall", "web server", "certificate", "socket", "server", "application",
    "database", "machine", "page",
]  # fmt: skip
STANDARD_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: how bad it is.
        step: where on the way.
        found: what was found, in a sentence.
        where: the file and line, or the option, that says so; empty where there is none.
        remedies: lines that mend it: commands, or what to write where.
        details: what was seen, as a block of lines.
    """

    level: Level
    step: Step
    found: str
    where: str = ""
    remedies: tuple[str, ...] = ()
    details: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The page that does not come.

    Attributes:
        scheme: "http" or "https".
        host: the name or address in the URL.
        port: the port.
        path: the path, with its query.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"

    def __str__(self) -> str:
        """Write the URL."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """What a client sends as Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == STANDARD_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_page(text: str) -> Page:
    """Read a URL.

    Raises:
        ConfigurationError: it is none, or of another scheme.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f'"{text}" is no URL: {error}') from None
    if parts.scheme not in STANDARD_PORTS or not parts.hostname:
        raise ConfigurationError(f'"{text}" is no URL of a page; write it as http://HOST/PATH or https://HOST/PATH')
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    if not path.isascii() or any(each <= " " or each == "\x7f" for each in path):
        raise ConfigurationError(f'"{text}" has characters that a URL writes as %XX')
    return Page(parts.scheme, parts.hostname, port or STANDARD_PORTS[parts.scheme], path)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a web server listens.

    Attributes:
        host: the address; empty for all.
        port: the port.
        is_tls: whether it speaks TLS there.
        is_default: whether this site answers for names that no other has.
    """

    host: str
    port: int
    is_tls: bool = False
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """How a web server hands requests on.

    Attributes:
        protocol: what it speaks.
        targets: where to, written like addresses of `server.bind`.
        where: the file and line that says so.
        host: what it sends as Host: "client" for what the client sent, else that text.
        fields: the request fields that it sets, by lower-case name.
    """

    protocol: WireProtocol
    targets: tuple[str, ...]
    where: str
    host: str = "client"
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """What a web server does with some paths.

    Attributes:
        pattern: the path, or an expression.
        kind: how the pattern is compared; "final" is a prefix that outdoes expressions.
        where: the file and line.
        passes: how requests are handed on; None when the web server answers itself.
        answers: what it answers itself: "files below /var/www", "the status 404".
    """

    pattern: str
    kind: Literal["exact", "prefix", "final", "regex"]
    where: str
    passes: Pass | None = None
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One site of a web server.

    Attributes:
        names: its host names, as they stand there; those that begin with "~" are expressions.
        listens: where it listens.
        routes: what it does by path; in the order of the file.
        where: the file and line where it begins.
        certificate: the file of its certificate, if it has one.
        key: the file of its key.
        is_ordered: whether the first route that fits counts (Apache), or the best (nginx).
    """

    names: tuple[str, ...]
    listens: tuple[Listen, ...]
    routes: tuple[Route, ...]
    where: str
    certificate: str = ""
    key: str = ""
    is_ordered: bool = False


@dataclass(frozen=True, slots=True)
class WebServer:
    """A web server on this machine, and what its files say.

    Attributes:
        name: "nginx" or "Apache".
        sites: its sites.
        uid: the user that its workers run as; -1 where that is not known.
        groups: their groups.
        pid: of its first process; 0 when it does not run.
        check: the command that checks its files.
        reload: the command that makes it read them anew.
        problem: why its files could not be read; empty when they were.
        error_log: where it complains; empty where that is not known.
        stale: files that have changed since it read them.
    """

    name: str
    sites: tuple[Site, ...] = ()
    uid: int = -1
    groups: frozenset[int] = frozenset()
    pid: int = 0
    check: str = ""
    reload: str = ""
    problem: str = ""
    error_log: str = ""
    stale: tuple[str, ...] = ()
