"""Configuration files of the kinds that people publish, read as they stand."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.compat.gunicorn.hook import GunicornHooks
from hostler.errors import ConfigurationError
from tests.unit.compat.gunicorn import open_door, read, warn, write

DJANGO = '''
"""Gunicorn on one machine, behind nginx."""
import multiprocessing

bind = "unix:/run/shop/gunicorn.sock"
umask = 0o007
workers = multiprocessing.cpu_count() * 2 + 1
worker_class = "sync"
max_requests = 1000
max_requests_jitter = 50
timeout = 30
keepalive = 5
errorlog = "-"
loglevel = "info"
accesslog = "/var/log/shop/access.log"
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
proc_name = "shop"
user = "root"
pidfile = "/run/shop/gunicorn.pid"
tmp_upload_dir = None
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
'''

DOCKER = """
import os

for name, value in os.environ.items():
    if name.startswith("GUNICORN_") and name != "GUNICORN_CMD_ARGS":
        locals()[name.split("_", 1)[1].lower()] = value

bind = "0.0.0.0:" + os.getenv("PORT", "8000")
workers = int(os.getenv("WEB_CONCURRENCY", 2))
threads = int(os.getenv("PYTHON_MAX_THREADS", 4))
worker_tmp_dir = "/dev/shm"
accesslog = "-"
reload = bool(int(os.getenv("WEB_RELOAD", "0")))
"""

FASTAPI = """
wsgi_app = "main:app"
worker_class = "uvicorn.workers.UvicornWorker"
workers = 4
bind = ["0.0.0.0:8000"]
forwarded_allow_ips = "*"
graceful_timeout = 120
timeout = 120
"""

LOGGING = """
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": True,
    "root": {"level": "INFO", "handlers": ["json"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["json"], "propagate": False},
        "shop": {"level": "DEBUG", "handlers": ["json"], "propagate": False},
    },
    "handlers": {"json": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "formatters": {"json": {"format": '{"message": "%(message)s"}'}},
}
"""


@pytest.fixture(autouse=True)
def _import_path() -> Iterator[None]:
    former = list(sys.path)
    yield
    sys.path[:] = former
    sys.modules.pop("__config__", None)


def test_django_on_one_machine(tmp_path: Path) -> None:
    write(tmp_path, DJANGO)
    config = read(tmp_path, "shop.wsgi")
    assert config.app.target == "shop.wsgi:application"
    assert config.server.bind == ("unix:/run/shop/gunicorn.sock?mode=770&user=root",)
    assert config.server.umask == 0o007
    assert isinstance(config.workers.count, int)
    assert config.workers.count > 2
    assert (config.workers.max_requests, config.workers.max_requests_jitter) == (1000, 50)
    assert config.log.access == "/var/log/shop/access.log"
    assert config.log.access_format.endswith("%(D)s")
    assert config.http.keep_alive_timeout == 5
    assert [line.partition(":")[0] for line in warn(tmp_path, "shop.wsgi")] == ["timeout"]


def test_container_with_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "5000", "WEB_CONCURRENCY": "3", "GUNICORN_LOGLEVEL": "debug"}.items():
        monkeypatch.setenv(name, value)
    write(tmp_path, DOCKER)
    config = read(tmp_path, "app:app")
    assert config.server.bind == ("0.0.0.0:5000",)
    assert (config.workers.count, config.workers.threads, config.log.level) == (3, 4, "debug")
    assert warn(tmp_path, "app:app") == []


def test_fastapi_with_uvicorn_workers(tmp_path: Path) -> None:
    write(tmp_path, FASTAPI)
    config = read(tmp_path)
    assert (config.app.target, config.app.interface) == ("main:app", "auto")
    assert config.trust.networks == ("*",)
    assert (config.server.graceful_timeout, config.workers.boot_timeout) == (120, 120)
    assert len(warn(tmp_path)) == 1


@pytest.fixture(name="loggers")
def _keep_loggers() -> Iterator[None]:
    names = ("", "hostler", "gunicorn", "gunicorn.error", "gunicorn.access", "shop")
    former = [
        (logger, list(logger.handlers), logger.level, logger.propagate, logger.disabled)
        for logger in map(logging.getLogger, names)
    ]
    yield
    for logger, handlers, level, propagate, disabled in former:
        logger.handlers[:], logger.propagate, logger.disabled = handlers, propagate, disabled
        logger.setLevel(level)


@pytest.mark.usefixtures("loggers")
def test_logging_settings_are_applied_and_leave_the_server_log_alone(tmp_path: Path) -> None:
    ours, handler = logging.getLogger("hostler"), logging.NullHandler()
    ours.handlers[:] = [handler]
    write(tmp_path, LOGGING)
    hooks_of(tmp_path).loading()
    assert logging.getLogger("shop").level == logging.DEBUG
    assert ours.handlers == [handler]
    assert not ours.disabled
    assert len(logging.getLogger("gunicorn.error").handlers) == 1


@pytest.mark.usefixtures("loggers")
def test_borrowed_logger_writes_to_the_server_log(tmp_path: Path) -> None:
    ours, handler = logging.getLogger("hostler"), logging.NullHandler()
    ours.handlers[:] = [handler]
    ours.setLevel(logging.WARNING)
    write(tmp_path, "")
    hooks_of(tmp_path).loading()
    borrowed = logging.getLogger("gunicorn.error")
    assert (borrowed.handlers, borrowed.level) == ([handler], logging.WARNING)


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(
    "file,expected",
    [
        ("logconfig = 'nowhere.ini'", "logconfig cannot be applied: FileNotFoundError"),
        ("logconfig_json = 'nowhere.json'", "logconfig_json cannot be applied: FileNotFoundError"),
        ("logconfig_dict = {'handlers': {'x': {'class': 'no.Such'}}}", "logconfig_dict cannot be applied: ValueError"),
    ],
)
def test_wrong_logging_settings_end_the_start(tmp_path: Path, file: str, expected: str) -> None:
    write(tmp_path, file)
    with pytest.raises(ConfigurationError, match=expected):
        hooks_of(tmp_path).loading()


@pytest.mark.usefixtures("loggers")
def test_logging_file_is_relative_to_the_directory(tmp_path: Path) -> None:
    (tmp_path / "log.ini").write_text(
        "[loggers]\nkeys=root,shop\n[handlers]\nkeys=out\n[formatters]\nkeys=plain\n[logger_root]\nhandlers=out\n"
        "[logger_shop]\nlevel=DEBUG\nhandlers=out\nqualname=shop\n[handler_out]\nclass=StreamHandler\nargs=()\n"
        "formatter=plain\n[formatter_plain]\nformat=%(message)s\n"
    )
    write(tmp_path, "logconfig = 'log.ini'")
    hooks_of(tmp_path).loading()
    assert logging.getLogger("shop").level == logging.DEBUG


def hooks_of(directory: Path) -> GunicornHooks:
    door = open_door(directory, "app")
    door.read()
    hooks = door.hooks()
    assert isinstance(hooks, GunicornHooks)
    return hooks
