"""The servers that are compared: how each is started for one case, and how its version is asked for."""

from __future__ import annotations

import getpass
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Literal

from hostler.tls.development import Made, make_certificate

# Arbitrary, above the 512 connections of the widest case; a server's own lower default would measure a limit instead.
BACKLOG = 2048

NGINX_CONFIGURATION = Template(
    """\
daemon off;
worker_processes 1;
$user
pid $scratch/nginx.pid;
error_log $scratch/nginx-error.log;
events { worker_connections 4096; }
http {
    access_log $access_log;
    # Nobody else closes a connection after a number of requests.
    keepalive_requests 1000000000;
    client_body_temp_path $scratch/nginx-body;
    proxy_temp_path $scratch/nginx-proxy;
    fastcgi_temp_path $scratch/nginx-fastcgi;
    uwsgi_temp_path $scratch/nginx-uwsgi;
    scgi_temp_path $scratch/nginx-scgi;
    default_type text/plain;
    sendfile on;
    $upstream
    server {
        listen 127.0.0.1:$port $protocols backlog=$backlog;
        $certificate
        root $scratch;
        $location
    }
}
"""
)
# By application, whether it is written for WSGI or for ASGI.
NGINX_LOCATIONS = {
    "plaintext": 'location / { return 200 "Hello, world!"; }',
    "large": "location = / { try_files /large.bin =404; }",
}
# How nginx hands requests on to a server behind it: over kept connections by HTTP, over one for each request by uwsgi.
NGINX_UPSTREAMS = {
    "http": "upstream behind { server $address; keepalive 64; }",
    "uwsgi": "upstream behind { server $address; }",
}
NGINX_PASSES = {
    "http": 'location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; '
    "proxy_set_header Host $$http_host; proxy_set_header X-Forwarded-For $$proxy_add_x_forwarded_for; "
    "proxy_set_header X-Forwarded-Proto $$scheme; }",
    "uwsgi": "location / { include /etc/nginx/uwsgi_params; uwsgi_pass behind; }",
}
# Until the server is up a connection is closed without an answer, as where nobody listens yet.
AWAY = " error_page 502 @away; location @away { return 444; }"
# Both in one tree of processes, whose time is measured as a whole.
BESIDE = 'nginx -c "$1" -e "$2" & shift 2; exec "$@"'
ASGI_SUFFIX = "_asgi"
# What a row is in a comparison: ours, another server with the application, the least that can be had, no server at all.
Role = Literal["hostler", "peer", "floor", "alone"]


@dataclass(frozen=True, slots=True)
class Places:
    """Directories that commands are built from.

    Attributes:
        root: the repository.
        peers: the virtual environment of the peers.
        scratch: a temporary directory for logs, configurations and files to serve.
    """

    root: Path
    peers: Path
    scratch: Path

    def peer(self, program: str) -> str:
        """Name a program of the peers' environment."""
        return str(self.peers / "bin" / program)


@dataclass(frozen=True, slots=True)
class Case:
    """What one measurement asks of a server.

    Attributes:
        app: a module of `bench.apps`.
        threads: how many calls of the application may run at once.
        access_log: whether each request is logged, to a file.
        port: where to listen on 127.0.0.1.
        places: the directories to use.
        tls: whether it is to be served over TLS.
        http2: whether it is to be served by HTTP/2: in clear text to clients that begin with it, over TLS by ALPN.
    """

    app: str
    threads: int
    access_log: bool
    port: int
    places: Places
    tls: bool = False
    http2: bool = False

    @property
    def certificate(self) -> Made:
        """A certificate for this machine, the same for every server: ECDSA P-256."""
        directory = self.places.scratch / "certs"
        files = Made(*(directory / name for name in ("dev.pem", "dev.key", "dev-authority.pem")))
        return files if files.key.exists() else make_certificate(directory, ["127.0.0.1"])

    def tls_options(self, certificate: str, key: str) -> list[str]:
        """What a command says of TLS, with its own names for the two files; nothing where there is none."""
        if not self.tls:
            return []
        made = self.certificate
        return [certificate, str(made.certificate), key, str(made.key)]

    @property
    def target(self) -> str:
        """The application as `module:attribute`."""
        return f"bench.apps.{self.app}:app"

    @property
    def address(self) -> str:
        """Where to listen, as `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """The file that an access log goes to."""
        return str(self.places.scratch / f"access-{self.port}.log")


@dataclass(frozen=True, slots=True)
class Server:
    """One server, or one way to configure it.

    Attributes:
        key: its name on the command line and in the raw figures.
        title: its name in tables.
        build: the command for a case, or None where it cannot do what the case asks.
        package: the distribution that its version is read from; empty for Hostler and nginx.
        threads: whether it can run several calls at once within one worker.
        role: what its rows are in a comparison.
        note: what a reader of its figures has to know.
    """

    key: str
    title: str
    build: Callable[[Case], list[str] | None]
    package: str = ""
    threads: bool = False
    role: Role = "peer"
    note: str = ""


def build_hostler(case: Case) -> list[str] | None:
    """Hostler, from the environment that runs this program."""
    command = [sys.executable, "-m", "hostler", "run", case.target, *_bind(case)]
    log = ["--access-log", case.log] if case.access_log else []
    return [*command, "--workers", "1", "--threads", str(case.threads), *log]


def build_hostler_uwsgi(case: Case) -> list[str] | None:
    """Hostler speaking uwsgi, for a web server in front."""
    command = [sys.executable, "-m", "hostler", "run", case.target, "--bind", f"uwsgi://{case.address}"]
    return [*command, "--workers", "1", "--threads", str(case.threads)]


def build_hostler_asyncio(case: Case) -> list[str] | None:
    """Hostler with the event loop of the standard library."""
    return _hostler_asgi(case, "asyncio")


def build_hostler_uvloop(case: Case) -> list[str] | None:
    """Hostler with uvloop, which its environment must have."""
    return _hostler_asgi(case, "uvloop")


def _hostler_asgi(case: Case, loop: str) -> list[str]:
    command = [sys.executable, "-m", "hostler", "run", case.target, *_bind(case)]
    return [*command, "--workers", "1", "--interface", "asgi", "--loop", loop]


def _bind(case: Case) -> list[str]:
    scheme = "https" if case.tls else "http"
    return ["--bind", f"{scheme}://{case.address}", *case.tls_options("--certificate", "--key")]


def build_nginx(case: Case) -> list[str] | None:
    """Nginx without an application: a fixed answer, or a file by sendfile."""
    app = case.app.removesuffix(ASGI_SUFFIX)
    location = NGINX_LOCATIONS.get(app)
    if location is None:
        return None
    if app == "large":
        (case.places.scratch / "large.bin").write_bytes(b"0123456789abcdef" * 65_536)
    return ["nginx", *_write_nginx(case, "", location)]


def _write_nginx(case: Case, upstream: str, location: str) -> list[str]:
    """Write a configuration; give the arguments that name it."""
    scratch = case.places.scratch
    configuration = scratch / f"nginx-{case.port}.conf"
    configuration.write_text(
        NGINX_CONFIGURATION.substitute(
            # Only root can give its worker to somebody else, who could not read the scratch directory.
            user="user root root;" if getpass.getuser() == "root" else "",
            scratch=scratch,
            access_log=case.log if case.access_log else "off",
            port=case.port,
            protocols=" ".join([*(["ssl"] if case.tls else []), *(["http2"] if case.http2 else [])]),
            certificate=_nginx_certificate(case),
            backlog=BACKLOG,
            upstream=upstream,
            location=location,
        )
    )
    return ["-c", str(configuration), "-e", str(scratch / "nginx-error.log")]


def behind(build: Callable[[Case], list[str] | None], protocol: str) -> Callable[[Case], list[str] | None]:
    """Build a server with nginx in front of it, which speaks `protocol` to it."""

    def build_both(case: Case) -> list[str] | None:
        inner = replace(case, port=find_port())
        command = build(inner)
        if command is None:
            return None
        upstream = Template(NGINX_UPSTREAMS[protocol]).substitute(address=inner.address)
        _, configuration, _, errors = _write_nginx(case, upstream, Template(NGINX_PASSES[protocol]).substitute() + AWAY)
        return ["sh", "-c", BESIDE, "sh", configuration, errors, *command]

    return build_both


def find_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _nginx_certificate(case: Case) -> str:
    if not case.tls:
        return ""
    made = case.certificate
    # nginx of Debian speaks no TLS 1.3 unless it is told to.
    return f"ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {made.certificate}; ssl_certificate_key {made.key};"


def build_gunicorn_sync(case: Case) -> list[str] | None:
    """Gunicorn's default worker: one call at a time, one request per connection."""
    return None if case.threads > 1 else [*_gunicorn(case), "--worker-class", "sync", case.target]


def build_gunicorn_gthread(case: Case) -> list[str] | None:
    """Gunicorn's threaded worker, which keeps connections alive."""
    return [*_gunicorn(case), "--worker-class", "gthread", "--threads", str(case.threads), case.target]


def _gunicorn(case: Case) -> list[str]:
    log = ["--access-logfile", case.log] if case.access_log else []
    return [
        *(case.places.peer("gunicorn"), "--bind", case.address, "--workers", "1", "--no-control-socket"),
        *("--worker-connections", str(BACKLOG), "--log-level", "warning", *log),
        *case.tls_options("--certfile", "--keyfile"),
    ]


def build_uwsgi(case: Case) -> list[str] | None:
    """Start uWSGI as an HTTP/1.1 server without a router in front."""
    return _uwsgi(case, "--http11-socket", case.address)


def build_uwsgi_uwsgi(case: Case) -> list[str] | None:
    """Start uWSGI speaking its own protocol, for a web server in front."""
    return _uwsgi(case, "--socket", case.address)


def _uwsgi(case: Case, *socket_options: str) -> list[str]:
    return [
        *(case.places.peer("uwsgi"), *socket_options, "--module", case.target, "--processes", "1"),
        # Without a master: it would only add memory. A term signal means "reload" unless told otherwise.
        *("--threads", str(case.threads), "--listen", "1024", "--need-app", "--die-on-term", "--enable-threads"),
        *(["--logto", case.log] if case.access_log else ["--disable-logging"]),
    ]


def build_granian(case: Case) -> list[str] | None:
    """Granian with as many Python threads as the case asks for."""
    return [*_granian(case), "--blocking-threads", str(case.threads), case.target]


def build_granian_default(case: Case) -> list[str] | None:
    """Granian as it comes, which sizes its own pool of Python threads."""
    return [*_granian(case), case.target]


def _granian(case: Case) -> list[str]:
    # Its access log goes to standard output, which is a file here.
    log = ["--access-log"] if case.access_log else ["--no-log"]
    return [
        *(case.places.peer("granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(case.port)),
        *("--workers", "1", "--http", "2" if case.http2 else "1", "--no-ws", "--backlog", str(BACKLOG), *log),
        *case.tls_options("--ssl-certificate", "--ssl-keyfile"),
    ]


def build_waitress(case: Case) -> list[str] | None:
    """Waitress, which has no access log of its own."""
    if case.access_log:
        return None
    return [
        *(case.places.peer("waitress-serve"), "--listen", case.address, "--threads", str(case.threads)),
        *("--connection-limit", str(BACKLOG), "--backlog", str(BACKLOG), case.target),
    ]


def build_bjoern(case: Case) -> list[str] | None:
    """Bjoern: one call at a time, no access log."""
    return _launch("bjoern", case)


def build_fastwsgi(case: Case) -> list[str] | None:
    """Fastwsgi: one call at a time, no access log."""
    return _launch("fastwsgi", case)


def _launch(program: str, case: Case) -> list[str] | None:
    if case.threads > 1 or case.access_log:
        return None
    # The package warns that pkg_resources, which it imports, will go.
    return [case.places.peer("python"), "-W", "ignore", "-m", f"bench.launch.{program}", case.target, str(case.port)]


def build_uvicorn(case: Case) -> list[str] | None:
    """Uvicorn with its fast loop and parser."""
    return [
        *(case.places.peer("uvicorn"), "--host", "127.0.0.1", "--port", str(case.port), "--backlog", str(BACKLOG)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", case.target),
    ]


def build_granian_asgi(case: Case) -> list[str] | None:
    """Granian with uvloop."""
    return [
        *(case.places.peer("granian"), "--interface", "asgi", "--host", "127.0.0.1", "--port", str(case.port)),
        *("--workers", "1", "--http", "2" if case.http2 else "1", "--loop", "uvloop"),
        *("--backlog", str(BACKLOG), "--no-log", case.target),
        *case.tls_options("--ssl-certificate", "--ssl-keyfile"),
    ]


def build_gunicorn_asgi(case: Case) -> list[str] | None:
    """Gunicorn's own ASGI worker, with uvloop."""
    return [*_gunicorn(case), "--worker-class", "asgi", "--asgi-loop", "uvloop", case.target]


def build_hypercorn(case: Case) -> list[str] | None:
    """Hypercorn with uvloop, one worker; it logs no requests unless told where to."""
    configuration = case.places.scratch / "hypercorn.toml"
    # It has no option for this: nobody else closes a connection after a number of requests.
    configuration.write_text("keep_alive_max_requests = 1000000000\n")
    return [
        *(
            case.places.peer("hypercorn"),
            "--config",
            str(configuration),
            "--bind",
            case.address,
            "--workers",
            "1",
            "--worker-class",
            "uvloop",
        ),
        *("--backlog", str(BACKLOG), "--log-level", "warning", case.target),
        *case.tls_options("--certfile", "--keyfile"),
    ]


def build_alone(case: Case) -> list[str] | None:
    """Build the command of a loop that calls the application, to which the seconds are added."""
    return [case.places.peer("python"), "-m", "bench.launch.alone", case.target]


SERVERS = (
    Server("hostler", "Hostler", build_hostler, threads=True, role="hostler"),
    Server("hostler-uvloop", "Hostler (uvloop)", build_hostler_uvloop, role="hostler"),
    Server("hostler-asyncio", "Hostler (asyncio)", build_hostler_asyncio, role="hostler"),
    Server(
        "nginx",
        "nginx (no application)",
        build_nginx,
        role="floor",
        note="Answers by itself: the floor, not a peer.",
    ),
    Server(
        "alone",
        "no server",
        build_alone,
        role="alone",
        note="The application called with a prepared scope, one call after the other, under uvloop in one process: the "
        "processor time that is the framework's own, the same under every server.",
    ),
    Server("fastwsgi", "fastwsgi", build_fastwsgi, "fastwsgi", note="One call at a time; no access log."),
    Server("bjoern", "bjoern", build_bjoern, "bjoern", note="One call at a time; no access log."),
    Server("granian", "Granian", build_granian, "granian", threads=True, note="`--blocking-threads` as the case asks."),
    Server("granian-default", "Granian (default threads)", build_granian_default, "granian", threads=True),
    Server(
        "uwsgi",
        "uWSGI (http11-socket)",
        build_uwsgi,
        "uwsgi",
        threads=True,
        note="A thread stays with its connection: the other connections wait until it closes.",
    ),
    Server("waitress", "waitress", build_waitress, "waitress", threads=True, note="No access log."),
    Server("gunicorn-gthread", "Gunicorn gthread", build_gunicorn_gthread, "gunicorn", threads=True),
    Server(
        "gunicorn-sync", "Gunicorn sync", build_gunicorn_sync, "gunicorn", note="A new connection for each request."
    ),
    Server("hostler-behind", "Hostler, HTTP", behind(build_hostler, "http"), role="hostler"),
    Server("hostler-behind-uwsgi", "Hostler, uwsgi", behind(build_hostler_uwsgi, "uwsgi"), role="hostler"),
    Server("granian-behind", "Granian, HTTP", behind(build_granian, "http"), "granian"),
    Server(
        "uwsgi-behind",
        "uWSGI, HTTP",
        behind(build_uwsgi, "http"),
        "uwsgi",
        threads=True,
        note="A thread stays with its connection: with as many threads as nginx keeps connections.",
    ),
    Server("uwsgi-behind-uwsgi", "uWSGI, uwsgi", behind(build_uwsgi_uwsgi, "uwsgi"), "uwsgi"),
    Server("gunicorn-behind", "Gunicorn gthread, HTTP", behind(build_gunicorn_gthread, "http"), "gunicorn"),
    Server("uvicorn", "Uvicorn", build_uvicorn, "uvicorn", note="`--loop uvloop --http httptools`, no access log."),
    Server(
        "granian-asgi",
        "Granian (ASGI)",
        build_granian_asgi,
        "granian",
        note="`--loop uvloop`, one runtime thread, which is also its default for ASGI; no permessage-deflate.",
    ),
    Server(
        "gunicorn-asgi",
        "Gunicorn asgi",
        build_gunicorn_asgi,
        "gunicorn",
        note="Its own worker with uvloop and its parser in C (gunicorn_h1c); no permessage-deflate.",
    ),
    Server("hypercorn", "Hypercorn", build_hypercorn, "hypercorn", note="`--worker-class uvloop`, wsproto."),
)
BY_KEY = {server.key: server for server in SERVERS}
