"""Recognising the application of a project directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.app import Discovery, discover
from hostler.errors import ApplicationError

MANAGE = """
import os
def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
"""


def lay_out(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


@pytest.mark.parametrize(
    "files,expected",
    [
        ({"app.py": "from flask import Flask\napp = Flask(__name__)"}, Discovery("app:app", "Flask", "app.py")),
        ({"main.py": "import flask as f\nsite = f.Flask(__name__)"}, Discovery("main:site", "Flask", "main.py")),
        (
            {"application.py": "from flask import Flask as F\nwsgi: F = F('x')\napplication = wsgi"},
            Discovery("application:wsgi", "Flask", "application.py"),
        ),
        (
            {"app.py": "from flask import Flask\ndef create_app(name=None):\n    return Flask(__name__)"},
            Discovery("app:create_app()", "Flask", "app.py"),
        ),
        (
            {"blog/__init__.py": "import flask\ndef create_app():\n    app = flask.Flask('x')\n    return app"},
            Discovery("blog:create_app()", "Flask", "blog/__init__.py"),
        ),
        ({"app.py": "import bottle\napp = bottle.default_app()"}, Discovery("app:app", "Bottle", "app.py")),
        ({"app.py": "import falcon\napp = falcon.App()"}, Discovery("app:app", "Falcon", "app.py")),
        (
            {"app.py": "from pyramid.config import Configurator as C\nwith C() as c:\n    app = c.make_wsgi_app()"},
            Discovery("app:app", "Pyramid", "app.py"),
        ),
        (
            {"app.py": "from pyramid.config import Configurator\napp = Configurator().make_wsgi_app()"},
            Discovery("app:app", "Pyramid", "app.py"),
        ),
        ({"app.py": "def app(environ, start_response):\n    pass"}, Discovery("app:app", "WSGI", "app.py")),
        ({"wsgi.py": "from x import make\napplication = make()"}, Discovery("wsgi:application", "WSGI", "wsgi.py")),
        ({"wsgi.py": "from x import web as app"}, Discovery("wsgi:app", "WSGI", "wsgi.py")),
        (
            {"manage.py": MANAGE, "shop/settings.py": "WSGI_APPLICATION = 'shop.entry.application'"},
            Discovery("shop.entry:application", "Django", "manage.py"),
        ),
        (
            {"manage.py": MANAGE, "shop/settings.py": "", "shop/wsgi.py": ""},
            Discovery("shop.wsgi:application", "Django", "manage.py"),
        ),
        (
            {"manage.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'a.b'", "a/wsgi.py": ""},
            Discovery("a.wsgi:application", "Django", "manage.py"),
        ),
        (
            {"app.py": "from flask import Flask\napp = Flask('x')", "wsgi.py": "from app import app"},
            Discovery("wsgi:app", "Flask", "wsgi.py"),
        ),
        (
            {"main.py": "from fastapi import FastAPI\napp = FastAPI()"},
            Discovery("main:app", "FastAPI", "main.py", "asgi"),
        ),
        (
            {"shop/__init__.py": "", "shop/main.py": "import fastapi\nweb = fastapi.FastAPI()"},
            Discovery("shop.main:web", "FastAPI", "shop/main.py", "asgi"),
        ),
        (
            {"app.py": "from starlette.applications import Starlette\napp: Starlette = Starlette()"},
            Discovery("app:app", "Starlette", "app.py", "asgi"),
        ),
        (
            {"app.py": "from litestar import Litestar\ndef create_app():\n    return Litestar([])"},
            Discovery("app:create_app()", "Litestar", "app.py", "asgi"),
        ),
        (
            {"app.py": "from quart import Quart\napp = Quart(__name__)"},
            Discovery("app:app", "Quart", "app.py", "asgi"),
        ),
        (
            {"app.py": "async def app(scope, receive, send):\n    pass"},
            Discovery("app:app", "ASGI", "app.py", "asgi"),
        ),
        (
            {"asgi.py": "from x import make\napplication = make()", "app.py": "import quart\napp = quart.Quart('x')"},
            Discovery("asgi:application", "Quart", "asgi.py", "asgi"),
        ),
        (
            {"manage.py": MANAGE, "shop/settings.py": "", "shop/wsgi.py": "", "shop/asgi.py": ""},
            Discovery(
                "shop.wsgi:application", "Django", "manage.py", "wsgi", "WSGI; for ASGI name shop.asgi:application"
            ),
        ),
        (
            {"manage.py": MANAGE, "shop/settings.py": "", "shop/asgi.py": ""},
            Discovery("shop.asgi:application", "Django", "manage.py", "asgi"),
        ),
        (
            {
                "manage.py": MANAGE,
                "shop/settings.py": "WSGI_APPLICATION = 'shop.wsgi.application'",
                "shop/wsgi.py": "",
                "shop/asgi.py": "from channels.routing import ProtocolTypeRouter",
            },
            Discovery(
                "shop.asgi:application", "Django", "manage.py", "asgi", "ASGI because shop/asgi.py uses Channels"
            ),
        ),
        (
            {
                "manage.py": MANAGE,
                "shop/settings.py": "INSTALLED_APPS = ['daphne', 'shop']\nASGI_APPLICATION = 'shop.live.application'",
                "shop/wsgi.py": "",
            },
            Discovery(
                "shop.live:application", "Django", "manage.py", "asgi", "ASGI because the settings install Channels"
            ),
        ),
        (
            {
                "manage.py": MANAGE,
                "shop/settings.py": "ASGI_APPLICATION = 'shop.asgi.application'",
                "shop/wsgi.py": "",
            },
            Discovery(
                "shop.asgi:application",
                "Django",
                "manage.py",
                "asgi",
                "ASGI because the settings name ASGI_APPLICATION only",
            ),
        ),
        (
            {"app.py": "from flask import Flask\nif True:\n    app = Flask('x')\nelse:\n    pass\nother = Flask('y')"},
            Discovery("app:app", "Flask", "app.py"),
        ),
    ],
)
def test_project_is_recognised(tmp_path: Path, files: dict[str, str], expected: Discovery) -> None:
    assert discover(lay_out(tmp_path, files)) == expected


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"readme.txt": "app = Flask()"},
        {"broken.py": "app = Flask("},
        {"test_app.py": "from flask import Flask\napp = Flask('x')"},
        {"app.py": "if __name__ == '__main__':\n    from flask import Flask\n    app = Flask('x')"},
        {"app.py": "from flask import Flask\ndef create_app(settings):\n    return Flask('x')"},
        {"app.py": "x = 1"},
        {"manage.py": "print('not of Django')"},
    ],
)
def test_nothing_like_an_application_is_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    assert discover(lay_out(tmp_path, files)) is None


def test_missing_directory_is_nothing(tmp_path: Path) -> None:
    assert discover(tmp_path / "none") is None


def test_two_equal_candidates_are_listed_and_not_guessed(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{name}.py": "from flask import Flask\nsite = Flask('x')" for name in ("main", "other")})
    with pytest.raises(ApplicationError) as caught:
        discover(tmp_path)
    assert str(caught.value) == (
        'several applications were found: main:site (Flask), other:site (Flask); name one, such as "hostler main:site"'
    )


def test_wsgi_goes_before_asgi_beside_it(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {
            "asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()",
            "wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()",
        },
    )
    assert discover(tmp_path) == Discovery("wsgi:application", "Django", "wsgi.py")


def test_variables_of_frameworks_are_believed(tmp_path: Path) -> None:
    assert discover(tmp_path, {"FLASK_APP": "hello:web"}) == Discovery("hello:web", "Flask", "FLASK_APP")
    assert discover(tmp_path, {"QUART_APP": "hello:web"}) == Discovery("hello:web", "Quart", "QUART_APP", "asgi")
    found = discover(tmp_path, {"DJANGO_SETTINGS_MODULE": "a.settings"})
    assert found is not None
    assert (found.target, found.framework) == ("django.core.wsgi:get_wsgi_application()", "Django")


def test_nothing_of_the_project_is_run(tmp_path: Path) -> None:
    lay_out(tmp_path, {"app.py": "open('ran', 'w')\nfrom flask import Flask\napp = Flask('x')"})
    assert discover(str(tmp_path)) is not None
    assert not (tmp_path / "ran").exists()
