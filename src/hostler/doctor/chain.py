"""Walks the way of a request, from its URL to the application, and says at each step what is there.

The composition root of this package: it gathers facts (by `system/`, by the programs of web servers, by the probe) and
hands them to the checks, which are pure. A step that cannot be looked at is no reason to stop: the next may say why.
"""

from __future__ import annotations

import contextlib
import shlex
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostler.app.probe import probe_application
from hostler.config import Config
from hostler.doctor.application import check_database, check_django, check_https
from hostler.doctor.certificate import check_certificate, check_files
from hostler.doctor.fetch import Fetched, fetch
from hostler.doctor.firewall import Ruleset, read_iptables, read_nft
from hostler.doctor.front import Way, check_protocol, check_trust, check_way, find_leading, find_way
from hostler.doctor.machine import check_descriptors, check_firewall, check_selinux
from hostler.doctor.model import Finding, Page, Step, WebServer
from hostler.doctor.name import check_name, is_address
from hostler.doctor.permission import Visitor, check_path
from hostler.doctor.port import (
    WEB_SERVERS,
    check_own_port,
    check_page_port,
    find_listening,
    list_owners,
)
from hostler.doctor.protocol import ENOUGH, recognise
from hostler.doctor.site import find_named_site, list_listening_sites
from hostler.doctor.webserver import find_web_servers
from hostler.errors import ApplicationError
from hostler.system.address import (
    EVERY_ADDRESS,
    LOOPBACK,
    AbstractAddress,
    Address,
    InheritedAddress,
    TcpAddress,
    UnixAddress,
    parse_addresses,
)
from hostler.system.asking import find_program, run_program
from hostler.system.dialling import connect, exchange, read_certificate, read_served_certificate
from hostler.system.limits import SPARE_DESCRIPTORS
from hostler.system.listening import (
    PROC,
    Listening,
    Owner,
    is_own_address,
    list_listening,
    read_descriptor_limit,
    resolve_name,
)
from hostler.system.pathwalk import user_name, walk_path

INSIDE = "hostler.doctor.inside:describe"
_SELINUX = Path("/sys/fs/selinux/enforce")
# Lines of a log that are worth showing.
LAST_WORDS = 3
# What prints the rules of packet filters, and changes nothing.
_FILTERS = (("nft", "-j", "list", "ruleset"), ("iptables", "-S"), ("ip6tables", "-S"))
# How much of the end of a log is searched.
_TAIL = 65_536


@dataclass(frozen=True, slots=True)
class Case:
    """What the doctor is called to.

    Attributes:
        config: the effective configuration.
        target: the application; None when none is known.
        environ: the environment that the application is loaded in.
        page: the page that does not come; None for whatever leads to the application.
        path: the path, when no page was named.
        start: the command that starts Hostler, for people.
    """

    config: Config
    target: str | None
    environ: Mapping[str, str]
    page: Page | None
    path: str
    start: str


@dataclass(slots=True)
class _Scene:
    """What is known of the machine once it was looked at."""

    page: Page
    addresses: tuple[Address, ...]
    listening: tuple[Listening, ...]
    local: str = LOOPBACK
    way: Way | None = None
    front: WebServer | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def diagnose(case: Case) -> Iterator[Finding]:
    """Give one finding after the other, in the order of a request's way."""
    scene = _look_around(case)
    yield from _check_outside(case, scene)
    yield from _check_front(case, scene)
    findings = list(_check_server(case, scene))
    yield from findings
    yield from _check_application(case, scene)
    # Where there is nobody to ask, that has been said.
    if scene.front is not None or all(each.level != "fault" or each.step == "certificate" for each in findings):
        yield from _check_page(scene)


def choose_page(case: Case) -> Page:
    """Give the page that will be asked for."""
    return _look_around(case).page


def _look_around(case: Case) -> _Scene:
    addresses = parse_addresses(case.config.server.bind)
    listening = list_listening()
    if case.page is not None:
        scene = _Scene(case.page, addresses, listening)
        scene.front = _find_front(scene, list(find_web_servers(listening)))
        return scene
    own = next((_own_page(each, case.path) for each in addresses if isinstance(each, TcpAddress)), None)
    running = [each for each in find_web_servers(listening) if each.pid]
    for server in running:
        leading = find_leading(server, addresses)
        if leading is not None:
            path = leading.path if case.path == "/" else case.path
            page = Page(leading.scheme, leading.host, leading.port, path)
            return _Scene(page, addresses, listening, front=server)
    if own is None and running:
        # Only a web server could get there; so let its first site say why it does not.
        page = Page("http", "localhost", next((each.listens[0].port for each in running[0].sites), 80), case.path)
        return _Scene(page, addresses, listening, front=running[0])
    return _Scene(own or Page("http", "localhost", 80, case.path), addresses, listening)


def _own_page(address: TcpAddress, path: str) -> Page | None:
    if address.speech.protocol != "http" or address.speech.proxy_protocol:
        return None
    host = {EVERY_ADDRESS: "localhost", "::": "localhost"}.get(address.host, address.host)
    return Page("http" if address.speech.tls is None else "https", host, address.port, path)


def _find_front(scene: _Scene, servers: Sequence[WebServer]) -> WebServer | None:
    """Find the web server that answers at the page's port; of those that do not run, one that would."""
    holders = {owner.pid for owner in list_owners(find_listening(scene.listening, "", scene.page.port))}
    names = {WEB_SERVERS.get(owner.name) for owner in list_owners(find_listening(scene.listening, "", scene.page.port))}
    for server in servers:
        if server.pid in holders:
            return server
    if holders:
        return next((each for each in servers if each.name in names and each.pid), None)
    own_ports = {each.port for each in scene.addresses if isinstance(each, TcpAddress)}
    if scene.page.port in own_ports:
        return None
    meant = [each for each in servers if find_named_site(each.sites, scene.page.host) or each.problem]
    return next(iter(meant), None)


# Outside: name, port, packet filter


def _check_outside(case: Case, scene: _Scene) -> Iterator[Finding]:
    page = scene.page
    addresses: tuple[str, ...] | None = (page.host,) if is_address(page.host) else None
    problem = ""
    if addresses is None:
        try:
            addresses = resolve_name(page.host)
        except OSError as error:
            problem = error.strerror or str(error)
    if case.page is not None or not is_address(page.host):
        yield from check_name(page.host, addresses, is_own=is_own_address, problem=problem)
    own = [each for each in addresses or () if is_own_address(each)]
    scene.local = own[0] if own else LOOPBACK
    if any(each.port == page.port for each in scene.addresses if isinstance(each, TcpAddress)) and scene.front is None:
        # Who listens there is Hostler's own affair, and said below.
        pass
    else:
        yield from check_page_port(page, own or (LOOPBACK,), scene.listening)
    loopback = own and all(each.startswith("127.") or each == "::1" for each in own)
    if not loopback or case.page is not None:
        yield from check_firewall(page.port, _list_rulesets())


def _list_rulesets() -> list[Ruleset]:
    printed = {name: _ask_filter(name, *arguments) for name, *arguments in _FILTERS}
    tables = [read_iptables(printed[name], name) for name in ("iptables", "ip6tables") if printed[name]]
    return [*read_nft(printed["nft"]), *tables]


def _ask_filter(name: str, *arguments: str) -> str:
    program = find_program(name)
    output = run_program([program, *arguments]) if program is not None else None
    return output.text if output is not None and output.status == 0 else ""


# The web server in front


def _check_front(case: Case, scene: _Scene) -> Iterator[Finding]:
    server, page = scene.front, scene.page
    if server is None:
        return
    if server.problem:
        needs_root = "Permission denied" in server.problem or "denied" in server.problem
        yield Finding(
            "warning" if needs_root else "fault",
            "web server",
            f"{server.name}'s configuration cannot be read: {server.problem}",
            remedies=("sudo hostler doctor    # root may read it",) if needs_root else (server.check,),
        )
        return
    if not server.pid:
        yield Finding(
            "fault", "web server", f"{server.name} does not run", remedies=(f"{server.check} && {server.reload}",)
        )
    if server.stale:
        names = ", ".join(server.stale)
        yield Finding(
            "warning", "web server", f"{server.name} still runs as before the last change of {names}",
            remedies=(f"{server.check} && {server.reload}",),
        )  # fmt: skip
    scene.way = way = find_way(server, page, scene.addresses)
    yield from check_way(way, page, scene.addresses)
    yield from check_protocol(way)
    yield from check_trust(way, page, case.config)
    if page.scheme == "https":
        yield from _check_certificate(way, page)
    if way.address is not None:
        is_tcp = isinstance(way.address, TcpAddress)
        yield from check_selinux(is_enforcing=_is_enforcing(), may_connect=_may_connect(), is_tcp=is_tcp)


def _check_certificate(way: Way, page: Page) -> Iterator[Finding]:
    listening = list_listening_sites(way.server.sites, page)
    site = way.site
    if site is None or not any(each.is_tls for each in site.listens if each.port == page.port):
        if listening:
            where = site.where if site is not None else ""
            yield Finding(
                "fault", "certificate", f"{way.server.name} speaks no TLS at port {page.port}", where,
                (f"listen {page.port} ssl;    # at {where}, with ssl_certificate and ssl_certificate_key",),
            )  # fmt: skip
        return
    yield from _check_certificate_files(site.certificate, site.key, page.host)


def _check_certificate_files(certificate: str, key: str, host: str) -> Iterator[Finding]:
    try:
        found = read_certificate(Path(certificate), Path(key))
    except ssl.SSLError as error:
        yield check_files(certificate, key, error.reason or str(error))
    except OSError as error:
        yield Finding(
            "warning" if isinstance(error, PermissionError) else "fault", "certificate",
            f"{error.filename or certificate} cannot be read: {error.strerror}", certificate,
            ("sudo hostler doctor    # root may read it",) if isinstance(error, PermissionError) else (),
        )  # fmt: skip
    else:
        yield from check_certificate(found, certificate, host, time.time())  # noqa: TID251 - the dates are compared with the real day


def _is_enforcing() -> bool:
    try:
        return _SELINUX.read_text().strip() == "1"
    except OSError:
        return False


def _may_connect() -> bool | None:
    program = find_program("getsebool")
    if program is None:
        return None
    words = run_program([program, "httpd_can_network_connect"]).text.split()
    return words[-1] == "on" if words else None


# Hostler


def _check_server(case: Case, scene: _Scene) -> Iterator[Finding]:
    wanted = scene.way.address if scene.way is not None else None
    addresses = (wanted,) if wanted is not None else scene.addresses
    is_up = True
    for address in addresses:
        findings = list(_check_address(case, scene, address))
        yield from findings
        is_up = is_up and not any(each.level == "fault" for each in findings)
    for owner in _list_hostlers(scene)[:1]:
        needed = case.config.limits.connections + SPARE_DESCRIPTORS
        yield from check_descriptors(owner.pid, read_descriptor_limit(owner.pid), needed)
    if not is_up:
        yield from _read_last_words(case.config.log.file, "server", "the server log's last errors")


def _list_hostlers(scene: _Scene) -> list[Owner]:
    """List our processes that hold the configured addresses; there may be other servers beside."""
    owners = {
        owner.pid: owner
        for each in scene.listening
        if any(_is_listener(each, address) for address in scene.addresses)
        for owner in each.owners
        if owner.is_hostler
    }
    return [owners[pid] for pid in sorted(owners)]


def _is_listener(listening: Listening, address: Address) -> bool:
    if isinstance(address, TcpAddress):
        return bool(find_listening([listening], address.host, address.port))
    return isinstance(address, UnixAddress) and listening.path == str(address.path.absolute())


def _check_address(case: Case, scene: _Scene, address: Address) -> Iterator[Finding]:
    match address:
        case TcpAddress():
            findings = list(check_own_port(address, scene.listening, case.start))
        case UnixAddress():
            findings = list(_check_socket(case, scene, address))
        case _:
            findings = []
    yield from findings
    if isinstance(address, InheritedAddress) or any(each.level == "fault" for each in findings):
        return
    if isinstance(address, TcpAddress) and address.speech.tls is not None:
        yield from _check_served(case, scene, address)
    elif address.speech.tls is None:
        yield from _ask_protocol(address)


def _check_served(case: Case, scene: _Scene, address: TcpAddress) -> Iterator[Finding]:
    """Check the certificate that Hostler itself shows; its name matters where one was asked for."""
    host = LOOPBACK if address.host in {EVERY_ADDRESS, "::"} else address.host
    try:
        found = read_served_certificate(host, address.port, scene.page.host)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        yield Finding(
            "fault", "server", f"TLS at {address} fails: {reason}", "server.bind",
            ("# is the server that runs started with https:// in server.bind, and with tls.certificate?",),
        )  # fmt: skip
        return
    yield Finding("fine", "server", "it answers in TLS")
    name = scene.page.host if case.page is not None or not found.names else found.names[0]
    where = ", ".join(case.config.tls.certificate) or "server.bind"
    # The dates are compared with the real day.
    yield from check_certificate(found, where, name, time.time())  # noqa: TID251


def _check_socket(case: Case, scene: _Scene, address: UnixAddress) -> Iterator[Finding]:
    path = address.path.absolute()
    steps = walk_path(path)
    last = steps[-1]
    if last.problem:
        if any(each.path == f"{path}" for each in scene.listening):
            yield Finding("fault", "socket", f"{path} was removed while Hostler listens there", remedies=(case.start,))
            return
        is_end = last.path == path
        text = f"there is no socket {path}: Hostler does not run" if is_end else f"there is no {last.path}"
        remedy = (
            case.start if is_end else f"mkdir -p {path.parent}    # RuntimeDirectory={path.parent.name} in its unit"
        )
        yield Finding(
            "fault", "socket", f"{text} ({last.problem})", "server.bind", (remedy,), "\n".join(map(str, steps))
        )
        return
    yield from check_path(steps, _find_visitor(scene))
    if scene.front is not None and scene.front.pid:
        yield from _check_view(scene.front, path)
    try:
        connect(address).close()
    except ConnectionRefusedError:
        yield Finding(
            "fault",
            "server",
            f"nobody listens at {path} any more: Hostler has crashed or was killed",
            remedies=(case.start,),
        )
    except OSError as error:
        yield Finding("note", "server", f"{path} could not be tried from here: {error.strerror}")


def _check_view(server: WebServer, path: Path) -> Iterator[Finding]:
    """Check that the web server sees the file system as we do: a service may have a /tmp of its own."""
    root = PROC / str(server.pid) / "root"
    with contextlib.suppress(OSError):
        list(root.iterdir())
        if walk_path(path, root=root)[-1].problem:
            yield Finding(
                "fault", "socket", f"{server.name} does not see {path}: it has {path.parts[1]} directories of its own",
                f"/proc/{server.pid}/root", (f"# a socket below /run is seen by all: --bind unix:/run/{path.name}",),
            )  # fmt: skip


def _find_visitor(scene: _Scene) -> Visitor:
    front = scene.front
    if front is None or front.uid < 0:
        return Visitor("everybody", -2, frozenset(), "no web server was found")
    return Visitor(user_name(front.uid), front.uid, front.groups, front.name)


def _ask_protocol(address: TcpAddress | UnixAddress | AbstractAddress) -> Iterator[Finding]:
    expected = address.speech.protocol
    if address.speech.proxy_protocol:
        return
    local = (
        TcpAddress(LOOPBACK, address.port)
        if isinstance(address, TcpAddress) and address.host in {EVERY_ADDRESS, "::"}
        else address
    )
    try:
        spoken = recognise(expected, lambda request: exchange(local, request, enough=ENOUGH))
    except OSError as error:
        yield Finding("fault", "server", f"{local} does not take connections: {error.strerror or error}")
        return
    if spoken == expected:
        yield Finding("fine", "server", f"it answers in {expected}")
    elif spoken:
        yield Finding(
            "fault", "server", f"{spoken} is spoken at {address}, where the configuration says {expected}",
            "server.bind", ("# the server that runs was started with another configuration: restart it",),
        )  # fmt: skip
    else:
        yield Finding(
            "fault", "server", f"nothing comes back from {address}: it hangs, or speaks no protocol that is known"
        )


def _read_last_words(path: str, step: Step, title: str) -> Iterator[Finding]:
    if not path.startswith("/"):
        return
    try:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return
    wanted = [
        line for line in lines if any(mark in line for mark in (" ERROR ", " CRIT ", "[error]", "[crit]", ":error]"))
    ]
    if wanted:
        yield Finding("note", step, f"{title}:", path, details="\n".join(wanted[-LAST_WORDS:]))


# The application


def _check_application(case: Case, scene: _Scene) -> Iterator[Finding]:
    if case.target is None:
        yield Finding(
            "fault", "application", f"no application was named, and none was recognised in {case.config.app.chdir}",
            remedies=("hostler doctor --app-target app:app    # or target under [app] in hostler.toml",),
        )  # fmt: skip
        return
    app = case.config.app
    try:
        report = probe_application(
            case.target,
            directory=app.chdir,
            python_path=app.python_path,
            environ={**case.environ, **app.env},
            timeout=case.config.workers.boot_timeout,
            interface=app.interface,
            ask=INSIDE,
        )
    except ApplicationError as error:
        yield Finding(
            "fault", "application", str(error), case.target, (f"hostler check {shlex.quote(case.target)}",),
            error.details or "",
        )  # fmt: skip
        return
    versions = "".join(f", {name} {version}" for name, version in report.versions.items())
    yield Finding("fine", "application", f"{case.target} loads ({report.interface.upper()}{versions})")
    scene.facts = report.facts
    django = report.facts.get("django")
    if django:
        yield from check_django(django, _host_seen(scene))
        yield from check_https(django, scene.page)
    for database in report.facts.get("databases", ()):
        yield check_database(database)


def _host_seen(scene: _Scene) -> str:
    """Give the host that the application is asked for: a web server may send another than the client did."""
    passes = scene.way.passes if scene.way is not None else None
    if passes is None or passes.host == "client" or "x-forwarded-host" in passes.fields:
        return scene.page.host
    if passes.host.startswith("$"):
        return scene.page.host
    return passes.host.rpartition(":")[0] or passes.host


# The page


def _check_page(scene: _Scene) -> Iterator[Finding]:
    page = scene.page
    inner = scene.addresses[0] if scene.front is None else None
    address = inner if isinstance(inner, UnixAddress | AbstractAddress) and inner.speech.protocol == "http" else None
    found = fetch(page, scene.local, address)
    yield _judge(found, page)
    if found.status >= 500 and scene.front is not None and scene.front.error_log:
        yield from _read_last_words(scene.front.error_log, "page", f"{scene.front.name}'s last errors")


def _judge(found: Fetched, page: Page) -> Finding:
    of = f" ({found.server})" if found.server else ""
    if found.is_circle:
        return Finding(
            "fault", "page",
            f"{page} redirects in a circle: the application does not see that the client came by https",
            remedies=("# let the web server set X-Forwarded-Proto, and Hostler believe it: see trust.networks",),
        )  # fmt: skip
    if not found.status:
        return Finding("fault", "page", f"{found.page} does not come: {found.problem}")
    if found.status >= 500 or found.status == 400:
        return Finding("fault", "page", f"{found.page} is answered with {found.status}{of}")
    level = "warning" if found.status >= 400 else "fine"
    return Finding(
        "warning" if level == "warning" else "fine", "page", f"{found.page} is answered with {found.status}{of}"
    )
