"""Loading applications, and the sentences that say why one cannot be loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from hostler.app import Choice, load_application
from hostler.contracts import WsgiApplication
from hostler.errors import ApplicationError

GOOD = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """A project directory that is the current one and on the import path; its modules are forgotten afterwards."""

    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield write_file
    for name in set(sys.modules) - before:
        del sys.modules[name]


def serve(target: str) -> bytes:
    loaded = load_application(target)
    assert loaded.interface == "wsgi"
    return b"".join(cast("WsgiApplication", loaded.application)({}, lambda *_: None))


def explain(target: str) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        load_application(target)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("target", ["site1:app", "site1", "site1.py", "site1.py:app", "./site1.py"])
def test_application_is_found_in_each_form(write: Write, target: str) -> None:
    write("site1.py", GOOD)
    assert serve(target) == b"hello"


def test_module_alone_has_application_under_its_second_name(write: Write) -> None:
    write("site2.py", GOOD.replace("app(", "application("))
    assert serve("site2") == b"hello"


def test_module_alone_has_a_factory(write: Write) -> None:
    write("site3.py", GOOD.replace("def app", "def inner") + "def create_app():\n    return inner\n")
    assert serve("site3") == b"hello"


def test_submodule_called_app_is_not_taken_for_the_application(write: Write) -> None:
    write("pkg1/__init__.py", "from pkg1 import app\n" + GOOD.replace("app(", "application("))
    write("pkg1/app.py", "")
    assert serve("pkg1") == b"hello"


def test_factory_gets_its_arguments(write: Write) -> None:
    write("site4.py", "def make(word, times=1):\n    return lambda e, s: [word.encode() * times]\n")
    assert serve("site4:make('ab', times=2)") == b"abab"


def test_attribute_may_be_inside_an_object(write: Write) -> None:
    write("site5.py", GOOD + "class holder:\n    wsgi = staticmethod(app)\n")
    assert serve("site5:holder.wsgi") == b"hello"


def test_file_in_a_package_may_import_relatively(write: Write) -> None:
    write("src/pkg2/__init__.py", "")
    write("src/pkg2/core.py", GOOD)
    write("src/pkg2/wsgi.py", "from .core import app\n")
    assert serve("src/pkg2/wsgi.py") == b"hello"


def test_package_entrance_may_be_named_as_a_file(write: Write) -> None:
    write("src/pkg3/__init__.py", "from .core import app\n")
    write("src/pkg3/core.py", GOOD)
    assert serve("src/pkg3/__init__.py:app") == b"hello"


def test_file_with_a_name_that_is_no_identifier_is_loaded(write: Write) -> None:
    write("my-site.wsgi", GOOD)
    assert serve("my-site.wsgi") == b"hello"


def test_file_beside_a_loaded_file_can_be_imported(write: Write) -> None:
    write("deep/neighbour1.py", GOOD)
    write("deep/entry1.py", "from neighbour1 import app\n")
    assert serve("deep/entry1.py") == b"hello"


def test_class_and_callable_object_are_applications(write: Write) -> None:
    write(
        "site6.py",
        "class Site:\n    def __init__(self, environ=None, start_response=None): pass\n"
        "    def __iter__(self): return iter([b'made'])\n    def __call__(self, e, s): return [b'called']\n"
        "site = Site()\n",
    )
    assert serve("site6:Site") == b"made"
    assert serve("site6:site") == b"called"


@pytest.mark.parametrize(
    "target,expected",
    [
        ("good1:ap", '"good1:ap": module "good1" has no "ap"; did you mean "app"?'),
        ("good1:zzz", '"good1:zzz": module "good1" has no "zzz"; it has "app"'),
        ("good1:app.x", '"good1:app.x": "app" has no "x"; name the object that is the application'),
        ("good1:number", '"good1:number": that is an object of type int, not an application (a callable)'),
        ("good1:nothing", '"good1:nothing": that is None, not an application (a callable)'),
        ("good1:sys", '"good1:sys": that is the module "sys", not an application (a callable)'),
        (
            "good1:make",
            (
                '"good1:make": that is the function make, which takes no arguments; '
                'it looks like a factory; write "good1:make()"'
            ),
        ),
        (
            "good1:one",
            (
                '"good1:one": that is the function one, which takes one argument; WSGI calls an application with '
                "environ and start_response, ASGI with scope, receive and send; "
                "if it is an ASGI 2 application, say --interface asgi2"
            ),
        ),
        (
            "good1:two",
            (
                '"good1:two": that is the function two, whose arguments fit no interface; WSGI calls an application '
                "with environ and start_response, ASGI with scope, receive and send"
            ),
        ),
        (
            "good1:amake",
            (
                '"good1:amake": that is the function amake, a coroutine function without arguments; '
                "a factory must be an ordinary function"
            ),
        ),
        (
            "good1:any",
            (
                '"good1:any": that is the function any, which does not tell how it is called; '
                "say so with --interface asgi, asgi2 or wsgi, "
                "or wrap it in a function with the arguments of one of them"
            ),
        ),
        ("good1:make(1)", '"good1:make(1)": the factory cannot be called like this: too many positional arguments'),
        (
            "good1:number()",
            '"good1:number()": that is an object of type int, which cannot be called; leave out the parentheses',
        ),
        ("good1:make_none()", '"good1:make_none()": the factory gave None, not an application (a callable)'),
        (
            "good1.part",
            '"good1.part": good1 has no module "part": good1 is a single file; name what is in it as "good1:part"',
        ),
        ("pack1.viwes", '"pack1.viwes": pack1 has no module "viwes"; did you mean "pack1.views"?'),
        (
            "bare1",
            '"bare1": the module has none of app, application, create_app(); name the application as "bare1:NAME"',
        ),
        ("good1.pyy/x.py", None),
        ("godo1.py", '"godo1.py": there is no file "godo1.py"; did you mean "good1.py"?'),
        ("pack1/", '"pack1/" is a directory; name the file in it that makes the application'),
    ],
)
def test_reason_is_told_with_a_remedy(write: Write, target: str, expected: str | None) -> None:
    write(
        "good1.py",
        GOOD
        + "import sys\nnumber = 3\nnothing = None\ndef make(): return app\ndef make_none(): pass\ndef one(x): pass\n"
        "def two(a, b, c, d): pass\nasync def amake(): pass\ndef any(*args): pass\n",
    )
    write("pack1/__init__.py", "")
    write("pack1/views.py", GOOD)
    write("bare1.py", "")
    error = explain(target)
    if expected is not None:
        assert str(error) == expected
    assert error.details is None


@pytest.mark.parametrize(
    "source,interface",
    [
        ("async def app(scope, receive, send): pass", "asgi"),
        ("class A:\n  async def __call__(self, a, b, c): 0\napp = A()", "asgi"),
        ("class app:\n  def __init__(self, scope): 0\n  async def __call__(self, a, b): 0", "asgi"),
        (GOOD, "wsgi"),
    ],
)
def test_interface_is_found_out(write: Write, source: str, interface: str) -> None:
    write("face1.py", source)
    assert load_application("face1:app").interface == interface


@pytest.mark.parametrize("choice,interface", [("asgi", "asgi"), ("asgi2", "asgi"), ("wsgi", "wsgi")])
def test_interface_that_was_asked_for_is_taken(write: Write, choice: Choice, interface: str) -> None:
    write("face2.py", "def app(*args): return 'called'")
    assert load_application("face2:app", choice).interface == interface


def test_interface_that_was_asked_for_must_be_possible(write: Write) -> None:
    write("face3.py", "def app(one, two): pass")
    with pytest.raises(ApplicationError) as caught:
        load_application("face3:app", "asgi")
    assert str(caught.value) == (
        '"face3:app": that is the function app, which cannot be called with the 3 arguments of --interface asgi'
    )
    with pytest.raises(ApplicationError, match="with the one argument of --interface asgi2"):
        load_application("face3:app", "asgi2")


def test_missing_module_and_missing_import_are_told_apart(write: Write) -> None:
    write("needy1.py", "import nothing_like_this\n")
    missing = explain("nedy1:app")
    assert 'there is no module "nedy1"' in str(missing)
    assert missing.details is None
    needy = explain("needy1:app")
    assert str(needy) == (
        "\"needy1:app\" could not be loaded: ModuleNotFoundError: No module named 'nothing_like_this' (needy1.py:1)"
    )
    assert needy.details is not None


def test_module_that_imports_its_own_missing_part_is_there(write: Write) -> None:
    write("pack2/__init__.py", "import pack2.missing\n")
    error = explain("pack2:app")
    assert "could not be loaded" in str(error)
    assert "pack2/__init__.py:1" in str(error)


def test_missing_module_gets_the_nearest_one(write: Write) -> None:
    write("shopfront.py", GOOD)
    assert 'did you mean "shopfront"?' in str(explain("shopfrnt:app"))


def test_traceback_has_the_frames_of_the_application_only(write: Write) -> None:
    write(
        "broken1.py",
        "def work():\n    return 1 / 0\n\n"
        "try:\n    work()\nexcept ZeroDivisionError as error:\n    raise OSError('no') from error\n",
    )
    error = explain("broken1:app")
    assert str(error) == '"broken1:app" could not be loaded: OSError: no (broken1.py:7)'
    details = error.details or ""
    assert "return 1 / 0" in details
    assert "direct cause" in details
    assert "loading.py" not in details
    assert "importlib" not in details


def test_syntax_error_names_file_and_line(write: Write) -> None:
    write("typo1.py", "x = (\n")
    error = explain("typo1:app")
    assert str(error) == "\"typo1:app\" could not be loaded: SyntaxError: '(' was never closed (typo1.py:1)"


def test_error_of_many_lines_is_told_in_one(write: Write) -> None:
    write("long1.py", f"raise ValueError('a\\nb' + 'x' * {500})\n")
    assert len(str(explain("long1"))) < 300


def test_application_that_exits_is_an_error_of_the_application(write: Write) -> None:
    write("leaver1.py", "raise SystemExit(4)\n")
    assert "ended the program while it was loaded (exit status 4)" in str(explain("leaver1:app"))


def test_factory_that_fails_is_an_error_of_the_application(write: Write) -> None:
    write("factory1.py", "def make():\n    raise KeyError('SECRET')\n")
    error = explain("factory1:make()")
    assert "KeyError: 'SECRET' (factory1.py:2)" in str(error)


def test_failed_file_is_not_left_half_loaded(write: Write) -> None:
    write("half1.py", "x = 1\nraise RuntimeError\n")
    explain("half1.py")
    assert "half1" not in sys.modules
