"""What `hostler generate` writes is accepted by the programs it is for, and does what it says when they run it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import kubernetes_validate
import pytest
import yaml
from websockets.sync.client import connect

from tests.conftest import FindPeer
from tests.e2e.harness import PATIENCE, ROOT, StartServer, free_port, start_group, wait_until
from tests.interop.nginx import Nginx, Upstream

APP = "tests.interop.apps.asgi_front:app"
WSGI_APP = "tests.interop.apps.probe:app"
BIN = Path(sys.executable).parent
IMPORTABLE = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
UPLOAD = 20 * 1024 * 1024
# What a Debian machine has switched on, and what the generated heading asks for.
APACHE_MODULES = ("mpm_event", "authz_core", "alias", "reqtimeout", "proxy", "proxy_http", "headers", "ssl",
                  "proxy_uwsgi", "proxy_scgi", "proxy_fcgi", "unique_id")  # fmt: skip
APACHE = """\
ServerRoot "{directory}"
ServerName localhost
PidFile "{directory}/httpd.pid"
DefaultRuntimeDir "{directory}"
ErrorLog "{directory}/error.log"
Listen 127.0.0.1:{http_port}
Listen 127.0.0.1:{https_port}
{modules}
{user}
Include "{site}"
"""

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with a configuration, and what is generated from it."""

    directory: Path

    def configure(self, text: str) -> None:
        (self.directory / "hostler.toml").write_text(text)

    def generate(self, kind: str, *arguments: str) -> Path:
        """Generate into the directory; give it."""
        self.run(kind, *arguments, "--name", "site", "--output", str(self.directory))
        return self.directory

    def run(self, kind: str, *arguments: str) -> str:
        command = [sys.executable, "-m", "hostler", "generate", kind, *arguments]
        env = {**os.environ, "PYTHONPATH": IMPORTABLE}
        done = subprocess.run(
            command, cwd=self.directory, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Project:
    directory = tmp_path / "project"
    directory.mkdir()
    return Project(directory)


def check(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# Web servers in front


class Front(Protocol):
    """A web server that runs the generated site."""

    http_port: int
    https_port: int

    def error_log(self) -> str: ...

    def close(self) -> None: ...


class Apache:
    """A running Apache; `close()` ends it."""

    def __init__(self, program: str, control: str, directory: Path, site: Path) -> None:
        self.http_port, self.https_port = free_port(), free_port()
        self._directory = directory
        text = site.read_text().replace("*:80>", f"127.0.0.1:{self.http_port}>")
        site.write_text(text.replace("*:443>", f"127.0.0.1:{self.https_port}>"))
        configuration = directory / "httpd.conf"
        where = Path("/usr/lib/apache2/modules")
        configuration.write_text(
            APACHE.format(
                directory=directory,
                http_port=self.http_port,
                https_port=self.https_port,
                modules="\n".join(f"LoadModule {name}_module {where}/mod_{name}.so" for name in APACHE_MODULES),
                user="User www-data\nGroup www-data" if os.geteuid() == 0 else "",
                site=site,
            )
        )
        # Syntax as its own control program checks it.
        check(control, "-t", "-f", str(configuration))
        self._process = subprocess.Popen([program, "-DFOREGROUND", "-f", str(configuration)], stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: is_listening(self.http_port), "Apache listens")
        except AssertionError:
            self.close()
            raise

    def error_log(self) -> str:
        log = self._directory / "error.log"
        return log.read_text() if log.exists() else ""

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
        return True
    return False


def start_nginx(program: str, directory: Path, site: Path, bind: str, certificate: Path) -> Nginx:
    """Start nginx with a generated site, its ports replaced by free ones."""
    text = re.sub(r" *listen \[::\].*\n", "", site.read_text())
    text = text.replace("{", "{{").replace("}", "}}")
    # These come with nginx, and are looked for beside its own main file.
    text = re.sub(r"include (\w+_params);", r"include /etc/nginx/\1;", text)
    text = text.replace("listen 80;", "listen 127.0.0.1:{http_port};")
    text = text.replace("listen 443 ssl;", "listen 127.0.0.1:{https_port} ssl;")
    paths = "\n".join(
        f"    {name}_temp_path {{directory}}/{name.removesuffix('_body')};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    template = (
        "{user}\nworker_processes 1;\ndaemon off;\n"
        "pid {directory}/nginx.pid;\nerror_log {directory}/error.log notice;\n"
        f"events {{{{ worker_connections 512; }}}}\nhttp {{{{\n    access_log off;\n{paths}\n{text}}}}}\n"
    )
    nginx = Nginx(program, directory, Upstream(bind), certificate, template)
    check(program, "-t", "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log"))
    return nginx


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A directory for sockets whose path is short, and which a web server under another account may enter."""
    directory = Path(tempfile.mkdtemp(prefix="interop-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


StartFront = Callable[..., Front]


@pytest.fixture(params=["nginx", "apache"])
def start_front(
    request: pytest.FixtureRequest, find_peer: FindPeer, project: Project, sockets: Path, certificate: Path
) -> Iterator[StartFront]:
    """A function that generates a site and runs the web server with it; both servers, one after the other."""
    program = find_peer({"apache": "apache2"}.get(request.param, request.param))
    control = find_peer("apachectl") if request.param == "apache" else ""
    started: list[Front] = []

    def start(bind: str, *arguments: str) -> Front:
        project.generate(request.param, APP, "--bind", bind, *arguments)
        site = project.directory / f"site.{request.param}.conf"
        if request.param == "apache":
            started.append(Apache(program, control, sockets, site))
        else:
            started.append(start_nginx(program, sockets, site, bind, certificate))
        return started[-1]

    yield start
    for front in started:
        front.close()
        sys.stderr.write(f"--- error log of {request.param} ---\n{front.error_log()}")


def fetch(connection: http.client.HTTPConnection, path: str, body: bytes | None = None, **headers: str) -> Fetched:
    """Make a request; read the answer, and let go of what it holds."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, named)
    with connection.getresponse() as answer:
        return Fetched(answer.status, answer.getheader("Location", ""), answer.read())


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    location: str
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


def dial(port: int) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE))


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_page_websocket_upload_and_stream_pass(
    start_front: StartFront, hostler_server: StartServer, sockets: Path, upload_content: bytes, kind: str
) -> None:
    bind = f"unix:{sockets}/app.sock?mode=666" if kind == "unix" else f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind)
    front = start_front(bind)
    content = upload_content[:UPLOAD]
    with dial(front.http_port) as connection:
        forged = {"X_Forwarded_Host": "evil", "X_Forwarded_Prefix": "/evil", "Forwarded": "for=6.6.6.6"}
        told = fetch(connection, "/page", None, Host="site.example.org", X_Request_Id="1", **forged).told
        assert (told["path"], told["scheme"], told["client"][0]) == ("/page", "http", "127.0.0.1")
        assert told["headers"]["host"] == "site.example.org"
        assert told["headers"].get("x-request-id") != "1"
        assert not {"x-forwarded-prefix", "forwarded"} & told["headers"].keys()
        told = fetch(connection, "/digest", content).told
        assert told == {"size": UPLOAD, "sha256": hashlib.sha256(content).hexdigest()}
        # The answer never ends: the event comes only if nobody waits for more.
        connection.request("GET", "/events")
        with connection.getresponse() as answer:
            assert answer.readline() == b"data: neigh\n"

    with connect(f"ws://127.0.0.1:{front.http_port}/talk", proxy=None) as talk:
        for word in ("one", "two"):
            talk.send(word)
            assert talk.recv(PATIENCE) == f"hay {word}"
    assert "[error]" not in front.error_log()


@pytest.mark.parametrize("protocol", ["uwsgi", "scgi", "fastcgi"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_page_and_upload_pass_over_the_protocol_of_the_listener(
    start_front: StartFront, hostler_server: StartServer, sockets: Path, upload_content: bytes, kind: str, protocol: str
) -> None:
    place = f"unix:{sockets}/app.sock?mode=666&" if kind == "unix" else f"127.0.0.1:{free_port()}?"
    bind = f"{place}protocol={protocol}"
    hostler_server(APP, bind=bind)
    front = start_front(bind)
    content = upload_content[: 1024 * 1024]
    with dial(front.http_port) as connection:
        forged = {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "https", "Forwarded": "for=6.6.6.6"}
        told = fetch(connection, "/page", None, Host="site.example.org:81", X_Request_Id="1", **forged).told
        assert (told["path"], told["scheme"], told["client"][0]) == ("/page", "http", "127.0.0.1")
        assert told["headers"]["host"] == "site.example.org:81"
        assert told["headers"].get("x-request-id") != "1"
        assert not {"x-forwarded-for", "x-forwarded-proto", "forwarded"} & told["headers"].keys()
        told = fetch(connection, "/digest", content).told
        assert told == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert "[error]" not in front.error_log()


def test_body_above_the_limit_is_refused(start_front: StartFront, hostler_server: StartServer) -> None:
    bind = f"127.0.0.1:{free_port()}"
    limit = ("--limits-body-size", "10KiB")
    server = hostler_server(APP, "--access-log", "-", *limit, bind=bind)
    front = start_front(bind, *limit)
    for size, expected in ((10_240, 200), (10_241, 413)):
        with dial(front.http_port) as connection:
            assert fetch(connection, "/digest", b"x" * size).status == expected
    server.stop()
    # nginx refuses by itself. Apache's LimitRequestBody does not hold for what it passes on.
    assert server.stdout.wait_end().count(" 413 ") == (0 if isinstance(front, Nginx) else 1)


def test_tls_static_files_and_redirect(
    start_front: StartFront, hostler_server: StartServer, certificate: Path, sockets: Path
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind)
    static = sockets / "static"
    static.mkdir()
    (static / "hay.txt").write_text("dry\n")
    paths = ("--tls-certificate", str(certificate), "--tls-key", str(certificate), "--static", f"/static/={static}")
    front = start_front(bind, "--server-name", "localhost,site.example.org", *paths)
    context = ssl.create_default_context(cafile=certificate)
    secure = http.client.HTTPSConnection("localhost", front.https_port, timeout=PATIENCE, context=context)
    with contextlib.closing(secure):
        assert fetch(secure, "/page").told["scheme"] == "https"
        assert fetch(secure, "/static/hay.txt").body == b"dry\n"
    with connect(f"wss://localhost:{front.https_port}/talk", ssl=context, proxy=None) as talk:
        talk.send("one")
        assert talk.recv(PATIENCE) == "hay one"
    with dial(front.http_port) as plain:
        answer = fetch(plain, "/page?a=1", None, Host="localhost")
        assert (answer.status, answer.location) == (301, "https://localhost/page?a=1")


def test_header_of_rfc_7239_is_set_where_it_is_the_one_believed(
    start_front: StartFront, hostler_server: StartServer
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, "--trust-headers", "forwarded", bind=bind)
    front = start_front(bind, "--trust-headers", "forwarded")
    forged = {"X_Forwarded_For": "6.6.6.6", "Forwarded": "for=6.6.6.6;proto=https"}
    with dial(front.http_port) as connection:
        told = fetch(connection, "/page", None, Host="site.example.org", **forged).told
    assert (told["scheme"], told["client"][0], told["headers"]["host"]) == ("http", "127.0.0.1", "site.example.org")
    assert told["headers"]["forwarded"].startswith("for=127.0.0.1;proto=http")
    assert not [name for name in told["headers"] if name.startswith("x-forwarded")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--interface", "wsgi"),
        ("--http-keep-alive-timeout", "0"),
        ("--http-request-body", "stream"),
        ("--bind", "[::1]:8000"),
        ("--limits-body-size", "0"),
        ("--websocket-ping-interval", "0"),
    ],
)
def test_sites_of_all_kinds_pass_their_servers_check(
    find_peer: FindPeer, project: Project, sockets: Path, certificate: Path, arguments: tuple[str, ...]
) -> None:
    for kind in ("nginx", "apache"):
        project.generate(kind, APP, *arguments)
    site = project.directory / "site.apache.conf"
    Apache(find_peer("apache2"), find_peer("apachectl"), sockets, site).close()
    front = project.directory / "site.nginx.conf"
    start_nginx(find_peer("nginx"), sockets, front, "127.0.0.1:8000", certificate).close()


# Service managers and platforms


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--no-socket", "--bind", "0.0.0.0:80"),
        ("--bind", "unix:/run/site/site.sock?mode=660&group=root", "--bind", "[::1]:8001", "--server-umask", "027"),
        ("--reuse-port",),
        ("--app-env", "NAME=a b%c$d", "--log-file", "/var/log/site/site.log", "--http-body-directory", "/var/tmp"),
    ],
)
def test_units_are_understood_by_systemd(find_peer: FindPeer, project: Project, arguments: tuple[str, ...]) -> None:
    analyze = find_peer("systemd-analyze")
    project.generate("systemd", APP, "--user", "root", *arguments)
    units = [str(path) for path in project.directory.glob("site.*")]
    assert len(units) == (1 if {"--no-socket", "--reuse-port"} & set(arguments) else 2)
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, timeout=60, check=False)
    # Of other units of this machine it may have something to say; of these nothing.
    complaints = [line for line in done.stderr.splitlines() if "site." in line]
    assert (done.returncode, complaints) == (0, [])


def test_service_may_do_little(find_peer: FindPeer, project: Project) -> None:
    """systemd's own rating: ten times the exposure, of which 96 is a service without any hardening."""
    path = (
        project.generate("systemd", APP, "--directory", "/srv/site", "--program", "/srv/site/hostler") / "site.service"
    )
    check(find_peer("systemd-analyze"), "security", "--offline=true", "--threshold=20", str(path))


def test_units_serve_as_they_say(find_peer: FindPeer, project: Project) -> None:
    """ExecStart, in WorkingDirectory, with the socket of ListenStream: what systemd does, done by its activator."""
    activate = find_peer("systemd-socket-activate")
    port = free_port()
    project.configure(f'[app]\ntarget = "{WSGI_APP}"\n[server]\nbind = ["127.0.0.1:{port}"]\n')
    project.generate("systemd", "--app-env", "GREETING=hay and oats", "--threads", "3")
    service = (project.directory / "site.service").read_text()
    found = re.search(r"^ListenStream=(.*)$", (project.directory / "site.socket").read_text(), re.MULTILINE)
    assert found
    command = shlex.split(read_setting(service, "ExecStart"))
    passed = [f"--setenv={name}" for name in ("PYTHONPATH", "NOTIFY_SOCKET")]
    arguments = [activate, f"--listen={found[1]}", *passed, *command]
    directory = Path(read_setting(service, "WorkingDirectory"))
    with start_group(arguments, f"127.0.0.1:{port}", cwd=directory, env={"PYTHONPATH": IMPORTABLE}) as server:
        server.stderr.wait_for("Listening on")
        assert json.loads(server.get("/environ").text)["SERVER_PORT"] == str(port)
        server.wait_ready()


def read_setting(unit: str, name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", unit, re.MULTILINE)
    assert found, f"no {name} in:\n{unit}"
    return found[1]


THREE = """\
[app]
target = "tests.interop.apps.asgi_front:app"
[server]
bind = ["127.0.0.1:{port}"]
[env.dev.app]
env = {{ GREETING = "dev" }}
[env.staging.app]
env = {{ GREETING = "staging" }}
[env.production]
app = {{ env = {{ GREETING = "production" }} }}
workers = {{ count = 2 }}
"""


@pytest.mark.parametrize(
    "target,greeting,workers", [("dev", "dev", 1), ("stag", "staging", 1), ("prod", "production", 2)]
)
def test_make_runs_the_three_environments(
    find_peer: FindPeer, project: Project, target: str, greeting: str, workers: int
) -> None:
    make = find_peer("make")
    port = free_port()
    project.configure(THREE.format(port=port))
    directory = project.generate("makefile")
    arguments = [make, "--no-print-directory", target]
    env = {"PYTHONPATH": IMPORTABLE, "MAKEFLAGS": ""}
    with start_group(arguments, f"127.0.0.1:{port}", cwd=directory, env=env) as server:
        server.wait_ready()
        assert json.loads(server.get("/").text)["greeting"] == greeting
        (supervisor,) = server.children()
        title = Path(f"/proc/{supervisor}/cmdline").read_bytes()
        assert b"supervisor" in title
        count = len(Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split())
        # `hostler dev` has a companion that watches the files.
        assert count == workers + (target == "dev")


def test_make_check_loads_all_three(find_peer: FindPeer, project: Project) -> None:
    project.configure(THREE.format(port=8000))
    directory = project.generate("makefile")
    env = {**os.environ, "PYTHONPATH": IMPORTABLE, "MAKEFLAGS": ""}
    done = subprocess.run(
        [find_peer("make"), "check"], cwd=directory, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.count("application    fine")) == (0, 3), done.stderr


def test_procfile_is_run_by_honcho_on_its_port(project: Project) -> None:
    port = free_port()
    # An address in the file would win over PORT, were it not named.
    project.configure(f'[app]\ntarget = "{APP}"\n[server]\nbind = ["127.0.0.1:{free_port()}"]\n')
    directory = project.generate("procfile", "--app-env", "GREETING=hay and oats")
    honcho = [sys.executable, "-m", "honcho", "-f", str(directory / "Procfile")]
    assert "Valid procfile detected (web)" in check(*honcho, "check")
    env = {"PYTHONPATH": IMPORTABLE, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PORT": str(port)}
    with start_group([*honcho, "start", "web"], f"127.0.0.1:{port}", cwd=directory, env=env) as server:
        server.wait_ready()
        assert json.loads(server.get("/").text)["greeting"] == "hay and oats"
        # It gives each program a session of its own, which the end of ours does not reach.
        server.stop()
        assert "web.1 stopped" in server.stdout.wait_end()


# Containers


def test_dockerfile_has_nothing_for_hadolint_to_say(find_peer: FindPeer, project: Project) -> None:
    hadolint = str(BIN / "hadolint") if (BIN / "hadolint").exists() else find_peer("hadolint")
    for files in ((), ("pyproject.toml",), ("requirements.txt",)):
        for name in files:
            (project.directory / name).write_text("")
        project.generate("docker", APP, "--force")
        assert check(hadolint, str(project.directory / "Dockerfile")) == ""


def test_dockerfile_s_command_serves_and_its_health_check_tells(project: Project) -> None:
    port = free_port()
    log = project.directory / "site.log"
    project.configure(
        f'[app]\ntarget = "{APP}"\n[server]\nbind = ["127.0.0.1:{port}"]\npid_file = "site.pid"\n'
        f'[log]\nfile = "{log}"\n'
    )
    text = (project.generate("docker") / "Dockerfile").read_text()
    probe, command = (json.loads(words) for words in re.findall(r"^ *CMD (\[.*\])$", text, re.MULTILINE))
    assert run_words(probe) != 0
    words = [str(BIN / "hostler"), *command[1:]]
    with start_group(words, f"127.0.0.1:{port}", cwd=project.directory, env={"PYTHONPATH": IMPORTABLE}) as server:
        server.wait_ready()
        assert run_words(probe) == 0
        assert server.stop() == 0
        assert server.stderr.wait_end()
    # To standard error, whatever the file says.
    assert not log.exists()


def run_words(words: Sequence[str]) -> int:
    """Run a command of the image with this interpreter; give its status."""
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, timeout=PATIENCE, check=False)
    return done.returncode


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--image", "registry.example.org/site:2.1"),
        ("--bind", "unix:/run/site.sock"),
        ("--bind", "[::1]:8080", "--http-body-directory", "/var/spool/site"),
        ("--app-env", "NAME=$HOME", "--app-env", "SECRET_KEY=hush"),
    ],
)
def test_compose_file_follows_the_specification(project: Project, arguments: tuple[str, ...]) -> None:
    path = project.generate("compose", APP, *arguments) / "compose.yaml"
    check(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(path))
    service = yaml.safe_load(path.read_text())["services"]["site"]
    assert "hush" not in path.read_text()
    assert ("build" in service) != ("image" in service)
    assert service["stop_grace_period"] == "35s"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--server-name", "a.example.org,b.example.org", "--tls-secret", "site-tls", "--ingress-class", "traefik"),
        ("--health-path", "/health?full=1", "--server-name", "a.example.org", "--replicas", "7"),
        ("--http-body-directory", "/var/spool/site", "--graceful-timeout", "90s"),
        ("--app-env", "SECRET_KEY=hush", "--app-env", "NAME=$(HOME) ${HOME}"),
    ],
)
def test_manifests_follow_the_schemas_of_kubernetes(project: Project, arguments: tuple[str, ...]) -> None:
    text = (project.generate("kubernetes", APP, *arguments) / "site.kubernetes.yaml").read_text()
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    assert [each["kind"] for each in documents] == ["Deployment", "Service", "Ingress"]
    for each in documents:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    assert "hush" not in text
    pod = documents[0]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    # preStop and the drain fit into what Kubernetes waits.
    farewell = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    graceful = 90 if "90s" in arguments else 30
    assert pod["terminationGracePeriodSeconds"] >= farewell + graceful + 1
    assert documents[0]["spec"]["template"]["metadata"]["labels"].items() >= documents[1]["spec"]["selector"].items()
