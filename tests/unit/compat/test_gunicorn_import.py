"""Importing a configuration: finding the command line, the file that is written, and the report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hostler.cli.main import main
from hostler.compat.gunicorn.command import find_command
from hostler.compat.gunicorn.document import import_file
from hostler.compat.gunicorn.syntax import locate_names
from hostler.config import Config, Sources, load_config
from hostler.errors import ConfigurationError
from tests.unit.compat.gunicorn import write


def load(directory: Path, toml: str) -> Config:
    (directory / "hostler.toml").write_text(toml)
    return load_config(Sources(directory=directory)).config


@pytest.mark.parametrize(
    "text,words",
    [
        ("release: pip install gunicorn\nweb: gunicorn shop.wsgi --log-file -\n", ["shop.wsgi", "--log-file", "-"]),
        ("web: python manage.py migrate && exec gunicorn -w 3 shop:app; true", ["-w", "3", "shop:app"]),
        ("[Service]\nUser=shop\nExecStart=/srv/bin/gunicorn \\\n  -w 3 \\\n  shop.wsgi\n", ["-w", "3", "shop.wsgi"]),
        ('RUN pip install gunicorn\nCMD ["gunicorn", "-b", "0.0.0.0:80", "a:b"]', ["-b", "0.0.0.0:80", "a:b"]),
        ('ENTRYPOINT ["gunicorn"]\nCMD ["-w", "2", "a:b"]', ["-w", "2", "a:b"]),
        ("CMD exec gunicorn --bind :8080 \\\n # a comment\n a:b", ["--bind", ":8080", "a:b"]),
        ('CMD ["sh", "-c", "alembic upgrade head && gunicorn a:b"]', ["a:b"]),
        ("#!/bin/sh\nset -e\npoetry run python -m gunicorn a:b > log 2>&1 &", ["a:b"]),
        ("# gunicorn x\ngunicorn a:b -w ${WORKERS:-4} -t $TIMEOUT", ["a:b", "-w", "4"]),
        ("web: gunicorn --bind=0.0.0.0:$PORT a:b", ["a:b"]),
        ("services:\n  web:\n    command: gunicorn a:b -w 4\n", ["a:b", "-w", "4"]),
    ],
)  # fmt: skip
def test_command_line_is_found(text: str, words: list[str]) -> None:
    assert list(find_command(text, "file").words) == words


def test_what_depends_on_variables_is_told() -> None:
    found = find_command("web: gunicorn -b 0.0.0.0:$PORT -w ${N:-3} -t $T --preload a:b", "Procfile")
    assert found.words == ("-w", "3", "--preload", "a:b")
    assert found.remarks == (
        "-b is left out: Hostler reads PORT itself where server.bind is not set",
        "${N:-3} is taken to be 3",
        "-t is left out, as it depends on $T; set workers.boot_timeout yourself",
    )


def test_file_without_a_command_line_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"^Procfile: no command line of Gunicorn was found in it$"):
        find_command("web: waitress-serve app:app", "Procfile")


def test_imported_file_is_a_configuration_with_comments(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "import os\n\nwsgi_app = 'shop.wsgi'\nbind = '0.0.0.0:80'\nworkers = os.cpu_count() * 0 + 9\nthreads = 2\n"
        "raw_env = ['SECRET=x y']\nlimit_request_line = 4094\nworker_tmp_dir = '/dev/shm'\nspew = True\n\n"
        "def post_fork(server, worker):\n    pass\n",
    )
    imported = import_file(path)
    config = load(tmp_path, imported.toml)
    assert (config.app.target, config.server.bind, config.workers.count) == (
        "shop.wsgi:application",
        ("0.0.0.0:80",),
        9,
    )
    assert (config.workers.threads, config.app.interface, config.limits.body_size) == (2, "wsgi", 0)
    assert dict(config.app.env) == {"SECRET": "x y"}
    assert "# workers was computed: os.cpu_count() * 0 + 9 (gunicorn.conf.py:5)\ncount = 9\n" in imported.toml
    assert "# limit_request_line = 4094 (gunicorn.conf.py:8)\nrequest_line = 4094" in imported.toml
    report = {line.split()[0]: line for line in imported.report}
    assert report["workers"].endswith("  workers.count")
    assert report["spew"].endswith("no equal: Hostler has no trace of every line; use a debugger")
    assert report["worker_tmp_dir"].endswith("not needed: workers need no heartbeat file")
    assert report["post_fork"].endswith("only with `hostler gunicorn`, which runs this file")
    assert not any("x y" in line for line in imported.report)


def test_unit_of_another_machine_is_imported(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[Service]\nEnvironment="GUNICORN_CMD_ARGS=--threads 3"\n'
        "ExecStart=/srv/bin/gunicorn --chdir /srv/shop -c /srv/g.py -D -u www-data a:b\n",
        "shop.service",
    )
    imported = import_file(path)
    assert 'chdir = "/srv/shop"' in imported.toml
    assert "threads = 3" in imported.toml
    assert "/srv/g.py is not here, and so was not read; import it by itself" in imported.report
    assert any(line.startswith("daemon") and "no equal" in line for line in imported.report)
    load(tmp_path, imported.toml)


def test_smallest_file_says_only_what_differs(tmp_path: Path) -> None:
    config = load(tmp_path, import_file(write(tmp_path, "gunicorn a:b", "Procfile")).toml)
    assert (config.server.bind, config.workers.threads) == (Config().server.bind, 1)


def test_unknown_value_on_the_command_line_still_wins_over_the_file(tmp_path: Path) -> None:
    write(tmp_path, "bind = '127.0.0.1:9000'\nworkers = 2")
    imported = import_file(write(tmp_path, "web: gunicorn a:b -b 0.0.0.0:$PORT", "Procfile"))
    assert "bind" not in imported.toml
    assert "count = 2" in imported.toml


def test_comment_tells_a_default_from_what_was_given(tmp_path: Path) -> None:
    default = import_file(write(tmp_path, "gunicorn a:b", "Procfile")).toml
    assert "# Gunicorn's default; more threads if the application is safe in them\nthreads = 1" in default
    assert "# Gunicorn's default\ninterface" in default
    given = import_file(write(tmp_path, "gunicorn a:b --threads 2 --proxy-protocol", "Procfile"))
    assert "# threads = 2 (--threads)\nthreads = 2" in given.toml
    report = "\n".join(given.report)
    assert re.search(r"^threads = 2 +workers.threads$", report, re.MULTILINE)
    assert re.search(r"^proxy_protocol = 'auto' +server.bind: as", report, re.MULTILINE)


def test_file_without_settings_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "import os\n", "wsgi.py")
    assert import_file(path).report == (f"{path} sets nothing that Gunicorn knows",)


def test_names_are_located_with_what_they_are_set_to() -> None:
    places = locate_names(
        "a = 1\nif a:\n    b: int = f(a)\nelse:\n    b = 2\nc = a, 2\ntry:\n    import d\nexcept E:\n    d = 3\n"
    )
    assert {name: (place.line, place.is_literal) for name, place in places.items()} == {
        "a": (1, True), "b": (5, True), "c": (6, False), "d": (10, True),
    }  # fmt: skip


def test_command_writes_a_new_file_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = write(tmp_path, "workers = 3"), tmp_path / "hostler.toml"
    assert main(["import", str(path)]) == 0
    printed = capsys.readouterr()
    assert "count = 3" in printed.out
    assert "workers = 3" in printed.err
    assert main(["import", str(path), "--output", str(target)]) == 0
    assert target.read_text() == printed.out
    capsys.readouterr()
    assert main(["import", str(path), "--output", str(target)]) == 2
    assert capsys.readouterr().err == f"hostler: {target} exists; remove it, or name another with --output\n"
    assert main(["import", str(tmp_path / "none")]) == 2
