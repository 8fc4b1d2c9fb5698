"""Where Gunicorn's settings come from, which one wins, and how mistakes are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hostler.errors import ConfigurationError
from tests.unit.compat.gunicorn import open_door, read, warn, write


@pytest.fixture(autouse=True)
def _import_path() -> Iterator[None]:
    former = list(sys.path)
    yield
    sys.path[:] = former
    sys.modules.pop("__config__", None)
    sys.modules.pop("shop_gunicorn", None)


def test_strongest_source_wins(tmp_path: Path) -> None:
    environ = {"WEB_CONCURRENCY": "2"}
    assert read(tmp_path, "app", environ=environ).workers.count == 2
    write(tmp_path, "workers = 3")
    assert read(tmp_path, "app", environ=environ).workers.count == 3
    environ["GUNICORN_CMD_ARGS"] = "--workers 4 --bind '127.0.0.1:9000'"
    assert read(tmp_path, "app", environ=environ).workers.count == 4
    assert read(tmp_path, "app", "-w", "5", environ=environ).workers.count == 5
    assert read(tmp_path, "app", "-w5", environ=environ).server.bind == ("127.0.0.1:9000",)
    environ["HOSTLER_WORKERS_COUNT"] = "6"
    assert read(tmp_path, "app", "-w", "5", environ=environ).workers.count == 6


def test_file_is_named_in_three_ways(tmp_path: Path) -> None:
    write(tmp_path, "workers = 3", "shop_gunicorn.py")
    for name in (
        "shop_gunicorn.py",
        "file:shop_gunicorn.py",
        "python:shop_gunicorn",
        str(tmp_path / "shop_gunicorn.py"),
    ):
        assert read(tmp_path, "-c", name, "app").workers.count == 3
    environ = {"GUNICORN_CMD_ARGS": "-c shop_gunicorn.py"}
    assert read(tmp_path, "app", environ=environ).workers.count == 3


def test_device_is_a_file_without_settings(tmp_path: Path) -> None:
    write(tmp_path, "workers = 7")
    assert read(tmp_path, "app", "-c", "/dev/null").workers.count == 1


@pytest.mark.parametrize("name", ["gunicorn.conf.py", "python:shop_gunicorn"])
def test_changed_file_is_read_again(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "workers = 3", name.replace("python:shop_gunicorn", "shop_gunicorn.py"))
    door = open_door(tmp_path, "-c", name, "app")
    assert door.read().workers.count == 3
    hooks = door.hooks()
    assert door.load().workers.count == 3
    assert door.hooks() is hooks
    path.write_text("workers = 33")
    assert door.load().workers.count == 33
    assert door.hooks() is not hooks


def test_application_is_named_as_with_gunicorn(tmp_path: Path) -> None:
    for written, meant in (
        ("shop.wsgi", "shop.wsgi:application"),
        ("shop:app", "shop:app"),
        ("shop:create('x', y=1)", "shop:create('x', y=1)"),
    ):
        assert read(tmp_path, written).app.target == meant
    write(tmp_path, "wsgi_app = 'shop:app'")
    assert read(tmp_path).app.target == "shop:app"
    assert read(tmp_path, "other").app.target == "other:application"


def test_paths_are_relative_to_the_directory_that_is_changed_to(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    config = read(
        tmp_path, "app", "--chdir", "site", "--pid", "run.pid", "--log-file", "server.log", "--pythonpath", "lib"
    )
    assert config.app.chdir == str(tmp_path / "site")
    assert config.server.pid_file == tmp_path / "site/run.pid"
    assert config.log.file == str(tmp_path / "site/server.log")
    assert config.app.python_path == (str(tmp_path / "site/lib"),)


@pytest.mark.parametrize(
    "words,file,expected",
    [
        (["app", "--wrokers", "3"], "", "unknown option --wrokers; did you mean --workers?"),
        (["app", "--quux"], "", "unknown option --quux; see hostler gunicorn --help"),
        (["app", "-w", "many"], "", "--workers: workers is 'many'; it must be a whole number"),
        (["app"], "workers = -1", "gunicorn.conf.py:1: workers is -1; it must be a whole number of at least 0"),
        (["app"], "\npreload_app = 'yes'", "gunicorn.conf.py:2: preload_app is 'yes'; it must be True or False"),
        (["app"], "post_fork = 3", "gunicorn.conf.py:1: post_fork is 3; it must be a function, or its name"),
        (["app"], "post_fork = 'nowhere.hook'", "it must be a function that can be imported"),
        (["app"], "raw_env = ['A']", "gunicorn.conf.py:1: raw_env is ['A']; it must be NAME=VALUE"),
        (["app", "--forwarded-allow-ips", "10.1/8"], "", "addresses, networks or"),
        (["app", "--header-map", "keep"], "", "it must be one of drop, refuse, dangerous"),
        (["app", "--chdir", "nowhere"], "", "--chdir: chdir is nowhere; there is no such directory"),
        (["app", "-c", "nowhere.py"], "", "nowhere.py: there is no such configuration file in "),
        (["app", "-c", "/"], "", "/: there is no such configuration file in "),
        (["app", "-c", "python:nowhere_at_all"], "", "python:nowhere_at_all failed: ModuleNotFoundError"),
        (["app"], "import os\n1/0", "gunicorn.conf.py failed: ZeroDivisionError: division by zero\n  Traceback"),
        (["app"], "raise SystemExit(1)", "gunicorn.conf.py failed: SystemExit: 1"),
        (["app"], "def", "gunicorn.conf.py failed: SyntaxError"),
        (["app"], "import gunicorn.nowhere_here", "gunicorn.conf.py imports Gunicorn, which is not installed"),
        ([], "", "no application was named"),
        (["app", "--daemon"], "", "--daemon: daemon cannot be: Hostler stays in the foreground: let systemd start it"),
        (["app"], "daemon = True", "gunicorn.conf.py:1: daemon cannot be"),
        (["app", "--paste", "site.ini"], "", "--paste: paste cannot be"),
        (["app", "--max-requests", "9" * 17], "", "--max-requests: max_requests is 99999999999999999; workers.max"),
        (["app", "--root-path", "x"], "", "--root-path: app.script_name is"),
    ],
)
def test_mistake_names_its_place(tmp_path: Path, words: list[str], file: str, expected: str) -> None:
    if file:
        write(tmp_path, file)
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, *words)
    assert expected in str(caught.value)


def test_patches_of_the_standard_library_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("gevent.monkey")
    vars(module)["saved"] = {"os": {"fork": None}}
    monkeypatch.setitem(sys.modules, "gevent.monkey", module)
    write(tmp_path, "worker_class = 'gevent'")
    with pytest.raises(ConfigurationError, match="patches the standard library for gevent, which Hostler does not"):
        read(tmp_path, "app")


def test_mistake_in_the_variable_names_it(tmp_path: Path) -> None:
    for text, expected in (
        ("--wrokers 3", "GUNICORN_CMD_ARGS: unknown option --wrokers; did you mean --workers?"),
        ("--workers x", "GUNICORN_CMD_ARGS --workers: workers is 'x'"),
        ("--bind 'x", "GUNICORN_CMD_ARGS: cannot be split into words"),
        ("--workers", "GUNICORN_CMD_ARGS: argument -w/--workers: expected one argument"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            read(tmp_path, "app", environ={"GUNICORN_CMD_ARGS": text})
        assert expected in str(caught.value)


def test_unknown_name_in_the_file_is_passed_over_but_a_near_miss_is_told(tmp_path: Path) -> None:
    write(
        tmp_path, "import os\ncores = 4\n_workers = 1\nmax_request = 100\n\ndef worker(): pass\n\nclass Workers: pass\n"
    )
    assert warn(tmp_path, "app") == ["gunicorn.conf.py: max_request is no setting; did you mean max_requests?"]


def test_default_values_are_given_without_a_word(tmp_path: Path) -> None:
    write(
        tmp_path,
        "spew = False\ncapture_output = False\nlogger_class = 'gunicorn.glogging.Logger'\nstatsd_host = None\n"
        "certfile = None\nworker_tmp_dir = '/dev/shm'\ndaemon = False\nproxy_protocol = False\nhttp_protocols = 'h1'\n"
        "dirty_apps = []\nsendfile = True\n",
    )
    assert warn(tmp_path, "app") == []
