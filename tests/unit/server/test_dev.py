"""The development server's parts: restricted addresses, the failure page, the request log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from hostler.config import Config
from hostler.contracts import WsgiApplication
from hostler.errors import ApplicationError
from hostler.server.dev import adapt_config, adapt_explicit, load_for_development, restrict_to_loopback
from hostler.server.dev_failure import FailurePage, render_failure
from hostler.server.dev_log import LineWriter, RequestLog
from hostler.server.dev_page import TOKEN_HEADER, render_page


@pytest.mark.parametrize(
    "bind,restricted",
    [
        (("127.0.0.1:8000",), ("127.0.0.1:8000",)),
        (("0.0.0.0:5000",), ("127.0.0.1:5000",)),
        ((":5000", "[::]:5000"), ("127.0.0.1:5000",)),
        (("10.1.2.3:80", "[::1]:81"), ("127.0.0.1:80", "[::1]:81")),
        (("example.org:80",), ("127.0.0.1:80",)),
        (("unix:/run/x.sock", "fd://3", "8001"), ("unix:/run/x.sock", "fd://3", "8001")),
    ],
)
def test_other_machines_are_kept_out(bind: tuple[str, ...], restricted: tuple[str, ...]) -> None:
    assert restrict_to_loopback(bind) == restricted


def test_configuration_is_turned_into_one_for_development() -> None:
    config = Config()
    config = replace(
        config,
        app=replace(config.app, preload=True),
        server=replace(config.server, bind=("0.0.0.0:80",)),
        workers=replace(config.workers, count="auto", max_requests=5, threads=7),
    )
    adapted = adapt_config(config)
    assert (adapted.workers.count, adapted.workers.max_requests, adapted.workers.threads) == (1, 0, 7)
    assert not adapted.app.preload
    assert adapted.server.graceful_timeout <= 3
    assert adapted.server.bind == ("127.0.0.1:80",)
    assert adapt_explicit(config).server.bind == ("0.0.0.0:80",)


class Collector:
    """A start_response that remembers."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> str:
        self.status, self.headers = status, dict(headers)
        return "write"


def show(target: str) -> tuple[Collector, str]:
    loaded = load_for_development(target)
    assert loaded.interface == "wsgi"
    return call(cast("WsgiApplication", loaded.application))


def call(application: WsgiApplication, method: str = "GET") -> tuple[Collector, str]:
    collector = Collector()
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": "/x", "QUERY_STRING": ""}
    return collector, b"".join(application(environ, collector)).decode()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    logging.getLogger("hostler").handlers.clear()


def test_application_that_cannot_be_loaded_is_shown_escaped_with_its_source(project: Path) -> None:
    (project / "devbad1.py").write_text("x = '<b>'\nraise ValueError('<script>' + x)\n", encoding="utf-8")
    answer, page = show("devbad1:app")
    assert answer.status == "500 Internal Server Error"
    assert answer.headers["Content-Length"] == str(len(page.encode()))
    assert "ValueError: &lt;script&gt;&lt;b&gt;" in page
    assert "<b>    2  raise ValueError(&#x27;&lt;script&gt;&#x27; + x)" in page
    assert "<script>" in page
    assert "<script>" not in page.replace("<script>\nsetInterval", "")
    assert "loading.py" not in page


def test_failure_page_reloads_when_another_token_answers(project: Path) -> None:
    tokens = set()
    for text in ("1/0", "1/0 # again", "[][0]"):
        (project / "devbad2.py").write_text(text, encoding="utf-8")
        answer, page = show("devbad2.py")
        token = answer.headers[TOKEN_HEADER]
        assert f'"{token}")location.reload()' in page
        tokens.add(token)
    assert len(tokens) == 3


def test_failure_page_has_no_body_for_head() -> None:
    answer, page = call(FailurePage(ApplicationError("no")), "HEAD")
    assert page == ""
    assert int(answer.headers["Content-Length"]) > 0


def test_syntax_error_is_shown_where_it_is(project: Path) -> None:
    (project / "devbad3.py").write_text("a = 1\nb = (\n", encoding="utf-8")
    _, page = show("devbad3:app")
    assert "devbad3.py:2" in page
    assert "<b>    2  b = (" in page


def test_missing_module_has_a_page_without_traceback(project: Path) -> None:
    _, page = show("no_such_module_here:app")
    assert "there is no module &quot;no_such_module_here&quot;" in page
    assert "<section>" not in page


def test_failed_request_is_shown_with_its_causes() -> None:
    failure = RuntimeError("<outer>")
    failure.__cause__ = KeyError("inner")
    page = render_failure(failure, {"id": "r1", "method": "GET", "path": "/<x>"}).decode()
    assert "RuntimeError: &lt;outer&gt;" in page
    assert "caused by KeyError: &#x27;inner&#x27;" in page
    assert "request: GET /&lt;x&gt;" in page
    assert "id: r1" in page
    assert "setInterval" not in page


def test_notes_of_an_exception_are_shown_under_its_name() -> None:
    failure = RuntimeError("no hay")
    failure.add_note("the loft is <empty>")
    page = render_failure(failure, {}).decode()
    assert "<h1>RuntimeError: no hay</h1>" in page
    assert "<p>the loft is &lt;empty&gt;</p>" in page


def test_page_survives_an_exception_that_cannot_be_written() -> None:
    class UnwritableError(Exception):
        def __str__(self) -> str:
            raise ValueError

    with pytest.raises(UnwritableError) as caught:
        raise UnwritableError
    assert b"UnwritableError" in render_failure(caught.value, {})


def test_endless_recursion_has_a_page_of_bounded_size() -> None:
    def recurse() -> None:
        recurse()

    with pytest.raises(RecursionError) as caught:
        recurse()
    page = render_page("x", caught.value, {})
    assert b"frames left out" in page
    assert len(page) < 200_000


class Steps:
    """A clock that moves a quarter of a second each time it is read."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 0.25
        return self.time


def log_request(path: str, query: str = "", status: str = "200 OK", *, is_coloured: bool = False) -> str:
    lines: list[str] = []

    def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, [])
        return []

    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/app", "PATH_INFO": path, "QUERY_STRING": query}
    RequestLog(application, LineWriter(Steps(), lines.append, is_coloured))(environ, Collector())
    (line,) = lines
    return line


def test_request_is_a_line() -> None:
    assert log_request("/a", "b=c") == "GET    200   250.0 ms  /app/a?b=c\n"


def test_line_is_coloured_by_status() -> None:
    assert "\x1b[32m200\x1b[0m" in log_request("/", is_coloured=True)
    assert "\x1b[31m503\x1b[0m" in log_request("/", status="503 Busy", is_coloured=True)


def test_path_cannot_write_to_the_terminal() -> None:
    line = log_request("/\x1b[2J\n\u00c3\u00a4")
    assert "\x1b" not in line
    assert line.endswith("/app/\\x1b[2J\\x0aä\n")


def test_application_that_fails_after_starting_its_response_is_a_500() -> None:
    lines: list[str] = []

    def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        raise RuntimeError("the shop is closed")

    with pytest.raises(RuntimeError, match="closed"):
        RequestLog(application, LineWriter(Steps(), lines.append))(
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, Collector()
        )
    assert [line.split()[:2] for line in lines] == [["GET", "500"]]


def test_response_that_starts_while_its_result_is_iterated_is_a_line() -> None:
    lines: list[str] = []

    def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("201 Created", [])
        yield b"x"

    result = RequestLog(application, LineWriter(Steps(), lines.append))(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, Collector()
    )
    assert lines == []
    assert list(result) == [b"x"]
    assert [line.split()[:2] for line in lines] == [["GET", "201"]]


def test_result_of_the_application_passes_untouched() -> None:
    result = iter([b"x"])
    wrapped = RequestLog(lambda _environ, _start: result, LineWriter(Steps(), lambda _line: None))
    assert wrapped({}, Collector()) is result


def test_exc_info_reaches_the_server() -> None:
    received: list[Any] = []

    def start_response(*arguments: object) -> str:
        received.append(arguments)
        return "write"

    def application(_environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        assert start("500 X", [], ("type", "value", "trace")) == "write"
        return []

    RequestLog(application, LineWriter(Steps(), lambda _line: None))({}, start_response)
    assert received == [("500 X", [], ("type", "value", "trace"))]
