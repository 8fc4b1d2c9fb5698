"""One application, in WSGI and in ASGI, behind every way in which nginx and Apache pass requests on: it is the same.

Where a front makes a difference of its own, that is in a table, with the reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.http2_wire import Http2Answer, Http2Wire, StreamResetError
from tests.conftest import refuse_or_skip
from tests.e2e.gate import Gate
from tests.e2e.harness import PATIENCE, StartServer, start_server, wait_until
from tests.interop.apache import Apache
from tests.interop.apps.teller import content
from tests.interop.fronts import (
    APACHE_TARGETS,
    AUTHORIZATION,
    NGINX,
    NGINX_PASSES,
    USER,
    USERS,
    Backend,
    Site,
    apache_sites,
    nginx_sites,
)
from tests.interop.nginx import Nginx, Upstream
from tests.interop.test_nginx import Callers

APPS = {"wsgi": ("tests.interop.apps.teller:wsgi_app",), "asgi": ("tests.interop.apps.teller:asgi_app",)}
OPTIONS = {"wsgi": ("--threads", "4"), "asgi": ("--interface", "asgi")}
DIRECT, DIRECT_H2, DIRECT_TLS = "direct", "direct-http2", "direct-https"
DIRECTLY = (DIRECT, DIRECT_H2, DIRECT_TLS)
FRONTS = (*DIRECTLY, *NGINX_PASSES, *APACHE_TARGETS)
GATEWAYS = tuple(front for front in FRONTS if "cgi" in front or "uwsgi" in front)
MIB = 1024 * 1024
# Another address of this machine, which is not trusted, as a visitor's is not.
VISITOR = "127.0.0.2"
Fields = Sequence[tuple[str, str]]

# What a front does in its own way, and why. A test that meets one of these expects the difference.
NO_CHUNKED = "reads no chunked body before it passes a request on, and answers 411 itself (ap_setup_client_block)"
DIFFERENCES = {
    ("apache-uwsgi", "chunked body"): NO_CHUNKED,
    ("apache-scgi", "chunked body"): NO_CHUNKED,
    ("apache-scgi", "length of HEAD"): "drops the Content-Length that it is told of an answer to HEAD",
    (
        "apache-scgi",
        "mount",
    ): "has the whole path in SCRIPT_NAME, and with proxy-scgi-pathinfo a PATH_INFO not decoded",
    ("apache-fastcgi", "length of HEAD"): "drops the Content-Length that it is told of an answer to HEAD",
    ("apache-fastcgi", "mount"): "has the whole path in SCRIPT_NAME",
    (
        "nginx-fastcgi",
        "reload",
    ): "takes a kept connection for its next request in the moment in which it is closed, and "
    "FastCGI has no word for that",
    ("nginx-uwsgi-unix", "cut stream"): "cannot see it: a unix socket cannot be reset, and its end is that of the body",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, read to its end."""

    status: int
    reason: str
    fields: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 (JSON)
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the application.

    Attributes:
        front: what stands in front.
        interface: how the application is called.
        site: where a visitor finds it.
        tls: for visitors of its HTTPS port.
    """

    front: str
    interface: str
    site: Site
    tls: ssl.SSLContext

    @property
    def scheme(self) -> str:
        """What a visitor of the site speaks."""
        return "https" if self.front == DIRECT_TLS else "http"

    def differs(self, subject: str) -> bool:
        """Whether the front has a way of its own in this."""
        return (self.front, subject) in DIFFERENCES

    @contextlib.contextmanager
    def open(
        self, method: str, path: str, body: bytes | Iterable[bytes] = b"", fields: Fields = (), *, secure: bool = False
    ) -> Iterator[http.client.HTTPResponse | Http2Answer]:
        """Send a request and read the head of the answer."""
        source = (VISITOR, 0)
        if self.front == DIRECT_H2:
            with Http2Wire.to_port(self.site.port, source) as wire:
                yield self._ask_http2(wire, method, path, body, fields)
            return
        host, port = ("localhost", self.site.secure_port) if secure else ("127.0.0.1", self.site.port)
        connection = (
            http.client.HTTPSConnection(host, port, timeout=PATIENCE, source_address=source, context=self.tls)
            if secure or self.scheme == "https"
            else http.client.HTTPConnection(host, port, PATIENCE, source)
        )
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in fields:
                connection.putheader(name, value)
            if isinstance(body, bytes):
                if body or method == "POST":
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
            else:
                connection.putheader("Transfer-Encoding", "chunked")
                connection.endheaders(body, encode_chunked=True)
            with connection.getresponse() as answer:
                yield answer

    def _ask_http2(
        self, wire: Http2Wire, method: str, path: str, body: bytes | Iterable[bytes], fields: Fields
    ) -> Http2Answer:
        lower = [(name.lower(), value) for name, value in fields]
        if isinstance(body, bytes) and (body or method == "POST"):
            lower.append(("content-length", str(len(body))))
        number = wire.begin(method, path, lower, end=body == b"", authority=f"127.0.0.1:{self.site.port}")
        for piece in [body] if isinstance(body, bytes) else body:
            if piece:
                wire.give(number, piece, end=False)
        if body != b"":
            wire.give(number, b"")
        return Http2Answer(wire, number)

    def ask(
        self, method: str, path: str, body: bytes | Iterable[bytes] = b"", fields: Fields = (), *, secure: bool = False
    ) -> Reply:
        """Make a request of its own connection."""
        with self.open(method, path, body, fields, secure=secure) as answer:
            return Reply(answer.status, answer.reason, answer.headers, answer.read())

    def told(self, path: str, fields: Fields = (), *, secure: bool = False) -> Any:  # noqa: ANN401 (JSON)
        """What the application is told of a GET request."""
        return self.ask("GET", path, fields=fields, secure=secure).json


def find(program: str) -> str:
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if found is None:
        refuse_or_skip(f"{program} is not installed: `scripts/packages test` installs it")
    return found


@pytest.fixture(scope="module")
def gates() -> Iterator[Gate]:
    with Gate() as opened:
        yield opened


@pytest.fixture(scope="module", params=list(APPS))
def interface(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def backend(interface: str, gates: Gate, certificate: Path) -> Iterator[Backend]:
    """Hostler, with a socket for each protocol."""
    directory = Path(tempfile.mkdtemp(prefix="interop-"))
    directory.chmod(0o755)
    backend = Backend(directory)
    options = (*OPTIONS[interface], *backend.binds, *backend.secure_bind(certificate))
    with start_server(*APPS[interface], *options, bind=f"127.0.0.1:{backend.http}", env=gates.env):
        yield backend
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def nginx_fronts(
    backend: Backend, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Site]]:
    sites, text = nginx_sites(backend)
    directory = tmp_path_factory.mktemp("nginx")
    (directory / "users").write_bytes(USERS)
    nginx = Nginx(find("nginx"), directory, Upstream(""), certificate, NGINX % text)
    yield {site.front: site for site in sites}
    nginx.close()


@pytest.fixture(scope="module")
def apache_fronts(backend: Backend, certificate: Path) -> Iterator[dict[str, Site]]:
    sites, text = apache_sites(backend)
    ports = [port for site in sites for port in (site.port, site.secure_port)]
    apache = Apache(find("apache2"), ports, text, {"users": USERS, "certificate.pem": certificate.read_bytes()})
    yield {site.front: site for site in sites}
    apache.close()


@pytest.fixture(params=FRONTS)
def way(request: pytest.FixtureRequest, interface: str, backend: Backend, certificate: Path) -> Way:
    front: str = request.param
    tls = ssl.create_default_context(cafile=certificate)
    if front in DIRECTLY:
        return Way(front, interface, Site(front, backend.https if front == DIRECT_TLS else backend.http), tls)
    sites: dict[str, Site] = request.getfixturevalue(f"{front.partition('-')[0]}_fronts")
    return Way(front, interface, sites[front], tls)


# Requests


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_method_arrives(way: Way, method: str) -> None:
    assert way.ask(method, "/some/where").json["method"] == method


PATHS = {
    "/": "/",
    "/some/where": "/some/where",
    "/some/where/": "/some/where/",
    "/sp%20ace": "/sp ace",
    "/st%C3%A4lle/%E9%A6%AC": "/ställe/馬",
    "/%61bc": "/abc",
    "/a%25b": "/a%b",
    "/a+b;c=d,e@f": "/a+b;c=d,e@f",
    "/q%3Fmark%23hash": "/q?mark#hash",
}


@pytest.mark.parametrize("path", PATHS)
def test_path_arrives_decoded(way: Way, path: str) -> None:
    told = way.told(path)
    assert (told["root"], told["path"], told["query"]) == ("", PATHS[path], "")


@pytest.mark.parametrize("query", ["a=1&b=2", "a=%C3%A4&b=%26", "a=b%20c+d", "?", "a=/../b//c", "", "%00=x"])
def test_query_arrives_as_it_is(way: Way, query: str) -> None:
    told = way.told(f"/ask?{query}")
    assert (told["path"], told["query"]) == ("/ask", query)


def test_fields_arrive(way: Way) -> None:
    sent = [("X-Hay", "sweet; and=dry"), ("Accept", "text/html"), ("User-Agent", "groom/1"), ("X-Latin", "caf\xe9")]
    fields = way.told("/", sent)["fields"]
    assert {name: fields[name.lower()] for name, _ in sent} == dict(sent)
    assert fields["host"] == f"127.0.0.1:{way.site.port}"


def test_repeated_fields_arrive_in_order(way: Way) -> None:
    fields = way.told("/", [("X-Many", "one"), ("X-Other", "x"), ("X-Many", "two"), ("X-Many", "three")])["fields"]
    assert [part.strip() for part in fields["x-many"].split(",")] == ["one", "two", "three"]


def test_cookies_arrive(way: Way) -> None:
    assert way.told("/", [("Cookie", "a=1; b=2")])["fields"]["cookie"] == "a=1; b=2"


@pytest.mark.parametrize("size", [0, 1, 100 * 1024, 20 * MIB], ids=["0", "1", "100-KiB", "20-MiB"])
def test_body_arrives_whole(way: Way, size: int, upload_content: bytes) -> None:
    sent = upload_content[:size]
    told = way.ask("POST", "/digest", sent, [("Content-Type", "image/png")]).json
    assert told == {"size": size, "sha256": hashlib.sha256(sent).hexdigest(), "length": str(size)}


def test_chunked_body_arrives_whole(way: Way, upload_content: bytes) -> None:
    sent = upload_content[: 2 * MIB + 3]
    blocks = (sent[start : start + 60_000] for start in range(0, len(sent), 60_000))
    reply = way.ask("POST", "/digest", blocks)
    if way.differs("chunked body"):
        assert reply.status == 411
        return
    told = reply.json
    assert (told["size"], told["sha256"]) == (len(sent), hashlib.sha256(sent).hexdigest())


# Answers


@pytest.mark.parametrize("path", ["/large", "/stream"], ids=["with-length", "without-length"])
@pytest.mark.parametrize("size", [0, 1, 100 * 1024, 20 * MIB], ids=["0", "1", "100-KiB", "20-MiB"])
def test_answer_arrives_whole(way: Way, path: str, size: int) -> None:
    reply = way.ask("GET", f"{path}?{size}")
    assert (reply.status, len(reply.body)) == (200, size)
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(b"".join(content(size))).digest()


def test_file_arrives_whole(way: Way, upload_content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "photograph"
    file.write_bytes(upload_content[: 5 * MIB + 7])
    reply = way.ask("GET", f"/file?{file}")
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(file.read_bytes()).digest()
    head = way.ask("HEAD", f"/file?{file}")
    assert (head.status, head.body) == (200, b"")


def test_head_has_the_fields_and_no_body(way: Way) -> None:
    reply = way.ask("HEAD", "/large?12345")
    length = None if way.differs("length of HEAD") else "12345"
    assert (reply.status, reply.fields["Content-Length"], reply.body) == (200, length, b"")


def test_no_content_has_no_body(way: Way) -> None:
    reply = way.ask("GET", "/nothing")
    assert (reply.status, reply.body) == (204, b"")


def test_not_modified_keeps_its_fields(way: Way) -> None:
    seen = []
    for fields in ([], [("If-None-Match", '"v1"')]):
        reply = way.ask("GET", "/cached", fields=fields)
        seen.append((reply.status, reply.fields["ETag"], reply.body))
    assert seen == [(200, '"v1"', b"fresh\n"), (304, '"v1"', b"")]


def test_page_of_an_error_is_the_application_s(way: Way) -> None:
    reply = way.ask("GET", "/missing")
    assert (reply.status, reply.reason, reply.body) == (404, "Not Found", b"no hay\r\n")


def test_unusual_status_arrives(way: Way) -> None:
    reply = way.ask("GET", "/teapot")
    assert (reply.status, reply.fields["Content-Type"], reply.body) == (418, "text/tea", b"short and stout")


def test_status_is_not_a_field_of_the_application_s(way: Way) -> None:
    reply = way.ask("GET", "/status-field")
    assert (reply.status, reply.fields["X-Hay"], reply.body) == (200, "sweet", b"well")


def test_cookies_are_set_one_by_one(way: Way) -> None:
    assert way.ask("GET", "/cookies").fields.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; HttpOnly"]


def test_redirect_leads_to_the_address_outside(way: Way) -> None:
    reply = way.ask("GET", "/redirect")
    assert (reply.status, reply.fields["Location"]) == (302, f"{way.scheme}://127.0.0.1:{way.site.port}/there")
    if way.site.secure_port:
        reply = way.ask("GET", "/redirect", secure=True)
        assert (reply.status, reply.fields["Location"]) == (302, f"https://localhost:{way.site.secure_port}/there")


def test_stream_arrives_in_pieces(way: Way, gates: Gate) -> None:
    calls = gates.count("drip")
    with way.open("GET", "/drip") as answer:
        assert answer.read(6) == b"first\n"
        gates.wait("drip", calls + 1)
        gates.release("drip")
        assert answer.read() == b"last\n"


# Failures


def test_application_that_fails_at_once_makes_an_error_page(way: Way) -> None:
    reply = way.ask("GET", "/fail-early")
    assert (reply.status, reply.fields.get_content_type()) == (500, "text/html")
    assert b"stable door" not in reply.body
    # Whatever has failed, the next request has not.
    assert way.ask("GET", "/large?3").status == 200


@pytest.mark.parametrize("path", ["/fail-late", "/fail-short"], ids=["without-length", "with-length"])
def test_answer_that_is_broken_off_is_seen_to_be(way: Way, path: str, gates: Gate) -> None:
    calls = gates.count("drip")
    with way.open("GET", path) as answer:
        assert answer.read(6) == b"first\n"
        gates.wait("drip", calls + 1)
        gates.release("drip")
        if path == "/fail-late" and way.differs("cut stream"):
            assert answer.read() == b""
            return
        with pytest.raises((http.client.IncompleteRead, ConnectionError, StreamResetError)):
            answer.read()


# What the front tells of its client

FORGED = [
    ("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "forged.example"),
    ("X-Forwarded-Port", "81"), ("X-Forwarded-Prefix", "/forged"), ("Forwarded", "for=198.51.100.8;proto=https"),
    ("X-Real-IP", "198.51.100.9"), ("Remote-Addr", "198.51.100.10"), ("Remote-User", "king"), ("Https", "on"),
    ("Script-Name", "/forged"), ("Uwsgi-Scheme", "https"), ("Proxy", "http://forged.example"),
]  # fmt: skip
# In a plain proxy, the site says which fields it sets; these it leaves as they come.
PASSED_ON = ("x-forwarded-host", "x-forwarded-port", "forwarded")


def test_client_and_scheme_are_those_that_the_front_sees(way: Way) -> None:
    told = way.told("/")
    assert (told["client"], told["scheme"]) == (VISITOR, way.scheme)
    if way.site.secure_port:
        assert way.told("/", secure=True)["scheme"] == "https"


def test_client_cannot_tell_who_it_is(way: Way) -> None:
    passed = [(name, value) for name, value in FORGED if "http" not in way.front or name.lower() not in PASSED_ON]
    told = way.told("/some", passed)
    assert (told["client"], told["scheme"], told["root"], told["path"]) == (VISITOR, way.scheme, "", "/some")
    assert told["fields"]["host"] == f"127.0.0.1:{way.site.port}"
    assert "proxy" not in told["fields"]
    assert "REMOTE_USER" not in told["variables"]


@pytest.mark.parametrize("way", GATEWAYS, indirect=True)
def test_application_behind_a_gateway_sees_no_forged_fields(way: Way) -> None:
    fields = way.told("/", FORGED)["fields"]
    names = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "forwarded", "x-real-ip"}
    assert names & set(fields) == set()


@pytest.mark.parametrize("way", [front for front in FRONTS if front not in DIRECTLY], indirect=True)
def test_mounted_application_knows_its_prefix(way: Way) -> None:
    told = way.told("/shop/st%C3%A4lle/x?a=1")
    if way.differs("mount"):
        assert (told["root"], told["path"], told["query"]) == ("", "/shop/ställe/x", "a=1")
        return
    assert (told["root"], told["path"], told["query"]) == ("/shop", "/ställe/x", "a=1")
    assert way.told("/shop/")["path"] == "/"
    outside = f"http://127.0.0.1:{way.site.port}"
    assert way.ask("GET", "/shop/redirect").fields["Location"] == f"{outside}/shop/there"


def test_user_and_variables_of_the_site_are_in_the_environ(way: Way) -> None:
    if way.front not in DIRECTLY:
        assert way.ask("GET", "/private/x").status == 401
    told = way.told("/private/x", [("Authorization", AUTHORIZATION)])
    known = {name: told["variables"].get(name) for name in ("REMOTE_USER", "X_STABLE")}
    is_told = way.front in GATEWAYS and way.interface == "wsgi"
    assert known == ({"REMOTE_USER": USER, "X_STABLE": "seven"} if is_told else {"REMOTE_USER": None, "X_STABLE": None})


def test_request_has_the_id_that_the_front_gives(way: Way) -> None:
    told = way.told("/", [("X-Request-Id", "forged")])
    if way.front in DIRECTLY:
        # Of somebody who is not trusted, it is the application's to read and the server's to ignore.
        given = None
    else:
        given = told["fields"]["x-request-id"]
        assert given != "forged"
    if way.interface == "wsgi":
        own = told["variables"]["hostler.request_id"]
        assert own == given if given else own not in ("", "forged")


# Reload


def test_reload_under_load_loses_no_request(
    hostler_server: StartServer, interface: str, certificate: Path, tmp_path: Path
) -> None:
    directory = Path(tempfile.mkdtemp(prefix="interop-"))
    backend = Backend(directory)
    bind = f"127.0.0.1:{backend.http}"
    server = hostler_server(*APPS[interface], *OPTIONS[interface], *backend.binds, "--workers", "2", bind=bind)
    sites, text = nginx_sites(backend)
    (tmp_path / "users").write_bytes(USERS)
    nginx = Nginx(find("nginx"), tmp_path, Upstream(""), certificate, NGINX % text)
    fronts = [front for front in GATEWAYS if (front, "reload") not in DIFFERENCES]
    callers = [Callers(site.port, 2) for site in sites if site.front in fronts]
    try:
        for _ in range(4):
            for each in callers:
                each.wait_for(50)
            old = set(server.children())
            server.signal(signal.SIGHUP)
            wait_until(lambda old=old: not old & set(server.children()), "the old workers are gone")  # type: ignore[misc]
        for each in callers:
            each.wait_for(50)
    finally:
        for each in callers:
            each.stop()
        nginx.close()
        shutil.rmtree(directory)
    assert [bad for each in callers for bad in each.bad] == [], nginx.error_log()
    assert "[error]" not in nginx.error_log()
