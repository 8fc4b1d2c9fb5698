"""Loading an application in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hostler.app.probe import Report, probe_application
from hostler.errors import ApplicationError

GOOD = "def app(environ, start_response):\n    return []\n"


def probe(directory: Path, source: str, *, timeout: float = 30.0, extra: Mapping[str, str] | None = None) -> Report:
    (directory / "probed.py").write_text(source, encoding="utf-8")
    environ = {**os.environ, **(extra or {}), "PYTHONDONTWRITEBYTECODE": "1"}
    return probe_application("probed:app", directory=str(directory), python_path=(), environ=environ, timeout=timeout)


def test_application_is_described(tmp_path: Path) -> None:
    assert probe(tmp_path, GOOD) == Report(kind="probed.app", versions={}, interface="wsgi")


def test_application_of_asgi_2_is_described_as_itself(tmp_path: Path) -> None:
    source = "class app:\n    def __init__(self, scope): 0\n    async def __call__(self, receive, send): 0\n"
    assert probe(tmp_path, source) == Report(kind="probed.app", versions={}, interface="asgi")


def test_prints_and_threads_of_the_application_do_not_matter(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = "import threading\nprint('noise')\nthreading.Thread(target=threading.Event().wait).start()\n" + GOOD
    assert probe(tmp_path, source).kind == "probed.app"
    assert capfd.readouterr().out == ""


def test_environment_is_what_is_given(tmp_path: Path) -> None:
    source = "import os\nassert os.environ['COLOUR'] == 'red'\n" + GOOD
    assert probe(tmp_path, source, extra={"COLOUR": "red"}).kind == "probed.app"


def test_error_comes_back_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ApplicationError) as caught:
        probe(tmp_path, "1 / 0")
    assert "ZeroDivisionError: division by zero (probed.py:1)" in str(caught.value)
    assert "1 / 0" in (caught.value.details or "")


def test_application_that_ends_its_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(ApplicationError, match=r"ended the process that loaded it \(status 9\)"):
        probe(tmp_path, "import os\nos._exit(9)")


def test_application_that_never_loads_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(ApplicationError, match=r"was not loaded within 0\.2 seconds"):
        probe(tmp_path, "import threading\nthreading.Event().wait()", timeout=0.2)


def test_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(ApplicationError, match="cannot change to the directory"):
        probe_application("x", directory=str(tmp_path / "none"), python_path=(), environ=dict(os.environ), timeout=30.0)
