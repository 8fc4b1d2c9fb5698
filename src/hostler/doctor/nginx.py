"""nginx's files as sites: which one answers a name, and where a path goes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, cast

from hostler.contracts import WireProtocol
from hostler.doctor.directive import Directive
from hostler.doctor.model import Listen, Pass, Route, Site

_PASSES: Mapping[str, WireProtocol] = {
    "proxy_pass": "http", "uwsgi_pass": "uwsgi", "scgi_pass": "scgi", "fastcgi_pass": "fastcgi",
}  # fmt: skip
_KINDS: Mapping[str, str] = {"=": "exact", "^~": "final", "~": "regex", "~*": "regex"}
# What nginx sends as Host when nothing is said: the name in proxy_pass.
_HOSTS = {
    "$host": "client",
    "$http_host": "client",
    "$host:$server_port": "client",
    "$http_host:$server_port": "client",
}
# Inherited as a whole, or not at all (ngx_http_proxy_module).
_LISTS = {"http": "proxy_set_header", "uwsgi": "uwsgi_param", "scgi": "scgi_param", "fastcgi": "fastcgi_param"}
Upstreams = Mapping[str, Sequence[str]]


def build_sites(directives: Sequence[Directive]) -> tuple[Site, ...]:
    """Find all sites."""
    sites: list[Site] = []
    for http in (each for each in directives if each.name == "http"):
        upstreams = {each.arguments[0]: _list_servers(each) for each in http.find("upstream") if each.arguments}
        sites += [_build_site(server, http, upstreams) for server in http.find("server")]
    return tuple(sites)


def find_user(directives: Sequence[Directive]) -> str:
    """Tell whom workers run as, if the file says so."""
    return next((each.arguments[0] for each in directives if each.name == "user" and each.arguments), "")


def find_error_log(directives: Sequence[Directive]) -> str:
    """Tell where the main error log is, if the file says so."""
    named = (each.arguments[0] for each in directives if each.name == "error_log" and each.arguments)
    return next((each for each in named if each.startswith("/")), "")


def _list_servers(upstream: Directive) -> list[str]:
    return [_place(each.arguments[0], 80) for each in upstream.find("server") if each.arguments]


def _build_site(server: Directive, http: Directive, upstreams: Upstreams) -> Site:
    names = tuple(name for each in server.find("server_name") for name in each.arguments)
    listens = tuple(_read_listen(each.arguments) for each in server.find("listen") if each.arguments)
    around = (http, server)
    certificate, key = (_find(around, name) for name in ("ssl_certificate", "ssl_certificate_key"))
    whole = _build_route("/", "prefix", server, around, upstreams)
    routes = tuple(_list_routes(server, around, upstreams))
    return Site(
        names=names,
        listens=listens or (Listen("", 80),),
        # What stands outside of all locations holds where none fits.
        routes=(*routes, whole) if not any(each.pattern == "/" for each in routes) else routes,
        where=server.where,
        certificate=certificate,
        key=key,
    )


def _find(around: Sequence[Directive], name: str) -> str:
    for block in reversed(around):
        found = block.last(name)
        if found is not None and found.arguments:
            return found.arguments[0]
    return ""


def _read_listen(arguments: Sequence[str]) -> Listen:
    place, *flags = arguments
    host, colon, port = place.rpartition(":")
    if place.startswith("unix:"):
        host, port = place, "0"
    elif place.endswith("]") or (not colon and not place.isdigit()):
        host, port = place, "80"
    elif not colon:
        host, port = "", place
    host = host.strip("[]")
    return Listen(
        host="" if host in {"*", "0.0.0.0", "::"} else host,  # noqa: S104 - compared only
        port=int(port) if port.isdigit() else 0,
        is_tls="ssl" in flags or "quic" in flags,
        is_default="default_server" in flags or "default" in flags,
    )


def _list_routes(block: Directive, around: Sequence[Directive], upstreams: Upstreams) -> Iterator[Route]:
    for location in block.find("location"):
        *marks, pattern = location.arguments or ("/",)
        kind = _KINDS.get(marks[0], "prefix") if marks else "prefix"
        if pattern.startswith("@"):
            continue
        if marks[:1] == ["~*"]:
            pattern = f"(?i){pattern}"
        inside = (*around, location)
        yield _build_route(pattern, kind, location, inside, upstreams)
        yield from _list_routes(location, inside, upstreams)


def _build_route(pattern: str, kind: str, block: Directive, around: Sequence[Directive], upstreams: Upstreams) -> Route:
    passed, around = _find_pass(block, around)
    answers = "" if passed else _describe_own(block, around)
    passes = _build_pass(passed, around, upstreams) if passed else None
    return Route(pattern, cast('Literal["exact", "prefix", "final", "regex"]', kind), block.where, passes, answers)


def _find_pass(block: Directive, around: Sequence[Directive]) -> tuple[Directive | None, Sequence[Directive]]:
    """Find what hands requests on: here, under a condition, or by the usual detour `try_files $uri @app`."""
    places = [block, *block.find("if", "limit_except")]
    found = next((each for place in places for each in place.find(*_PASSES) if each.arguments), None)
    tried = block.last("try_files")
    if found is not None or tried is None or not tried.arguments or not tried.arguments[-1].startswith("@"):
        return found, around
    named = next((each for each in around[1].find("location") if each.arguments == tried.arguments[-1:]), None)
    if named is None:
        return None, around
    return next((each for each in named.find(*_PASSES) if each.arguments), None), (*around, named)


def _describe_own(block: Directive, around: Sequence[Directive]) -> str:
    answer = block.last("return")
    if answer is not None and answer.arguments:
        return f"the status {answer.arguments[0]}" if answer.arguments[0].isdigit() else "a redirect"
    alias = block.last("alias")
    root = alias.arguments[0] if alias is not None and alias.arguments else _find(around, "root")
    return f"files below {root or 'its default directory'}"


def _build_pass(found: Directive, around: Sequence[Directive], upstreams: Upstreams) -> Pass:
    protocol = _PASSES[found.name]
    target = re.sub(r"^(?:https?|suwsgi|uwsgi|scgi|fastcgi)://", "", found.arguments[0])
    if target.startswith("unix:"):
        # proxy_pass http://unix:/run/app.sock:/path
        path, _, _ = target.removeprefix("unix:").partition(":")
        name = "localhost"
        targets: tuple[str, ...] = (f"unix:{path}",)
    else:
        name = target.partition("/")[0]
        targets = tuple(upstreams.get(name, ())) or (_place(name, 80),)
    fields = _collect_fields(_LISTS[protocol], around)
    host = fields.get("host", "" if protocol == "http" else "$host")
    return Pass(protocol, targets, found.where, _HOSTS.get(host, host or name), fields)


def _collect_fields(directive: str, around: Sequence[Directive]) -> dict[str, str]:
    """Collect what is set: by the innermost block that sets anything."""
    for block in reversed(around):
        set_here = {
            _field(each.arguments[0]): each.arguments[1] for each in block.find(directive) if len(each.arguments) > 1
        }
        if set_here:
            return set_here
    return {}


def _field(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").lower()


def _place(text: str, port: int) -> str:
    """Write an address of an upstream as `server.bind` has it."""
    if text.startswith("unix:"):
        return text.rstrip(":")
    host, colon, given = text.rpartition(":")
    if colon and given.isdigit():
        return f"{host}:{given}"
    return f"{text}:{port}"
