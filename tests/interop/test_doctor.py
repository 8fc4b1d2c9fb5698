"""`hostler doctor` finds, on purpose, each of the reasons why a page does not come; and nothing where it comes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hostler.cli.main import main
from tests.conftest import FindPeer, refuse_or_skip
from tests.e2e.harness import PATIENCE, ROOT, StartServer, free_port, wait_process_end, wait_until
from tests.e2e.terminal import Terminal
from tests.interop.apache import Apache
from tests.interop.nginx import PREAMBLE, Nginx, Upstream, make_certificate

APP = "app:app"
GOOD = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hay"]
"""
DJANGO = """\
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="x", DEBUG=False,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
    {settings}
)
urlpatterns = [path("", lambda request: HttpResponse(request.get_host()))]
app = get_wsgi_application()
"""
FORWARDED = """
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
"""
SERVER = """
    server {{
        listen 127.0.0.1:{http_port};
        listen 127.0.0.1:{https_port} ssl;
        server_name NAME;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        location / {{ PASS }}
    }}
}}
"""
VIRTUAL_HOST = """
<VirtualHost 127.0.0.1:{port}>
    ServerName {name}
    ProxyPreserveHost On
    ProxyPass "/" "{target}"
</VirtualHost>
"""

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor said."""

    status: int
    document: dict[str, Any]

    @property
    def faults(self) -> list[str]:
        return [each["found"] for each in self.document["findings"] if each["level"] == "fault"]

    def find(self, step: str, words: str) -> dict[str, Any]:
        """Give the one finding of a step that has these words."""
        found = [each for each in self.document["findings"] if each["step"] == step and words in each["found"]]
        assert len(found) == 1, json.dumps(self.document, indent=1)
        return dict(found[0])


class Practice:
    """A project in a directory that everybody may enter, and the doctor for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.write("app.py", GOOD)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "hostler", "doctor", *arguments]

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOSTLER_", "DJANGO_"))}
        kept.pop("PORT", None)
        return {**kept, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}

    def ask(self, *arguments: str, prefix: Sequence[str] = ()) -> Diagnosis:
        """Call the doctor: in this process, or behind another command."""
        if not prefix:
            output = io.StringIO()
            with contextlib.chdir(self.directory), contextlib.redirect_stdout(output):
                status = main(["doctor", *arguments, "--json"])
            return Diagnosis(status, json.loads(output.getvalue()))
        done = subprocess.run(
            [*prefix, *self.command(*arguments, "--json")],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )
        assert done.stdout, done.stderr
        return Diagnosis(done.returncode, json.loads(done.stdout))


@pytest.fixture
def practice(monkeypatch: pytest.MonkeyPatch) -> Iterator[Practice]:
    for name in ("PORT", "HOSTLER_ENV", "HOSTLER_CONFIG", "DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    directory = Path(tempfile.mkdtemp(prefix="doctor-"))
    directory.chmod(0o755)
    yield Practice(directory)
    shutil.rmtree(directory)


StartFront = Callable[..., Nginx]


@pytest.fixture
def front(find_peer: FindPeer, certificate: Path, practice: Practice) -> Iterator[StartFront]:
    """A function that starts nginx with one site."""
    started: list[Nginx] = []
    program = find_peer("nginx")

    def start(passes: str, *, name: str = "localhost", user: str = "{user}", pem: Path = certificate) -> Nginx:
        directory = practice.directory / "nginx"
        directory.mkdir(exist_ok=True)
        text = PREAMBLE.replace("{user}", user) + SERVER.replace("NAME", name).replace("PASS", passes)
        started.append(Nginx(program, directory, Upstream(""), pem, text))
        return started[-1]

    yield start
    for one in started:
        one.close()


StartApache = Callable[..., int]


@pytest.fixture
def apache(find_peer: FindPeer) -> Iterator[StartApache]:
    """A function that starts Apache with one site; gives its port."""
    program = find_peer("apache2")
    find_peer("apachectl")
    started: list[Apache] = []

    def start(target: str, name: str = "localhost") -> int:
        port = free_port()
        site = VIRTUAL_HOST.format(port=port, name=name, target=target)
        started.append(Apache(program, [port], site, {}))
        return port

    yield start
    for one in started:
        one.close()


def as_root() -> None:
    if os.geteuid() != 0:
        refuse_or_skip("needs root: a web server must run under another account")


# Nothing is wrong


def test_page_that_comes_through_nginx_is_left_alone(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    bind = f"unix:{practice.directory}/app.sock"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}")
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", bind)
    assert (found.status, found.faults) == (0, [])
    assert "nginx (pid" in found.find("port", "listens at")["found"]
    assert found.find("web server", "nginx hands / on to unix:")["where"].startswith(f"{practice.directory}/nginx/")
    found.find("socket", "may connect to")
    found.find("server", "it answers in http")
    found.find("page", "is answered with 200 (nginx")


def test_page_is_found_by_itself_where_a_web_server_leads_to_the_project(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}")
    found = practice.ask("/hay?x=1", APP, "--bind", bind)
    assert (found.status, found.document["page"]) == (0, f"http://localhost:{nginx.http_port}/hay?x=1")


def test_page_that_comes_through_apache_is_left_alone(
    practice: Practice, apache: StartApache, hostler_server: StartServer
) -> None:
    port = free_port()
    hostler_server(APP, bind=f"uwsgi://127.0.0.1:{port}", cwd=practice.directory)
    site = apache(f"uwsgi://127.0.0.1:{port}/")
    found = practice.ask(f"http://localhost:{site}/", APP, "--bind", f"uwsgi://127.0.0.1:{port}")
    assert (found.status, found.faults) == (0, [])
    found.find("web server", "Apache hands / on to")
    found.find("server", "it answers in uwsgi")


@pytest.mark.parametrize("protocol", ["http", "uwsgi", "scgi", "fastcgi"])
def test_every_protocol_is_recognised(practice: Practice, hostler_server: StartServer, protocol: str) -> None:
    port = free_port()
    bind = f"{protocol}://127.0.0.1:{port}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    found = practice.ask(APP, "--bind", bind)
    found.find("server", f"it answers in {protocol}")
    wrong = "uwsgi" if protocol != "uwsgi" else "http"
    found = practice.ask(APP, "--bind", f"{wrong}://127.0.0.1:{port}")
    assert found.status == 1
    found.find("server", f"{protocol} is spoken at")


# The socket


def test_directory_that_nginx_may_not_enter_is_named_with_its_mode(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    as_root()
    closed = practice.directory / "closed"
    closed.mkdir(mode=0o700)
    bind = f"unix:{closed}/app.sock?mode=600"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://unix:{closed}/app.sock; {FORWARDED}", user="user www-data;")
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", bind)
    assert found.status == 1
    fault = found.find("socket", "www-data (nginx) may not enter")
    assert f"drwx------ root root           {closed}" in fault["details"]
    assert "<- www-data stops here" in fault["details"]
    assert fault["remedies"][0].startswith(f"setfacl -m u:www-data:x {closed}")
    assert "mode=660&group=www-data" in fault["remedies"][1]
    assert "502" in found.find("page", "is answered with")["found"]
    assert "Permission denied" in found.find("page", "nginx's last errors")["details"]


def test_missing_socket_is_told_from_a_missing_directory(practice: Practice, front: StartFront) -> None:
    bind = f"unix:{practice.directory}/app.sock"
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}")
    url = f"http://localhost:{nginx.http_port}/"
    found = practice.ask(url, APP, "--bind", bind)
    fault = found.find("socket", f"there is no socket {practice.directory}/app.sock: Hostler does not run")
    assert fault["remedies"][0].startswith(f"hostler {APP} --bind")
    found = practice.ask(url, APP, "--bind", f"unix:{practice.directory}/run/app.sock")
    found.find("socket", f"there is no {practice.directory}/run")


def test_socket_of_a_server_that_was_killed_is_told(practice: Practice, hostler_server: StartServer) -> None:
    bind = f"unix:{practice.directory}/app.sock"
    server = hostler_server(APP, bind=bind, cwd=practice.directory)
    os.kill(server.pid, signal.SIGKILL)
    wait_process_end(server.pid)
    server.close()
    found = practice.ask(APP, "--bind", bind)
    assert found.status == 1
    found.find("server", "has crashed or was killed")


# The web server


def test_nginx_that_leads_elsewhere_is_told_where(practice: Practice, front: StartFront) -> None:
    nginx = front("proxy_pass http://127.0.0.1:9;")
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", "unix:/run/shop.sock")
    fault = found.find(
        "web server", "nginx hands the page on to 127.0.0.1:9, and Hostler listens at unix:/run/shop.sock"
    )
    assert "proxy_pass http://unix:/run/shop.sock;" in fault["remedies"]
    assert fault["where"].endswith(f"nginx.conf:{_line(practice, 'proxy_pass')}")


def _line(practice: Practice, words: str) -> int:
    lines = (practice.directory / "nginx" / "nginx.conf").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if words in line)


def test_name_that_no_site_has_is_told(practice: Practice, front: StartFront, hostler_server: StartServer) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}", name="shop.example.org *.example.net")
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", bind)
    fault = found.find("web server", "no site of nginx is called localhost")
    assert "shop.example.org *.example.net" in fault["found"]
    assert fault["remedies"][0].startswith("server_name localhost;")


def test_path_that_nginx_answers_itself_is_told(practice: Practice, front: StartFront) -> None:
    nginx = front("root /srv/www;")
    found = practice.ask(f"http://localhost:{nginx.http_port}/hay", APP, "--bind", "127.0.0.1:9")
    found.find("web server", "nginx does not hand /hay on: it answers with files below /srv/www")


@pytest.mark.parametrize("passes,bind", [("proxy_pass http://", "uwsgi://"), ("uwsgi_pass ", "http://")])
def test_wrong_protocol_is_told(
    practice: Practice, front: StartFront, hostler_server: StartServer, passes: str, bind: str
) -> None:
    port = free_port()
    hostler_server(APP, bind=f"{bind}127.0.0.1:{port}", cwd=practice.directory)
    nginx = front(f"{passes}127.0.0.1:{port};")
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", f"{bind}127.0.0.1:{port}")
    spoken, expected = ("http", "uwsgi") if "proxy" in passes else ("uwsgi", "http")
    fault = found.find("web server", f"nginx speaks {spoken} to")
    assert fault["found"].endswith(f"expects {expected}")
    assert fault["remedies"][0].startswith(
        f"{'uwsgi_pass ' if expected == 'uwsgi' else 'proxy_pass http://'}127.0.0.1:"
    )


def test_broken_configuration_is_told_in_nginx_s_words(practice: Practice, front: StartFront) -> None:
    nginx = front("return 204;")
    path = practice.directory / "nginx" / "nginx.conf"
    path.write_text(path.read_text().replace("return 204;", "return 204; retrun 205;"))
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP)
    fault = found.find("web server", 'unknown directive "retrun"')
    assert fault["remedies"][0].startswith("nginx -t ")


def test_files_that_were_changed_and_not_read_are_told(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}")
    path = practice.directory / "nginx" / "nginx.conf"
    later = path.stat().st_mtime + 60
    os.utime(path, (later, later))
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", bind)
    assert "nginx.conf" in found.find("web server", "still runs as before the last change of")["found"]


def test_apache_that_leads_elsewhere_or_has_another_name_is_told(practice: Practice, apache: StartApache) -> None:
    port = apache("http://127.0.0.1:9/", "shop.example.org")
    found = practice.ask(f"http://localhost:{port}/", APP, "--bind", "127.0.0.1:8765")
    fault = found.find(
        "web server", "Apache hands the page on to 127.0.0.1:9, and Hostler listens at http://127.0.0.1:8765"
    )
    assert 'ProxyPass "/" "http://127.0.0.1:8765/"' in fault["remedies"]
    found.find("web server", "no site of Apache is called localhost")


# Ports


def test_port_that_another_program_has_is_told_with_its_owner(practice: Practice) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = practice.ask(APP, "--bind", f"127.0.0.1:{port}")
    fault = found.find("server", f"127.0.0.1:{port} is taken by")
    assert f"(pid {os.getpid()})" in fault["found"]
    assert fault["remedies"] == [f"kill {os.getpid()}    # or another port: --bind 127.0.0.1:{port + 1}"]


def test_page_where_nothing_listens_is_told(practice: Practice) -> None:
    port = free_port()
    found = practice.ask(f"http://127.0.0.1:{port}/", APP, "--bind", "127.0.0.1:8765")
    assert found.status == 1
    found.find("port", f"nothing listens at port {port}")


FILTERS = {
    "nft": (
        "nft add table inet shop; nft 'add chain inet shop entry { type filter hook input priority 0; policy drop; }';"
        "nft add rule inet shop entry iif lo accept; nft add rule inet shop entry tcp dport { 22, 443 } accept"
    ),
    "iptables": "iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -A INPUT -p tcp -j REJECT",
    "ufw": (
        "iptables -N ufw-before-input; iptables -A INPUT -j ufw-before-input; iptables -P INPUT DROP;"
        "iptables -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    ),
}


@pytest.mark.parametrize(
    "kind,verb,remedy",
    [
        ("nft", "drops", "nft insert rule inet shop entry tcp dport 8765 accept"),
        ("iptables", "rejects", "iptables -I INPUT -p tcp --dport 8765 -j ACCEPT"),
        ("ufw", "drops", "ufw allow 8765/tcp"),
    ],
)
def test_packet_filter_in_the_way_is_told(
    practice: Practice, find_peer: FindPeer, kind: str, verb: str, remedy: str
) -> None:
    as_root()
    find_peer("nft")
    find_peer("iptables")
    # A network of its own: the rules are real, and nobody else's.
    script = f'PATH="$PATH:/usr/sbin:/sbin"; {FILTERS[kind]}; exec "$@"'
    prefix = ("unshare", "--net", "sh", "-ec", script, "sh")
    found = practice.ask("http://10.1.2.3:8765/", APP, "--bind", "0.0.0.0:8765", prefix=prefix)
    fault = found.find("firewall", f"{verb} connections from outside to port 8765")
    assert fault["remedies"][0].startswith(remedy)
    if kind == "nft":
        open_port = practice.ask("http://10.1.2.3:443/", APP, prefix=prefix)
        open_port.find("firewall", "no rule is in the way of port 443")


# Certificates


@pytest.fixture(scope="module")
def expired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that ended in 2020, and its key, in one file."""
    directory = tmp_path_factory.mktemp("expired")
    (directory / "index.txt").touch()
    (directory / "ca.conf").write_text(
        f"[ca]\ndefault_ca=one\n[one]\ndatabase={directory}/index.txt\nnew_certs_dir={directory}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=any\nx509_extensions=ext\n[any]\ncommonName=supplied\n[ext]\n"
        "subjectAltName=DNS:localhost\n[req]\ndistinguished_name=dn\n[dn]\n"
    )
    key, request, pem = directory / "key.pem", directory / "request.pem", directory / "all.pem"
    conf = ("-config", str(directory / "ca.conf"))
    new = ["openssl", "req", *conf, "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    dates = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
    sign = ["openssl", "ca", *conf, "-batch", "-selfsign", "-notext", *dates, "-keyfile", str(key)]
    subprocess.run([*new, "-keyout", str(key), "-out", str(request)], check=True, capture_output=True, timeout=60)
    subprocess.run([*sign, "-in", str(request), "-out", str(pem)], check=True, capture_output=True, timeout=60)
    pem.write_text(pem.read_text() + key.read_text())
    return pem


def test_expired_certificate_is_told(
    practice: Practice, front: StartFront, hostler_server: StartServer, expired: Path
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}", pem=expired)
    found = practice.ask(f"https://localhost:{nginx.https_port}/", APP, "--bind", bind)
    fault = found.find("certificate", "it expired on 2020-02-01")
    assert fault["where"] == str(expired)
    assert fault["remedies"][0].startswith("certbot renew")


def test_certificate_for_another_name_is_told(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}", name="localhost 127.0.0.2")
    found = practice.ask(f"https://127.0.0.2:{nginx.https_port}/", APP, "--bind", bind)
    found.find("certificate", "it is for localhost, 127.0.0.1, not for 127.0.0.2")


def test_certificate_of_our_own_is_looked_at(
    practice: Practice, hostler_server: StartServer, expired: Path, certificate: Path
) -> None:
    for pem, words in ((expired, "it expired on 2020-02-01"), (certificate, "it is self-signed")):
        bind = f"https://127.0.0.1:{free_port()}"
        server = hostler_server(APP, "--certificate", str(pem), bind=bind, cwd=practice.directory)
        found = practice.ask(APP, "--bind", bind, "--certificate", str(pem))
        assert found.find("certificate", words)["where"] == str(pem)
        found.find("server", "it answers in TLS")
        found.find("page", "is answered with 200 (hostler)")
        server.stop()


def test_key_of_another_certificate_is_told(practice: Practice, front: StartFront, tmp_path: Path) -> None:
    pem, other = make_certificate(tmp_path / "one.pem"), make_certificate(tmp_path / "other.pem")
    nginx = front("return 204;", pem=pem)
    certificate = pem.read_text().partition("-----BEGIN PRIVATE")[0]
    pem.write_text(certificate + other.with_suffix(".key").read_text())
    found = practice.ask(f"https://localhost:{nginx.https_port}/", APP)
    assert "key values mismatch" in found.find("web server", "nginx's configuration cannot be read")["found"]


# The application


def test_application_that_does_not_load_is_told_with_its_traceback(practice: Practice) -> None:
    practice.write("app.py", "import os\n\nos.environ['SHOP_KEY']\n")
    found = practice.ask(APP, "--bind", f"127.0.0.1:{free_port()}")
    fault = found.find("application", "KeyError: 'SHOP_KEY'")
    assert "os.environ['SHOP_KEY']" in fault["details"]
    assert fault["remedies"] == ["hostler check app:app"]


def test_server_that_is_gone_is_told_with_its_last_words(practice: Practice, hostler_server: StartServer) -> None:
    log = practice.directory / "server.log"
    bind = f"127.0.0.1:{free_port()}"
    server = hostler_server(APP, "--log-file", str(log), bind=bind, cwd=practice.directory)
    practice.write("app.py", "1 / 0\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: "ZeroDivisionError" in log.read_text(), "the failed reload is logged")
    server.stop()
    found = practice.ask(APP, "--bind", bind, "--log-file", str(log))
    found.find("server", "Hostler does not run")
    assert "ZeroDivisionError" in found.find("server", "the server log's last errors")["details"]


def test_host_that_django_refuses_is_told(practice: Practice, front: StartFront, hostler_server: StartServer) -> None:
    practice.write("app.py", DJANGO.format(settings="ALLOWED_HOSTS=['.example.org']"))
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    # Without proxy_set_header, nginx sends the name in proxy_pass.
    nginx = front(f"proxy_pass http://{bind};")
    found = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", bind)
    fault = found.find("application", "Django refuses 127.0.0.1 with 400: ALLOWED_HOSTS is ['.example.org']")
    assert fault["remedies"][0].startswith("ALLOWED_HOSTS = ['.example.org', '127.0.0.1']")
    found.find("page", "is answered with 400")
    allowed = practice.ask("http://www.example.org/", APP, "--bind", bind)
    allowed.find("application", "Django answers for www.example.org")


def test_database_that_takes_no_connections_is_told(practice: Practice) -> None:
    port = free_port()
    database = f"{{'default': {{'ENGINE': 'django.db.backends.postgresql', 'HOST': '127.0.0.1', 'PORT': {port}}}}}"
    practice.write("app.py", DJANGO.format(settings=f"ALLOWED_HOSTS=['*'], DATABASES={database}"))
    found = practice.ask(APP, "--bind", f"127.0.0.1:{free_port()}")
    fault = found.find("database", f"PostgreSQL does not take connections at 127.0.0.1:{port}: Connection refused")
    assert (fault["where"], fault["remedies"][0][:26]) == ("DATABASES['default']", "systemctl start postgresql")


def test_database_url_is_tried_and_its_password_never_shown(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("DATABASE_URL", f"mysql://shop:hunter2@127.0.0.1:{port}/shop")
    found = practice.ask(APP, "--bind", f"127.0.0.1:{free_port()}")
    found.find("database", f"MySQL does not take connections at 127.0.0.1:{port}: Connection refused")
    assert "hunter2" not in json.dumps(found.document)


def test_what_a_database_s_driver_says_is_told(practice: Practice) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        database = f"{{'default': {{'ENGINE': 'django.db.backends.mysql', 'HOST': '127.0.0.1', 'PORT': {port}}}}}"
        practice.write("app.py", DJANGO.format(settings=f"ALLOWED_HOSTS=['*'], DATABASES={database}"))
        found = practice.ask(APP, "--bind", f"127.0.0.1:{free_port()}")
    found.find("database", "MySQL refuses the application: Error loading MySQLdb module")


# Trust


def test_redirects_in_a_circle_are_told_with_their_cause(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    practice.write("app.py", DJANGO.format(settings="ALLOWED_HOSTS=['localhost'], SECURE_SSL_REDIRECT=True"))
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, "--trust", "10.0.0.1", bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}")
    url = f"https://localhost:{nginx.https_port}/"
    found = practice.ask(url, APP, "--bind", bind, "--trust", "10.0.0.1")
    fault = found.find("web server", "Hostler does not believe nginx: trust.networks is 10.0.0.1")
    assert "--trust 127.0.0.1" in fault["remedies"][0]
    found.find("page", "redirects in a circle")


def test_https_that_nginx_does_not_tell_is_told(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; proxy_set_header Host $host;")
    found = practice.ask(f"https://localhost:{nginx.https_port}/", APP, "--bind", bind)
    fault = found.find("web server", "does not tell Hostler that the client came by https")
    assert fault["remedies"][0].startswith("proxy_set_header X-Forwarded-Proto $scheme;")


# The machine


def test_too_few_descriptors_are_told(practice: Practice, hostler_server: StartServer) -> None:
    bind = f"127.0.0.1:{free_port()}"
    server = hostler_server(APP, bind=bind, cwd=practice.directory)
    prlimit = shutil.which("prlimit")
    assert prlimit is not None
    subprocess.run([prlimit, f"--pid={server.pid}", "--nofile=300:300"], check=True, timeout=PATIENCE)
    found = practice.ask(APP, "--bind", bind)
    assert found.status == 0
    assert "LimitNOFILE" in found.find("machine", "may have 300 files open")["remedies"][0]


def test_user_who_may_see_little_is_told_what_root_would_see(
    practice: Practice, front: StartFront, hostler_server: StartServer
) -> None:
    as_root()
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    nginx = front(f"proxy_pass http://{bind}; {FORWARDED}")
    # Root without its rights sees as little of others' processes as anybody.
    prefix = ("setpriv", "--bounding-set", "-all")
    done = practice.ask(f"http://localhost:{nginx.http_port}/", APP, "--bind", bind, prefix=prefix)
    assert "which only root may see" in done.find("port", "listens at")["found"]
    done.find("page", "is answered with 200")


# For people


def test_terminal_shows_marks_colours_and_what_mends_it(practice: Practice) -> None:
    port = free_port()
    arguments = practice.command(APP, "--bind", f"127.0.0.1:{port}")
    env = {**practice.env, "TERM": "xterm", "LANG": "C.UTF-8"}
    env.pop("NO_COLOR", None)
    with Terminal(arguments, practice.directory, env) as terminal:
        assert terminal.wait() == 1
        text = terminal.output.wait_end()
    assert f"\x1b[1mhttp://127.0.0.1:{port}/\x1b[0m" in text
    assert "\x1b[1;31m✗\x1b[0m server" in text
    assert f"\x1b[36mhostler {APP} --bind 127.0.0.1:{port}" in text
    assert "1 fault. Begin with the first: server." in text


def test_output_without_a_terminal_is_readable_in_ascii(practice: Practice, hostler_server: StartServer) -> None:
    bind = f"127.0.0.1:{free_port()}"
    hostler_server(APP, bind=bind, cwd=practice.directory)
    env = {**practice.env, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        practice.command(APP, "--bind", bind),
        cwd=practice.directory,
        env=env,
        capture_output=True,
        timeout=60,
        check=True,
    )
    lines = [line for line in done.stdout.decode("ascii").splitlines() if line]
    assert lines[0] == f"  http://{bind}/"
    assert lines[1].startswith("  + server       Hostler listens at")
    assert lines[-1] == "  The page comes."
