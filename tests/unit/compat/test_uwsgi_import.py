"""Importing a uWSGI configuration: the file that is written, and the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.cli.import_ import import_file as import_any
from hostler.cli.main import main
from hostler.compat.uwsgi.document import import_file
from hostler.config import Config, Sources, load_config
from hostler.errors import ConfigurationError
from tests.unit.compat.uwsgi import write

INI = """\
[uwsgi]
project = shop
module = %(project).wsgi
http-socket = :8000
socket = /run/shop.sock
chmod-socket = 660
master = true
processes = 4
threads = 2
env = SECRET=x y
die-on-term = true
touch-reload = /run/shop.touch
master-fifo = /run/shop.fifo
route = ^/old redirect:/new
static-map = /static=/srv/static
home = /srv/venv
logto = /var/log/shop.log
"""


def load(directory: Path, toml: str) -> Config:
    (directory / "hostler.toml").write_text(toml)
    return load_config(Sources(directory=directory)).config


def test_imported_file_is_a_configuration_with_comments(tmp_path: Path) -> None:
    imported = import_file(write(tmp_path, INI))
    config = load(tmp_path, imported.toml)
    assert (config.app.target, config.workers.count, config.workers.threads) == ("shop.wsgi:application", 4, 2)
    assert config.server.bind == ("unix:/run/shop.sock?mode=660&protocol=uwsgi", ":8000")
    assert (dict(config.app.env), config.app.preload, config.limits.body_size) == ({"SECRET": "x y"}, True, 0)
    assert (config.log.access, config.log.access_format) == ("/var/log/shop.log", "combined")
    assert "# processes = 4 (app.ini:8)\ncount = 4\n" in imported.toml
    assert "# socket = /run/shop.sock (app.ini:5), http-socket = :8000 (app.ini:4)\nbind = [" in imported.toml
    assert "# uWSGI loads the application once, unless lazy-apps is set\npreload = true\n" in imported.toml
    report = {line.split(" ")[0]: " ".join(line.split()) for line in imported.report}
    assert report["processes"].endswith("workers.count")
    assert report["env"] == "env app.env"
    assert report["master"].endswith("not needed: there always is a supervisor")
    assert report["die-on-term"].endswith("not needed: SIGTERM drains and ends")
    assert report["touch-reload"].endswith("reload.touch")
    assert report["master-fifo"].endswith("no option: use `hostler reload` and its like")
    assert report["static-map"].endswith("planned: static files come later; let nginx serve them, or WhiteNoise")
    assert "refused: internal routing comes later" in report["route"]
    assert "it must be a virtual environment" in report["home"]
    assert "project" not in report


@pytest.mark.parametrize(
    "name,text",
    [
        ("app.xml", "<uwsgi><module>shop</module><processes>3</processes></uwsgi>"),
        ("app.yaml", "uwsgi:\n  module: shop\n  processes: 3\n"),
        ("app.yml", "uwsgi:\n  module: shop\n  processes: 3\n"),
        ("app.json", '{"uwsgi": {"module": "shop", "processes": 3}}'),
    ],
)
def test_every_format_is_imported(tmp_path: Path, name: str, text: str) -> None:
    config = load(tmp_path, import_file(write(tmp_path, text, name)).toml)
    assert (config.app.target, config.workers.count) == ("shop:application", 3)


def test_section_is_imported(tmp_path: Path) -> None:
    write(tmp_path, "[uwsgi]\nprocesses = 2\n[big]\nprocesses = 9\n")
    assert "count = 9\n" in import_file(tmp_path / "app.ini:big").toml


def test_what_is_not_here_is_told(tmp_path: Path) -> None:
    write(tmp_path, "[uwsgi]\ninclude = base.ini\nprocesses = %k\nprocname = @(name.txt)\n")
    imported = import_file(tmp_path / "app.ini")
    assert imported.report[-3:] == (
        "base.ini is not here, and so was not read (app.ini:2)",
        "name.txt is not here, and so was not read (app.ini:4)",
        '%k is taken to be 1; for as many workers as there are cores write count = "auto"',
    )


def test_file_without_options_of_uwsgi_says_so(tmp_path: Path) -> None:
    assert import_file(write(tmp_path, "[other]\nx = 1\n")).report[-1].endswith("sets nothing that uWSGI knows")


def test_command_tells_the_kinds_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, INI)
    assert main(["import", str(tmp_path / "app.ini"), "--output", str(tmp_path / "hostler.toml")]) == 0
    assert "workers.count" in capsys.readouterr().err
    write(tmp_path, "web: gunicorn shop:app\n", "Procfile")
    assert main(["import", str(tmp_path / "Procfile")]) == 0
    assert 'target = "shop:app"' in capsys.readouterr().out
    write(tmp_path, "services:\n  web:\n    command: gunicorn shop:app\n", "compose.yaml")
    assert main(["import", str(tmp_path / "compose.yaml")]) == 0
    assert 'target = "shop:app"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "name,text",
    [
        ("Procfile", "release: pip install uwsgi\nweb: uwsgi --http-socket :80 -w shop -p ${WORKERS:-3} --env A=$B\n"),
        ("Dockerfile", 'RUN pip install uwsgi\nCMD ["uwsgi", "--http-socket", ":80", "-w", "shop", "-p3"]\n'),
        ("shop.service", "[Service]\nExecStart=/usr/bin/uwsgi --http-socket=:80 \\\n  --module shop --processes 3\n"),
        ("docker-compose.yml", "services:\n  web:\n    command: uwsgi --http-socket :80 -w shop -p 3\n"),
        ("shop.service", "[Service]\nExecStart=/usr/bin/uwsgi --ini shop.ini\n"),
    ],
)
def test_command_line_is_imported(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, "[uwsgi]\nhttp-socket = :80\nmodule = shop\nprocesses = 3\n", "shop.ini")
    imported = import_any(write(tmp_path, text, name))
    config = load(tmp_path, imported.toml)
    assert (config.app.target, config.server.bind, config.workers.count) == ("shop:application", (":80",), 3)
    if name == "Procfile":
        assert imported.report[-2:] == ("${WORKERS:-3} is taken to be 3", "--env is left out, as it depends on $B")


def test_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"app\.xml:1: not XML"):
        import_file(write(tmp_path, "<uwsgi", "app.xml"))
