"""Whether a web server hands a page on to Hostler, and rightly. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hostler.config import Config
from hostler.contracts import WireProtocol
from hostler.doctor.model import Finding, Page, Pass, Route, Site, WebServer
from hostler.doctor.site import find_default_site, find_named_site, find_route, list_listening_sites
from hostler.errors import ConfigurationError
from hostler.system.address import EVERY_ADDRESS, LOOPBACK, Address, TcpAddress, UnixAddress, parse_address

DIRECTIVES: Mapping[WireProtocol, str] = {
    "http": "proxy_pass", "uwsgi": "uwsgi_pass", "scgi": "scgi_pass", "fastcgi": "fastcgi_pass",
}  # fmt: skip
_SCHEMES: Mapping[WireProtocol, str] = {"http": "http", "uwsgi": "uwsgi", "scgi": "scgi", "fastcgi": "fcgi"}


@dataclass(frozen=True, slots=True)
class Way:
    """The way of a page through a web server.

    Attributes:
        server: the web server.
        site: the site that answers; None when there is none.
        route: the route within it.
        address: the address of Hostler that it leads to; None when it leads elsewhere.
    """

    server: WebServer
    site: Site | None = None
    route: Route | None = None
    address: Address | None = None

    @property
    def passes(self) -> Pass | None:
        """How the request is handed on, if it is."""
        return self.route.passes if self.route is not None else None


def find_way(server: WebServer, page: Page, addresses: Sequence[Address]) -> Way:
    """Find the way that the web server's rules give a page."""
    here = list_listening_sites(server.sites, page)
    site = find_named_site(here, page.host) or find_default_site(here, page)
    route = find_route(site, page.path) if site is not None else None
    passes = route.passes if route is not None else None
    return Way(server, site, route, find_address(passes, addresses) if passes is not None else None)


def find_address(passes: Pass, addresses: Sequence[Address]) -> Address | None:
    """Find the address among Hostler's that requests are handed to."""
    for target in passes.targets:
        found = next((each for each in addresses if is_same(target, each)), None)
        if found is not None:
            return found
    return None


def is_same(target: str, address: Address) -> bool:
    """Tell whether a web server's target is an address of ours."""
    try:
        other = parse_address(target)
    except ConfigurationError:
        return False
    if isinstance(address, UnixAddress) and isinstance(other, UnixAddress):
        return address.path.absolute() == other.path.absolute()
    if isinstance(address, TcpAddress) and isinstance(other, TcpAddress):
        return address.port == other.port and (_local(address.host) == _local(other.host) or _is_any(address.host))
    return str(address) == str(other)


def _local(host: str) -> str:
    return LOOPBACK if host in {"localhost", "::1"} else host


def _is_any(host: str) -> bool:
    return host in {EVERY_ADDRESS, "::"}


def find_leading(server: WebServer, addresses: Sequence[Address]) -> Page | None:
    """Find a page that leads to one of these addresses, for whoever has named none."""
    for site in server.sites:
        for route in site.routes:
            if route.passes is not None and find_address(route.passes, addresses) is not None:
                listen = site.listens[0]
                host = next((each for each in site.names if each[:1] not in "~*._" and "." in each), "localhost")
                path = route.pattern if route.kind != "regex" else "/"
                return Page("https" if listen.is_tls else "http", host, listen.port, path)
    return None


def check_way(way: Way, page: Page, addresses: Sequence[Address]) -> Iterator[Finding]:
    """Check that the page gets from the web server to Hostler."""
    server, site, route, passes = way.server, way.site, way.route, way.passes
    named = find_named_site(server.sites, page.host)
    if site is None:
        yield _no_site(way, page, named)
        return
    if find_named_site([site], page.host) is None and any(each not in {"_", ""} for each in site.names):
        yield _wrong_name(way, page, site)
    if route is None or passes is None:
        answers = route.answers if route is not None else "nothing"
        if answers == "a redirect" or (answers.startswith("the status 3")):
            yield Finding(
                "note", "web server", f"{server.name} answers {page.path} with a redirect", route.where if route else ""
            )
            return
        yield Finding(
            "fault",
            "web server",
            f"{server.name} does not hand {page.path} on: it answers with {answers}",
            route.where if route is not None else site.where,
            remedies=(f"hostler generate {server.name.lower()}    # the site as it should be", *_reload(server)),
        )
        return
    if way.address is None:
        yield _elsewhere(way, passes, addresses)
        return
    yield Finding("fine", "web server", f"{server.name} hands {page.path} on to {way.address}", passes.where)


def _reload(server: WebServer) -> tuple[str, ...]:
    return (f"{server.check} && {server.reload}",) if server.check else ()


def _no_site(way: Way, page: Page, named: Site | None) -> Finding:
    if named is None:
        text = f"no site of {way.server.name} listens at port {page.port}"
        return Finding("fault", "web server", text, remedies=(f"hostler generate {way.server.name.lower()}",))
    ports = ", ".join(str(each.port) for each in named.listens)
    tls = " ssl" if page.scheme == "https" else ""
    return Finding(
        "fault",
        "web server",
        f"the site of {page.host} listens at {ports}, not at {page.port}",
        named.where,
        (f"listen {page.port}{tls};    # into {named.where}", *_reload(way.server)),
    )


def _wrong_name(way: Way, page: Page, site: Site) -> Finding:
    directive = "server_name" if way.server.name == "nginx" else "ServerName"
    names = " ".join(each for each in site.names if each) or "without a name"
    end = ";" if way.server.name == "nginx" else ""
    return Finding(
        "fault",
        "web server",
        f"no site of {way.server.name} is called {page.host}; the first one answers in its place: {names}",
        site.where,
        (f"{directive} {page.host}{end}    # into the site that is meant, such as {site.where}", *_reload(way.server)),
    )


def _elsewhere(way: Way, passes: Pass, addresses: Sequence[Address]) -> Finding:
    listens = ", ".join(str(each) for each in addresses)
    target = ", ".join(passes.targets)
    remedies = [f"# let them meet: either at Hostler  --bind {_bind(passes)}", f"# or at {passes.where}:"]
    if addresses:
        remedies.append(_directive(way.server, addresses[0]))
    return Finding(
        "fault",
        "web server",
        f"{way.server.name} hands the page on to {target}, and Hostler listens at {listens}",
        passes.where,
        (*remedies, *_reload(way.server)),
    )


def _bind(passes: Pass) -> str:
    text = passes.targets[0]
    return text if passes.protocol == "http" else f"'{text}?protocol={passes.protocol}'"


def _directive(server: WebServer, address: Address) -> str:
    protocol = address.speech.protocol
    place = str(address).rpartition("://")[2]
    if server.name != "nginx":
        scheme = _SCHEMES[protocol]
        return (
            f'ProxyPass "/" "{place}|{scheme}://localhost/"'
            if isinstance(address, UnixAddress)
            else f'ProxyPass "/" "{scheme}://{place}/"'
        )
    return f"{DIRECTIVES[protocol]} {'http://' if protocol == 'http' else ''}{place};"


def check_protocol(way: Way) -> Iterator[Finding]:
    """Check that both sides mean the same protocol, as far as their files say."""
    passes, address = way.passes, way.address
    if passes is None or address is None:
        return
    if passes.protocol != address.speech.protocol:
        yield Finding(
            "fault",
            "web server",
            f"{way.server.name} speaks {passes.protocol} to {address}, where Hostler expects {address.speech.protocol}",
            passes.where,
            (
                f"{_directive(way.server, address)}    # at {passes.where}",
                f"# or at Hostler: --bind '{str(address).rpartition('://')[2]}?protocol={passes.protocol}'",
                *_reload(way.server),
            ),
        )
    elif address.speech.proxy_protocol:
        yield Finding(
            "fault",
            "web server",
            f"Hostler expects a header of the PROXY protocol at {address}, and {way.server.name} sends none",
            "server.bind",
            ("# leave out ?proxy_protocol=on in server.bind",),
        )


def check_trust(way: Way, page: Page, config: Config) -> Iterator[Finding]:
    """Check that Hostler is told, and believes, that the client came by https: else redirects go in a circle."""
    passes, address = way.passes, way.address
    if passes is None or address is None:
        return
    networks = config.trust.networks
    if not _is_believed(address, networks):
        entry = "unix" if isinstance(address, UnixAddress) else "127.0.0.1"
        yield Finding(
            "fault" if page.scheme == "https" or passes.protocol != "http" else "warning",
            "web server",
            f"Hostler does not believe {way.server.name}: trust.networks is {', '.join(networks) or 'empty'}; "
            "it takes the web server for the client" + (" and https for http" if page.scheme == "https" else ""),
            "trust.networks",
            (f'networks = ["{entry}"]    # under [trust] in hostler.toml, or --trust {entry}',),
        )
    field = "forwarded" if config.trust.headers == "forwarded" else "x-forwarded-proto"
    if page.scheme == "https" and passes.protocol == "http" and field not in passes.fields:
        line = (
            "proxy_set_header X-Forwarded-Proto $scheme;"
            if way.server.name == "nginx"
            else 'RequestHeader set X-Forwarded-Proto "https"'
        )
        yield Finding(
            "fault",
            "web server",
            f"{way.server.name} does not tell Hostler that the client came by https: "
            "an application that redirects http does so for ever",
            passes.where,
            (f"{line}    # beside {passes.where}", *_reload(way.server)),
        )


def _is_believed(address: Address, networks: Sequence[str]) -> bool:
    if "*" in networks:
        return True
    if not isinstance(address, TcpAddress):
        return "unix" in networks
    import ipaddress  # only here

    peer = ipaddress.ip_address("::1" if ":" in address.host else LOOPBACK)
    known = (each for each in networks if each != "unix")
    return any(peer in ipaddress.ip_network(each, strict=False) for each in known)
