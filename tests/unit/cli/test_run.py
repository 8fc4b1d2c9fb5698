"""What `hostler run` hands to the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.cli.arguments import parse_arguments
from hostler.cli.run import prepare
from hostler.errors import ApplicationError, ConfigurationError

GOOD = "def app(environ, start_response):\n    return []\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "WEB_CONCURRENCY", "FLASK_APP", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_reload_reads_the_file_again(project: Path) -> None:
    file = project / "hostler.toml"
    file.write_text("[workers]\ncount = 2\n", encoding="utf-8")
    load = prepare(parse_arguments("run", ["app:app"])).load
    assert load().workers.count == 2
    file.write_text("[workers]\ncount = 3\n", encoding="utf-8")
    assert load().workers.count == 3
    file.write_text("[workers]\ncount = 0\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"hostler\.toml:2"):
        load()


def test_reload_finds_the_file_from_any_directory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "hostler.toml").write_text("[workers]\ncount = 2\n", encoding="utf-8")
    load = prepare(parse_arguments("run", ["app:app"])).load
    load()
    monkeypatch.chdir("/")
    config = load()
    assert (config.workers.count, config.app.chdir) == (2, str(project))


def test_recognised_application_stays_while_its_file_is_being_edited(project: Path) -> None:
    (project / "app.py").write_text(GOOD, encoding="utf-8")
    load = prepare(parse_arguments("run", [])).load
    assert load().app.target == "app:app"
    (project / "app.py").write_text("def (", encoding="utf-8")
    assert load().app.target == "app:app"


def test_module_with_a_name_like_a_command_may_be_served(project: Path) -> None:
    (project / "checks.py").write_text(GOOD, encoding="utf-8")
    load = prepare(parse_arguments("run", ["checks"])).load
    assert load().app.target == "checks"


def test_nothing_to_serve_is_an_error_of_the_application() -> None:
    with pytest.raises(ApplicationError, match="no application was named"):
        prepare(parse_arguments("run", []))


def test_framework_of_a_recognised_application_is_known(project: Path) -> None:
    (project / "app.py").write_text("from flask import Flask\napp = Flask('x')\n", encoding="utf-8")
    assert prepare(parse_arguments("run", [])).framework == "Flask"
    assert prepare(parse_arguments("run", ["app:app"])).framework == ""


def test_choice_between_interfaces_is_explained(project: Path) -> None:
    (project / "manage.py").write_text("import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings'\n")
    (project / "shop").mkdir()
    for name in ("settings.py", "wsgi.py", "asgi.py"):
        (project / "shop" / name).write_text("")
    prepared = prepare(parse_arguments("run", []))
    assert prepared.framework == "Django, WSGI; for ASGI name shop.asgi:application"
    assert prepared.loaded.config.app.target == "shop.wsgi:application"
