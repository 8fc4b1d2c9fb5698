"""What each of Gunicorn's settings becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hostler.config import Config
from hostler.config.schema import index_options
from hostler.system.address import parse_addresses
from tests.unit.compat.gunicorn import read, warn, write


def pick(config: Config, path: str) -> Any:  # noqa: ANN401 - as each option is
    section, _, name = path.partition(".")
    return getattr(getattr(config, section), name)


@pytest.mark.parametrize(
    "words,path,expected",
    [
        (["--bind", "0.0.0.0:80"], "server.bind", ("0.0.0.0:80",)),
        (["-b", "tcp://[::]:80", "-b", "localhost"], "server.bind", ("[::]:80", "localhost:8000")),
        (["-b", ":80"], "server.bind", (":80",)),
        (["-b", "fd://3"], "server.bind", ("fd://3",)),
        (["-b", "unix:/run/a.sock"], "server.bind", ("unix:/run/a.sock",)),
        (["-b", "unix:///run/a.sock", "-m", "007"], "server.bind", ("unix:/run/a.sock?mode=770",)),
        (
            ["-b", "unix:/run/a.sock", "-u", "www-data", "-g", "33"],
            "server.bind",
            ("unix:/run/a.sock?user=www-data&group=33",),
        ),
        (["--proxy-protocol"], "server.bind", ("127.0.0.1:8000?proxy_protocol=on",)),
        (["--proxy-protocol", "v2", "-b", ":80"], "server.bind", (":80?proxy_protocol=on",)),
        (["--protocol", "uwsgi", "-b", ":80"], "server.bind", (":80?protocol=uwsgi",)),
        (["--backlog", "64"], "server.backlog", 64),
        (["--reuse-port"], "server.reuse_port", True),
        (["-w", "0"], "workers.count", 1),
        (["--max-requests", "100"], "workers.max_requests", 100),
        (["--max-requests", "9", "--max-requests-jitter", "5"], "workers.max_requests_jitter", 5),
        (["--max-requests-jitter", "5"], "workers.max_requests_jitter", 0),
        (["--worker-connections", "50"], "limits.connections", 50),
        (["-t", "120"], "workers.boot_timeout", 120.0),
        (["-t", "30"], "workers.boot_timeout", 60.0),
        (["-t", "0"], "workers.boot_timeout", 3600.0),
        (["-t", "20"], "deadlines.default", 20.0),
        (["-t", "20", "-k", "gthread"], "deadlines.default", 0.0),
        ([], "deadlines.default", 0.0),
        (["--certfile", "/a"], "server.bind", ("127.0.0.1:8000?protocol=https",)),
        (["--certfile", "/a", "-b", "unix:/s"], "server.bind", ("unix:/s?protocol=https",)),
        (["--certfile", "/a"], "tls.certificate", ("/a",)),
        (["--certfile", "/a", "--keyfile", "/b"], "tls.key", ("/b",)),
        (["--certfile", "/a", "--cert-reqs", "2", "--ca-certs", "/c"], "tls.client_auth", "required"),
        (["--certfile", "/a", "--cert-reqs", "1", "--ca-certs", "/c"], "tls.client_ca", Path("/c")),
        (["--graceful-timeout", "10"], "server.graceful_timeout", 10.0),
        (["--keep-alive", "5"], "http.keep_alive_timeout", 5.0),
        ([], "http.keep_alive_timeout", 75.0),
        (["--limit-request-line", "4094"], "limits.request_line", 4094),
        (["--limit-request-line", "0"], "limits.request_line", 65536),
        (["--limit-request-fields", "50"], "limits.header_count", 50),
        (["--limit-request-field_size", "0"], "limits.header_size", 65536),
        (["--limit-request-field_size", "100000"], "limits.head_size", 165536),
        ([], "limits.body_size", 0),
        (["--preload"], "app.preload", True),
        (["-e", "A=1", "--env", "B=x=y"], "app.env", {"A": "1", "B": "x=y"}),
        (["-e", "SCRIPT_NAME=/shop"], "app.script_name", "/shop"),
        (["--root-path", "/shop/"], "app.script_name", "/shop"),
        (["-u", "1000", "-g", "staff"], "server.user", "1000"),
        (["-m", "0o22"], "server.umask", 0o22),
        (["-m", "022"], "server.umask", 0o22),
        (["-n", "shop"], "server.name", "shop"),
        (["--forwarded-allow-ips", "10.0.0.0/8, ::1"], "trust.networks", ("10.0.0.0/8", "::1", "unix")),
        (["--forwarded-allow-ips", "*"], "trust.networks", ("*",)),
        (["--header-map", "dangerous"], "http.underscore_headers", "allow"),
        (["--access-logfile", "-"], "log.access", "-"),
        (["--error-logfile", "-"], "log.file", "-"),
        (["--log-level", "WARN"], "log.level", "warning"),
        (["--log-level", "loud"], "log.level", "info"),
        (["--access-logformat", '%(h)s %({X-Id}i)s %(D)d "%(x)s"'], "log.access_format", '%(h)s %({X-Id}i)s %(D)s "-"'),
        (
            ["--log-syslog", "--log-syslog-to", "unix:///dev/log", "--log-syslog-prefix", "shop"],
            "log.access",
            "syslog:unix:/dev/log?facility=user&tag=gunicorn.shop",
        ),
        (["--log-syslog"], "log.access", "syslog:udp://localhost:514?facility=user&tag=gunicorn"),
        (["--asgi-loop", "asyncio"], "workers.loop", "asyncio"),
        (["--asgi-lifespan", "off"], "app.lifespan", "off"),
        (["--websocket-max-message-size", "1000"], "websocket.max_message", 1000),
    ],
)
def test_setting_becomes_an_option(tmp_path: Path, words: list[str], path: str, expected: object) -> None:
    config = read(tmp_path, "app", *words)
    assert pick(config, path) == expected
    parse_addresses(list(config.server.bind))


@pytest.mark.parametrize(
    "words,interface,threads,told",
    [
        ([], "wsgi", 1, ""),
        (["--threads", "8"], "wsgi", 8, ""),
        (["-k", "gthread", "--threads", "8"], "wsgi", 8, ""),
        (["-k", "egg:gunicorn#sync"], "wsgi", 1, ""),
        (["-k", "asgi"], "asgi", 1, ""),
        (["-k", "uvicorn.workers.UvicornWorker"], "auto", 1, ""),
        (["-k", "uvicorn_worker.UvicornH11Worker"], "auto", 1, "asyncio is chosen"),
        (["-k", "gevent"], "wsgi", 64, "gevent: requests run in up to 64 threads"),
        (["-k", "gevent", "--worker-connections", "10"], "wsgi", 10, "up to 10 threads"),
        (["-k", "eventlet", "--threads", "200"], "wsgi", 200, "up to 200 threads"),
        (["-k", "tornado"], "wsgi", 1, "handlers of Tornado itself are not served"),
        (["-k", "shop.workers.Odd"], "auto", 1, "shop.workers.Odd is not used"),
    ],
)
def test_worker_class_becomes_an_interface_and_threads(
    tmp_path: Path, words: list[str], interface: str, threads: int, told: str
) -> None:
    config = read(tmp_path, *words, "app")
    assert (config.app.interface, config.workers.threads) == (interface, threads)
    lines = warn(tmp_path, *words, "app")
    assert [told in line for line in lines] == ([True] if told else [])


def test_worker_class_may_be_a_class(tmp_path: Path) -> None:
    write(tmp_path, "class UvicornMine: pass\n\nworker_class = UvicornMine")
    assert read(tmp_path, "app").app.interface == "auto"
    assert warn(tmp_path, "app") == []


@pytest.mark.parametrize(
    "words,expected",
    [
        (["--ciphers", "HIGH"], "ciphers: only ciphers that are beyond doubt are spoken"),
        (["--cert-reqs", "2", "--certfile", "a"], "cert_reqs: no client can be asked for a certificate without"),
        (["--statsd-host", "localhost:8125"], "statsd_host: the metrics have names of their own"),
        (["--spew"], "spew: Hostler has no trace"),
        (["--capture-output"], "capture_output: what the application prints stays on standard output"),
        (["--logger-class", "shop.Logger"], "logger_class: Hostler writes its logs itself"),
        (["--strip-header-spaces"], "strip_header_spaces: Hostler refuses such requests"),
        (["--dirty-app", "a:B"], "dirty_apps: Hostler has no dirty workers"),
        (["--log-syslog", "--log-syslog-to", "tcp://h:1"], "syslog: tcp://h:1 cannot be used"),
        (["--access-logformat", "%(x)s"], "access_log_format: %(x)s cannot be known and stays a dash"),
        (["--log-level", "loud"], 'loglevel: "loud" is no level; info is taken'),
        (["-t", "90"], "timeout: a request that takes longer gets 503 and is ended"),
        (["-t", "90", "--threads", "4"], "timeout: a long request is left to run"),
    ],
)
def test_setting_without_an_equal_is_one_line(tmp_path: Path, words: list[str], expected: str) -> None:
    line = warn(tmp_path, *words, "app")[0]
    assert line.startswith(expected)
    assert "\n" not in line
    assert "(--" in line


def test_variables_of_platforms_are_read(tmp_path: Path) -> None:
    environ = {"PORT": "5000", "WEB_CONCURRENCY": "3", "FORWARDED_ALLOW_IPS": "*", "SCRIPT_NAME": "/shop"}
    config = read(tmp_path, "app", environ=environ)
    assert config.server.bind == ("0.0.0.0:5000",)
    assert config.workers.count == 3
    assert config.trust.networks == ("*",)
    assert config.app.script_name == "/shop"


def test_all_else_has_hostlers_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, "app")
    changed = {path for path, option in index_options().items() if pick(config, path) != option.default}
    assert changed == {"app.target", "app.chdir", "app.interface", "workers.threads", "limits.body_size"}


def test_statsd_takes_its_prefix_and_tags_along(tmp_path: Path) -> None:
    words = (
        "--statsd-host",
        "unix:///run/d.sock",
        "--dogstatsd-tags",
        "env:prod, canary",
        "--statsd-prefix",
        "shop.",
    )
    metrics = read(tmp_path, *words, "app").metrics
    assert (metrics.statsd, metrics.statsd_format, metrics.statsd_prefix) == ("unix:/run/d.sock", "dogstatsd", "shop")
    assert dict(metrics.statsd_tags) == {"env": "prod", "canary": ""}
    assert read(tmp_path, "--dogstatsd-tags", "env:prod", "app").metrics.statsd_format == "statsd"
