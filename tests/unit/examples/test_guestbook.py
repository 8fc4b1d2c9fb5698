"""The guestbook, called as any WSGI server would."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from tests.e2e.harness import ROOT

Answer = tuple[str, dict[str, str], bytes]
Write = Callable[[bytes], object]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("GUESTBOOK_DATABASE", str(tmp_path / "book.sqlite3"))
    monkeypatch.syspath_prepend(ROOT / "examples" / "guestbook")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "guestbook"]:
        del sys.modules[name]


def call(path: str, method: str = "GET", body: bytes = b"", **environ: str) -> Answer:
    from guestbook.app import application

    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Write:
        started.append((status, headers))
        return io.BytesIO().write

    request: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "QUERY_STRING": "", "SCRIPT_NAME": ""}
    if body:
        request |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    request |= environ
    setup_testing_defaults(request)
    result: Any = validator(application)(request, start_response)
    try:
        content = b"".join(result)
    finally:
        result.close()
    ((status, headers),) = started
    return status, dict(headers), content


pytestmark = pytest.mark.usefixtures("environment")


@pytest.mark.parametrize("path", ["/", "/api/served", "/static/mark.svg", "/static/stable.js", "/nowhere"])
def test_answers_keep_to_the_specification_and_tell_their_length(path: str) -> None:
    _, headers, content = call(path)
    assert int(headers["Content-Length"]) == len(content)


def test_stream_has_no_length() -> None:
    status, headers, content = call("/stream", QUERY_STRING="lines=2&ms=0")
    assert status == "200 OK"
    assert "Content-Length" not in headers
    assert content.count(b"\n") == 2


@pytest.mark.parametrize("number", ["-1", "1e3", "\u0663", "99999999999", ""])
def test_numbers_that_are_none_fall_back_to_the_default(number: str) -> None:
    from guestbook.app import read_number

    assert read_number({"QUERY_STRING": f"ms={number}"}, "ms", 7, 100) == 7


def test_numbers_have_an_upper_bound() -> None:
    from guestbook.app import read_number

    assert read_number({"QUERY_STRING": "ms=5000"}, "ms", 7, 100) == 100


def test_form_keeps_what_was_typed_when_it_is_refused() -> None:
    status, _, content = call("/", "POST", b"name=Ada&message=")
    assert status.startswith("422")
    assert b'value="Ada"' in content


def test_large_forms_are_refused_unread() -> None:
    status, _, _ = call("/", "POST", b"x", CONTENT_LENGTH="10000000")
    assert status.startswith("413")


def test_redirect_stays_under_the_prefix() -> None:
    _, headers, _ = call("/", "POST", b"name=a&message=b", SCRIPT_NAME="/book")
    assert headers["Location"] == "/book/#entries"


@pytest.mark.parametrize("seconds, text", [(5, "5 s"), (60, "1 minute"), (7200, "2 hours"), (86_400 * 3, "3 days")])
def test_durations_are_told_in_their_largest_unit(seconds: float, text: str) -> None:
    from guestbook.page import describe_duration

    assert describe_duration(seconds) == text


@pytest.mark.parametrize(
    "software, named", [("other/1.2", "other/1.2"), ("pytest", f"pytest/{pytest.__version__}"), ("?", "?")]
)
def test_server_is_named_with_its_version_where_known(software: str, named: str) -> None:
    from guestbook.served import name_server

    assert name_server(software) == named
