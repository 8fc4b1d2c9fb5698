"""Apache's files as sites: which one answers a name, and where a path goes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from hostler.contracts import WireProtocol
from hostler.doctor.directive import Directive
from hostler.doctor.model import Listen, Pass, Route, Site

_SCHEMES: Mapping[str, WireProtocol] = {
    "http": "http", "https": "http", "ws": "http", "uwsgi": "uwsgi", "scgi": "scgi", "fcgi": "fastcgi",
}  # fmt: skip
_PORTS: Mapping[str, int] = {"http": 80, "https": 443, "uwsgi": 3031, "scgi": 4000, "fcgi": 8000}
_INCLUDED = re.compile(r"^\s*\([^)]*\)\s+(?P<path>/.+)$", re.MULTILINE)
_ROOTED = re.compile(r'^(?P<name>ServerRoot|Main ErrorLog|User|PidFile): (?:name=)?"(?P<value>[^"]*)"', re.MULTILINE)


def list_included(dump: str) -> tuple[str, ...]:
    """List the files that `-D DUMP_INCLUDES` names, the main one first."""
    return tuple(dict.fromkeys(found["path"] for found in _INCLUDED.finditer(dump)))


def read_settings(dump: str) -> dict[str, str]:
    """Read what `-D DUMP_RUN_CFG` says: "ServerRoot", "Main ErrorLog", "User"."""
    return {found["name"]: found["value"] for found in _ROOTED.finditer(dump)}


def build_sites(directives: Sequence[Directive]) -> tuple[Site, ...]:
    """Find all sites: virtual hosts, and what stands outside of them."""
    whole = Directive("", (), directives[0].where if directives else "", tuple(directives))
    hosts = [each for each in directives if each.name == "virtualhost"]
    sites = [_build_site(each, _read_addresses(each.arguments), whole) for each in hosts]
    ports = [_read_address(each.arguments[0]) for each in directives if each.name == "listen" and each.arguments]
    # Where a virtual host listens, what stands outside of all is never asked.
    taken = {each.port for site in sites for each in site.listens}
    left = tuple(each for each in ports or (Listen("", 80),) if each.port not in taken)
    return (*sites, _build_site(whole, left, whole)) if left else tuple(sites)


def _read_addresses(arguments: Sequence[str]) -> tuple[Listen, ...]:
    return tuple(_read_address(each) for each in arguments)


def _read_address(text: str) -> Listen:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = ("", text) if text.isdigit() else (text, "80")
    host = host.strip("[]")
    return Listen(
        "" if host in {"*", "_default_", "0.0.0.0", "::"} else host,  # noqa: S104 - compared only
        int(port) if port.isdigit() else 0,
    )


def _build_site(block: Directive, listens: tuple[Listen, ...], whole: Directive) -> Site:
    engine = block.last("sslengine")
    is_tls = engine is not None and engine.arguments[:1] in {("on",), ("On",), ("ON",)}
    names = [each for name in ("servername", "serveralias") for found in block.find(name) for each in found.arguments]
    return Site(
        names=tuple(_bare_name(each) for each in names),
        listens=tuple(Listen(each.host, each.port, is_tls=is_tls) for each in listens),
        routes=tuple(_list_routes(block, whole)),
        where=block.where,
        certificate=_find(block, "sslcertificatefile"),
        key=_find(block, "sslcertificatekeyfile") or _find(block, "sslcertificatefile"),
        is_ordered=True,
    )


def _bare_name(text: str) -> str:
    name = text.partition("://")[2] or text
    host, colon, port = name.rpartition(":")
    return host if colon and port.isdigit() else name


def _find(block: Directive, name: str) -> str:
    found = block.last(name)
    return found.arguments[0] if found is not None and found.arguments else ""


def _list_routes(block: Directive, whole: Directive) -> Iterator[Route]:
    fields = _collect_fields(block)
    keeps_host = _find(block, "proxypreservehost") or _find(whole, "proxypreservehost")
    for each in block.find("proxypass", "proxypassmatch"):
        if len(each.arguments) >= 2:
            kind = "regex" if each.name == "proxypassmatch" else "prefix"
            yield _build_route(each, each.arguments[0], each.arguments[1], kind, fields, keeps_host)
    for location in block.find("location", "locationmatch"):
        passed = location.last("proxypass") or location.last("sethandler")
        if passed is not None and passed.arguments and location.arguments:
            target = passed.arguments[0].removeprefix("proxy:")
            kind = "regex" if location.name == "locationmatch" else "prefix"
            inside = {**fields, **_collect_fields(location)}
            yield _build_route(passed, location.arguments[0], target, kind, inside, keeps_host)
    for alias in block.find("alias", "wsgiscriptalias"):
        if len(alias.arguments) >= 2:
            yield Route(alias.arguments[0], "prefix", alias.where, None, f"from {alias.arguments[1]}")
    moved = block.last("redirect")
    if moved is not None:
        yield Route("/", "prefix", moved.where, None, "a redirect")
    root = _find(block, "documentroot") or "its default directory"
    yield Route("/", "prefix", block.where, None, f"files below {root}")


def _build_route(
    directive: Directive, pattern: str, target: str, kind: str, fields: Mapping[str, str], keeps_host: str
) -> Route:
    if target == "!":
        return Route(pattern, "prefix", directive.where, None, "files of its own")
    socket, bar, rest = target.partition("|")
    url = rest if bar else target
    scheme, _, place = url.partition("://")
    name = place.partition("/")[0]
    place = socket if bar else _place(name, _PORTS.get(scheme, 80))
    is_kept = keeps_host.lower() == "on" or scheme in {"uwsgi", "scgi", "fcgi"}
    passes = Pass(_SCHEMES.get(scheme, "http"), (place,), directive.where, "client" if is_kept else name, fields)
    return Route(pattern, "regex" if kind == "regex" else "prefix", directive.where, passes)


def _place(text: str, port: int) -> str:
    _, colon, given = text.rpartition(":")
    return text if colon and given.isdigit() else f"{text}:{port}"


def _collect_fields(block: Directive) -> dict[str, str]:
    words = (each.arguments for each in block.find("requestheader"))
    return {
        each[1].lower(): each[2] for each in words if len(each) > 2 and each[0].lower() in {"set", "setifempty", "add"}
    }
