"""Which event loop an ASGI worker runs in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from hostler.errors import ConfigurationError
from hostler.worker.loop import describe_loop, make_loop, name_loop


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with factories."""
    (tmp_path / "loopfactories.py").write_text(
        "import asyncio\n"
        "class Own(asyncio.SelectorEventLoop): pass\n"
        "class holder:\n    make = Own\n"
        "def wrong(): return 3\n"
        "def failing(): raise OSError('no descriptors')\n"
        "number = 3\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "loopfactories"


@pytest.mark.parametrize("choice,name", [("asyncio", "asyncio"), ("uvloop", "uvloop"), ("auto", "uvloop")])
def test_loop_is_made_and_named(choice: str, name: str) -> None:
    assert describe_loop(choice) == name
    loop = make_loop(choice)
    assert name_loop(loop) == name
    loop.close()


def test_loop_may_be_somebody_elses(module: str) -> None:
    for choice in (f"{module}:Own", f"{module}:holder.make", "uvloop:new_event_loop"):
        assert describe_loop(choice) == choice
        loop = make_loop(choice)
        assert isinstance(loop, asyncio.AbstractEventLoop)
        loop.close()


def hide_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)


def test_asyncio_stands_in_where_uvloop_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_uvloop(monkeypatch)
    loop = make_loop("auto")
    assert name_loop(loop) == "asyncio"
    loop.close()


def test_uvloop_that_is_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_uvloop(monkeypatch)
    with pytest.raises(ConfigurationError, match=r"install hostler\[uvloop\]"):
        make_loop("uvloop")


@pytest.mark.parametrize(
    "attribute,expected",
    [
        ("wrong", 'workers.loop is "{}:wrong", which made an object of type int; it must make an event loop'),
        ("failing", 'workers.loop is "{}:failing", which failed: OSError: no descriptors'),
        ("number", 'workers.loop is "{}:number", which is no factory: it cannot be called'),
        (
            "none",
            "workers.loop is \"{0}:none\", which is not there: module '{0}' has no attribute 'none'",
        ),
    ],
)
def test_factory_that_makes_no_loop_is_told(module: str, attribute: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_loop(f"{module}:{attribute}")
    assert str(caught.value) == expected.format(module)


def test_factory_in_no_module_is_told() -> None:
    with pytest.raises(ConfigurationError, match="which is not there: No module named 'no_such_loops'"):
        make_loop("no_such_loops:new")


@pytest.mark.parametrize("choice", ["asyncio", "uvloop"])
def test_debug_mode_is_what_the_environment_says(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, is_debug in (("1", True), ("", False)):
        monkeypatch.setenv("PYTHONASYNCIODEBUG", value)
        loop = make_loop(choice)
        assert loop.get_debug() == is_debug
        loop.close()


def test_policy_of_the_application_is_followed_where_uvloop_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_uvloop(monkeypatch)
    monkeypatch.setattr(asyncio, "new_event_loop", uvloop.new_event_loop)
    loop = make_loop("auto")
    assert name_loop(loop) == "uvloop"
    loop.close()


def test_nothing_but_an_asgi_worker_imports_a_loop() -> None:
    modules = "hostler.worker.role, hostler.worker.wsgi, hostler.worker.loop, hostler.worker.forkserver, hostler.server"
    code = f"import sys, {modules}\nprint(sorted({{'asyncio', 'uvloop', 'concurrent.futures'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
