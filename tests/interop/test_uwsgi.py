"""The real uWSGI beside `hostler uwsgi`: the same files give the same options; and the real nginx before it."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hostler.cli.uwsgi import describe_machine, write_configuration
from hostler.compat.uwsgi.magic import VERSION
from hostler.compat.uwsgi.reader import Reader
from hostler.compat.uwsgi.table import index_letters, index_options
from hostler.errors import ConfigurationError
from tests.conftest import FindPeer
from tests.e2e.harness import PATIENCE, StartServer, free_port
from tests.interop.nginx import PREAMBLE, Nginx, Upstream, make_certificate

FILES = Path(__file__).parent / "uwsgi_files"
ENVIRONMENT = {"HOME": "/root", "STAGE": "prod"}
# Ends uWSGI once it has shown what it has read; its plugins know the options of Python and HTTP.
BEGIN = ("--plugin", "python3,http", "--show-config", "--no-server")
NGINX = (
    PREAMBLE
    + """\
    server {{
        listen 127.0.0.1:{http_port};
        location / {{
            include /etc/nginx/uwsgi_params;
            uwsgi_pass {upstream};
        }}
        location /static/ {{
            return 204;
        }}
    }}
    server {{
        listen 127.0.0.1:{https_port};
        return 204;
    }}
}}
"""
)


def show_real(program: str, words: Sequence[str], environ: Mapping[str, str]) -> str:
    """Give what the real uWSGI shows; empty if it refuses to start."""
    env = {**environ, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [program, *BEGIN, *words], cwd=FILES, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    _, mark, rest = done.stderr.partition(";uWSGI instance configuration\n")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    return rest.partition(";end of configuration")[0].replace(version.stdout.strip(), VERSION) if mark else ""


def show_ours(words: Sequence[str], environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Give what Hostler shows; empty if it refuses to start."""
    monkeypatch.chdir(FILES)
    try:
        reading = Reader(environ, describe_machine()).read([*BEGIN, *words], index_letters())
    except ConfigurationError:
        return ""
    # uWSGI itself cuts the section off the names of XML and JSON files when it has read them.
    text = re.sub(r"(\.(?:xml|json)):\w+\n", r"\1\n", write_configuration(reading.shown))
    return text.partition(";uWSGI instance configuration\n")[2].partition(";end of configuration")[0]


@pytest.mark.parametrize(
    "words",
    [
        "--ini django.ini",
        "flask.ini",
        "docker.ini -p3 --set-ph x=1 -M --http :8000",
        "--processes=2 docker.ini --threads 4",
        "--ini magic.ini",
        "magic.ini",
        "--ini sections.ini",
        "--ini sections.ini:production",
        "--ini parts/base.ini:staging",
        "--ini placeholder.ini",
        "--ini logic.ini",
        "--ini inherit.ini",
        "inherit.ini",
        "--ini custom.ini",
        "--ini lists.ini",
        "--ini sites/shop.ini",
        "--include parts/base.ini --ini django.ini",
        "--xml app.xml",
        "--xml several.xml",
        "--xml several.xml:two",
        "--yaml app.yaml",
        "--yaml app.yaml:staging",
        "--json app.json",
        "--json app.json:staging",
        "-x app.xml -y app.yaml -j app.json",
        "--set threads=3 --set processes=%(threads) --procname=$(HOME)",
        # These are refused.
        "--ini strict.ini",
        "--ini forbidden.ini",
        "--ini absent.ini",
        "--nonsense 1",
    ],
)
def test_same_files_give_the_same_options(find_peer: FindPeer, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    real = show_real(find_peer("uwsgi"), words.split(), ENVIRONMENT)
    assert show_ours(words.split(), ENVIRONMENT, monkeypatch) == real
    is_refused = any(name in words for name in ("strict", "forbidden", "absent", "nonsense"))
    assert bool(real) is not is_refused


def test_same_variables_give_the_same_options(find_peer: FindPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the images for Docker have it: two files, and variables over them.
    environ = {**ENVIRONMENT, "UWSGI_INI": "docker.ini", "UWSGI_CHEAPER": "2", "UWSGI_PROCESSES": "16"}
    real = show_real(find_peer("uwsgi"), ["--ini", "flask.ini"], environ)
    assert "cheaper = 2\n" in real
    assert show_ours(["--ini", "flask.ini"], environ, monkeypatch) == real


def test_every_option_of_the_real_one_is_known(find_peer: FindPeer) -> None:
    done = subprocess.run(
        [find_peer("uwsgi"), "--plugin", "python3,http,fastrouter,rawrouter,cgi,cheaper_busyness", "--dump-options"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    names = done.stdout.split()
    assert len(names) > 800
    # The abbreviation stands for pivot_root in a table of 2.0.21 that was mended later.
    assert sorted(set(names) - set(index_options()) - {"pivot"}) == []


def test_ini_behind_nginx(hostler_server: StartServer, find_peer: FindPeer, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    size = len(environ['wsgi.input'].read())\n"
        "    names = ('REMOTE_ADDR', 'PATH_INFO', 'HTTP_HOST', 'wsgi.url_scheme')\n"
        "    return ['|'.join([*(environ[name] for name in names), str(size)]).encode()]\n"
    )
    (tmp_path / "shop.ini").write_text(
        "[uwsgi]\nmodule = shop\nmaster = true\nprocesses = 2\nsocket = %dshop.sock\nchmod-socket = 664\n"
        "vacuum = true\ndie-on-term = true\ndisable-logging = true\n"
    )
    server = hostler_server(None, "shop.ini", bind="", cwd=tmp_path, command=("uwsgi",))
    assert (tmp_path / "shop.sock").stat().st_mode & 0o777 == 0o664
    directory = tmp_path / "nginx"
    directory.mkdir()
    nginx = Nginx(find_peer("nginx"), directory, Upstream(f"unix:{tmp_path}/shop.sock"), tmp_path / "none", NGINX)
    try:
        body = b"x" * 100_000
        with urllib.request.urlopen(f"{nginx.url}/a%20b?c", body, timeout=PATIENCE) as answer:
            facts = answer.read().decode().split("|")
    finally:
        nginx.close()
    assert facts == ["127.0.0.1", "/a b", "127.0.0.1", "http", "100000"]
    assert server.stop() == 0
    assert not (tmp_path / "shop.sock").exists()


def test_https_is_served(hostler_server: StartServer, find_peer: FindPeer, tmp_path: Path) -> None:
    find_peer("openssl")
    certificate = make_certificate(tmp_path / "shop.pem")
    (tmp_path / "shop.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [environ['wsgi.url_scheme'].encode()]\n"
    )
    port = free_port()
    (tmp_path / "shop.ini").write_text(
        f"[uwsgi]\nmodule = shop\nhttps = 127.0.0.1:{port},shop.pem,shop.pem,HIGH\ndisable-logging = true\n"
    )
    hostler_server(None, "shop.ini", bind="", cwd=tmp_path, command=("uwsgi",))
    context = ssl.create_default_context(cafile=certificate)
    with urllib.request.urlopen(f"https://localhost:{port}/", timeout=PATIENCE, context=context) as answer:
        assert answer.read() == b"https"
