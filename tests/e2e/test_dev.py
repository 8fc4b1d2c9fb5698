"""`hostler dev` as a whole: files are edited, pages are asked for, keys are pressed."""

from __future__ import annotations

import html
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import FindPeer
from tests.e2e.harness import (
    RunningServer,
    ServerError,
    StartServer,
    Transcript,
    free_port,
    wait_process_end,
    wait_until,
)
from tests.e2e.terminal import INTERRUPT, Terminal, list_session
from tests.interop.chromium import Browser

APP = """\
import os

GREETING = "one"


def app(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        fail(environ)
    if environ["PATH_INFO"] == "/late":
        return fail_late(start_response)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{GREETING} {os.environ.get('COLOUR', '-')} {environ['wsgi.multithread']}".encode()]


def fail(environ):
    try:
        {}["<script>alert(1)</script>"]
    except KeyError as error:
        raise ValueError("no <b>horse</b> & no cart") from error


def fail_late(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    raise RuntimeError("before the first byte")
    yield b""
"""
# Each is longer or shorter than the text it replaces, so that no time stamp needs to differ.
BROKEN = "def broken(:  # <i>not</i> Python\n"
HTML = "text/html; charset=utf-8"
ESCAPE = "\x1b["


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "shop.py").write_text(APP)
    return directory


@pytest.fixture
def dev(hostler_server: StartServer, project: Path) -> RunningServer:
    return hostler_server("shop", command=("dev",), cwd=project)


@pytest.fixture
def start_terminal(project: Path) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*arguments: str, **variables: str) -> Terminal:
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", **variables}
        started.append(Terminal([sys.executable, "-m", "hostler", *arguments], project, env))
        return started[-1].__enter__()

    yield start
    for terminal in started:
        terminal.__exit__()
        sys.stderr.write(f"--- terminal ---\n{terminal.output.text}")


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in a file, in one step as editors do."""
    text = path.read_text()
    assert old in text
    beside = path.with_name(f"{path.name}~")
    beside.write_text(text.replace(old, new))
    beside.rename(path)


# Edits


def test_edit_is_seen_by_the_next_request(dev: RunningServer, project: Path) -> None:
    assert dev.get("/").text.startswith("one ")
    for count, (old, new) in enumerate((('"one"', '"second"'), ('"second"', '"the third"')), 1):
        edit(project / "shop.py", old, new)
        dev.stderr.wait_for("INFO  reloaded", count=count)
        wait_for_page(dev, new.strip('"'))
    dev.stderr.wait_for("changed: shop.py; reloading")


def test_new_file_and_file_in_a_package_count(dev: RunningServer, project: Path) -> None:
    (project / "stall").mkdir()
    (project / "stall" / "__init__.py").write_text('GREETING = "from the stall"\n')
    edit(project / "shop.py", 'GREETING = "one"', "from stall import GREETING")
    wait_for_page(dev, "from the stall")
    edit(project / "stall" / "__init__.py", "from the stall", "mended in the stall")
    wait_for_page(dev, "mended in the stall")


@pytest.mark.parametrize("arguments", [("shop", "--chdir", "{}"), ("{}/shop.py",)], ids=["chdir", "path"])
def test_application_elsewhere_is_watched(
    hostler_server: StartServer, project: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    app, *options = (each.format(project) for each in arguments)
    server = hostler_server(app, *options, command=("dev",), cwd=elsewhere)
    edit(project / "shop.py", '"one"', '"second"')
    wait_for_page(server, "second")


def test_ignored_file_does_not_reload(hostler_server: StartServer, project: Path) -> None:
    server = hostler_server("shop", "--ignore", "generated_*.py", command=("dev",), cwd=project)
    (project / "generated_one.py").write_text("x = 1\n")
    (project / "notes.txt").write_text("nothing that is loaded\n")
    (project / "__pycache__").mkdir(exist_ok=True)
    (project / "__pycache__" / "other.py").write_text("x = 1\n")
    edit(project / "shop.py", '"one"', '"second"')
    server.stderr.wait_for("INFO  reloaded")
    assert re.findall(r"changed: (.*); reloading", server.stderr.text) == ["shop.py"]


def test_file_watcher_that_was_killed_is_started_again(dev: RunningServer, project: Path) -> None:
    watcher = wait_for_title(dev, "hostler: file watcher")
    dev.signal(signal.SIGKILL, watcher)
    wait_until(lambda: wait_for_title(dev, "hostler: file watcher") != watcher, "another watcher runs")
    edit(project / "shop.py", '"one"', '"second"')
    wait_for_page(dev, "second")


def test_connection_kept_open_does_not_hold_the_reload_up(dev: RunningServer, project: Path) -> None:
    with dev.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in idle.recv(65536)
        edit(project / "shop.py", '"one"', '"second"')
        dev.stderr.wait_for("INFO  reloaded")
        assert idle.recv(65536) == b""
    assert dev.get("/").text.startswith("second")


# Errors while loading


def test_syntax_error_is_a_page_until_it_is_mended(dev: RunningServer, project: Path) -> None:
    edit(project / "shop.py", "def fail(", BROKEN + "def fail(")
    wait_for_page(dev, "<!doctype html>")
    answer = dev.get("/any/path")
    assert (answer.status, answer.headers["Content-Type"]) == (500, HTML)
    line = APP[: APP.index("def fail(")].count("\n") + 1
    assert "SyntaxError: invalid syntax" in answer.text
    assert f"{project}/shop.py:{line}" in answer.text
    assert "&lt;i&gt;not&lt;/i&gt; Python" in answer.text
    assert "<i>" not in answer.text
    dev.stderr.wait_for(f"shop.py:{line}")
    edit(project / "shop.py", BROKEN, "")
    wait_for_page(dev, "one ")


def test_start_with_a_broken_application_serves_the_reason(hostler_server: StartServer, project: Path) -> None:
    (project / "stable.py").write_text("import no_such_module\n")
    edit(project / "shop.py", "import os\n", "import os\nimport stable\n")
    server = hostler_server("shop", command=("dev",), cwd=project)
    answer = server.get("/")
    assert answer.status == 500
    assert "ModuleNotFoundError: No module named &#x27;no_such_module&#x27;" in answer.text
    # The whole way there, the innermost file first.
    assert answer.text.index(f"{project}/stable.py:1") < answer.text.index(f"{project}/shop.py:2")
    (project / "stable.py").write_text("")
    wait_for_page(server, "one ")


def test_application_that_is_not_there_is_a_page_and_may_come(hostler_server: StartServer, project: Path) -> None:
    server = hostler_server("market:app", command=("dev",), cwd=project)
    assert "there is no module &quot;market&quot;" in server.get("/").text
    (project / "market.py").write_text(APP)
    wait_for_page(server, "one ")


def test_page_of_a_broken_application_reloads_itself_in_the_browser(
    find_peer: FindPeer, dev: RunningServer, project: Path, tmp_path: Path
) -> None:
    edit(project / "shop.py", "def fail(", BROKEN + "def fail(")
    wait_for_page(dev, "<!doctype html>")
    with Browser(find_peer("chromium"), tmp_path / "profile") as browser:
        browser.open(f"{dev.url}/")
        assert "<i>not</i> Python" in browser.text()
        assert "could not be loaded: SyntaxError" in browser.evaluate("document.title")
        browser.forget_events()
        edit(project / "shop.py", BROKEN, "")
        browser.wait_for_event("Page.loadEventFired")
        assert browser.text().startswith("one ")


# Errors in a request


def test_exception_is_a_page_with_the_source_and_the_request_id(dev: RunningServer, project: Path) -> None:
    answer = dev.get("/fail?a=<u>")
    assert (answer.status, answer.headers["Content-Type"]) == (500, HTML)
    text = html.unescape(re.sub(r"<[^>]*>", "", answer.text))
    assert "ValueError: no <b>horse</b> & no cart" in text
    assert "caused by KeyError: '<script>alert(1)</script>'" in text
    for source in ('{}["<script>alert(1)</script>"]', "fail(environ)"):
        line = next(number for number, each in enumerate(APP.splitlines(), 1) if each.strip() == source)
        assert f"{project}/shop.py:{line}" in text
        assert re.search(rf"^ +{line}  +{re.escape(source)}$", text, re.MULTILINE)
    assert "<script>" not in answer.text
    assert "<b>horse" not in answer.text
    dev.stderr.wait_for(f"[request {find_request_id(answer.text)}]")
    # Nothing of Hostler's own is in the way.
    assert "src/hostler" not in answer.text


def test_exception_before_the_first_byte_is_a_page_too(dev: RunningServer) -> None:
    answer = dev.get("/late")
    assert answer.status == 500
    assert "RuntimeError: before the first byte" in answer.text
    assert "fail_late" in answer.text


def test_exception_page_has_no_body_for_head(dev: RunningServer) -> None:
    answer = dev.request("HEAD", "/fail")
    assert (answer.status, answer.body) == (500, b"")
    assert int(answer.headers["Content-Length"]) > 1000


def test_exception_page_is_read_in_a_browser(
    find_peer: FindPeer, dev: RunningServer, project: Path, tmp_path: Path
) -> None:
    with Browser(find_peer("chromium"), tmp_path / "profile") as browser:
        browser.open(f"{dev.url}/fail")
        assert "ValueError: no <b>horse</b> & no cart" in browser.evaluate("document.querySelector('h1').textContent")
        assert browser.evaluate("document.querySelectorAll('script').length") == 0
        marked = browser.evaluate("[...document.querySelectorAll('pre b')].map(each => each.textContent)")
        assert [line.split(None, 1)[1].rstrip() for line in marked] == [
            'raise ValueError("no <b>horse</b> & no cart") from error',
            "fail(environ)",
            '{}["<script>alert(1)</script>"]',
        ]
        # The page does not scroll sideways; long lines do, each in its box.
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_production_shows_nothing_of_an_exception(hostler_server: StartServer, project: Path) -> None:
    server = hostler_server("shop", cwd=project)
    answer = server.get("/fail")
    assert answer.status == 500
    for secret in ("ValueError", "KeyError", "horse", "shop.py", str(project), "Traceback", "script", "GET"):
        assert secret not in answer.text
    assert find_request_id(answer.text) in answer.text
    log = server.stderr.wait_for("no <b>horse</b> & no cart")
    assert f"[request {find_request_id(answer.text)}]" in log


# The terminal


def test_log_is_coloured_on_a_terminal(start_terminal: Callable[..., Terminal]) -> None:
    port = free_port()
    terminal = start_terminal("dev", "shop", "--bind", str(port))
    server = attach(terminal, port)
    for path in ("/", "/fail"):
        fetch(port, path)
    shown = server.wait_for("/fail\r\n")
    assert re.search(r"^GET    \x1b\[32m200\x1b\[0m +\d+\.\d ms  /\r$", shown, re.MULTILINE)
    assert re.search(r"^GET    \x1b\[31m500\x1b\[0m +\d+\.\d ms  /fail\r$", shown, re.MULTILINE)


def test_colour_is_left_out_where_it_is_not_wanted(start_terminal: Callable[..., Terminal]) -> None:
    port = free_port()
    server = attach(start_terminal("dev", "shop", "--bind", str(port), NO_COLOR="1"), port)
    fetch(port, "/fail")
    assert ESCAPE not in server.wait_for("ms  /fail\r\n")


def test_log_is_plain_in_a_pipe(dev: RunningServer) -> None:
    dev.get("/?q=h%C3%A9")
    dev.get("/fail")
    dev.get("/a%1B%5B2Jb")
    shown = dev.stdout.wait_for("\n", count=3)
    assert re.fullmatch(
        r"GET    200 +\d+\.\d ms  /\?q=h%C3%A9\nGET    500 +\d+\.\d ms  /fail\nGET    200 +\d+\.\d ms  /a\\x1b\[2Jb\n",
        shown,
    )
    assert ESCAPE not in dev.log()


def test_ctrl_c_ends_everything_in_good_order(start_terminal: Callable[..., Terminal]) -> None:
    port = free_port()
    terminal = start_terminal("dev", "shop", "--bind", str(port))
    attach(terminal, port)
    assert fetch(port, "/").startswith(b"HTTP/1.1 200")
    assert len(list_session(terminal.pid)) >= 3  # supervisor, worker, file watcher
    terminal.press(INTERRUPT)
    assert terminal.wait() == 0
    wait_until(lambda: list_session(terminal.pid) == [], "no process is left")
    shown = terminal.output.wait_end()
    assert "Traceback" not in shown
    assert "KeyboardInterrupt" not in shown


def test_ctrl_c_while_the_application_loads_ends_everything(
    start_terminal: Callable[..., Terminal], project: Path
) -> None:
    edit(project / "shop.py", "import os\n", "import os, signal\nprint('loading', flush=True)\nsignal.pause()\n")
    terminal = start_terminal("dev", "shop", "--bind", str(free_port()))
    terminal.output.wait_for("loading")
    terminal.press(INTERRUPT)
    assert terminal.wait() == 0
    wait_until(lambda: list_session(terminal.pid) == [], "no process is left")


def test_two_ctrl_c_end_a_request_that_does_not(start_terminal: Callable[..., Terminal], project: Path) -> None:
    stuck = "    import threading\n    print('stuck', flush=True)\n    threading.Event().wait()\n"
    edit(project / "shop.py", "def fail(environ):\n", f"def fail(environ):\n{stuck}")
    port = free_port()
    terminal = start_terminal("dev", "shop", "--bind", str(port), "--graceful-timeout", "1h")
    attach(terminal, port)
    with closing(RawRequest(port, "/fail")):
        terminal.output.wait_for("stuck")
        terminal.press(INTERRUPT)
        terminal.output.wait_for("stopping")
        terminal.press(INTERRUPT)
        terminal.output.wait_for("stopping now")
        assert terminal.wait() == 0
    wait_until(lambda: list_session(terminal.pid) == [], "no process is left")


def test_nothing_outlives_a_supervisor_that_was_killed(dev: RunningServer) -> None:
    wait_for_title(dev, "hostler: file watcher")
    children = dev.children()
    assert len(children) >= 2
    dev.signal(signal.SIGKILL)
    for child in children:
        wait_process_end(child)


# Addresses


def test_configured_address_is_not_opened_to_others(hostler_server: StartServer, project: Path) -> None:
    port = free_port()
    (project / "hostler.toml").write_text(f'[server]\nbind = ["0.0.0.0:{port}"]\n')
    server = hostler_server("shop", bind="", command=("dev",), cwd=project)
    server.stderr.wait_for(f"listening    http://127.0.0.1:{port}\n")
    assert_loopback_only(port)


def test_address_that_is_configured_later_is_not_opened_to_others(hostler_server: StartServer, project: Path) -> None:
    first, second = free_port(), free_port()
    (project / "hostler.toml").write_text(f'[server]\nbind = ["127.0.0.1:{first}"]\n')
    server = hostler_server("shop", bind="", command=("dev",), cwd=project)
    (project / "hostler.toml").write_text(f'[server]\nbind = ["0.0.0.0:{second}"]\n')
    server.stderr.wait_for("INFO  reloaded")
    assert_loopback_only(second)
    wait_until(lambda: not is_open(first), "the first address is given up")


@pytest.mark.parametrize("variable", ["HOSTLER_SERVER_BIND", "PORT"])
def test_address_from_the_environment_is_not_opened_to_others(
    hostler_server: StartServer, project: Path, variable: str
) -> None:
    port = free_port()
    value = str(port) if variable == "PORT" else f"0.0.0.0:{port}"
    hostler_server("shop", bind="", command=("dev",), cwd=project, env={variable: value})
    assert_loopback_only(port)


def test_address_on_the_command_line_is_opened_as_asked(hostler_server: StartServer, project: Path) -> None:
    port = free_port()
    hostler_server("shop", bind=f"0.0.0.0:{port}", command=("dev",), cwd=project)
    assert fetch(port, "/", host="127.0.0.2").startswith(b"HTTP/1.1 200")


# The configuration


def test_edit_of_the_configuration_is_picked_up(hostler_server: StartServer, project: Path) -> None:
    file = project / "hostler.toml"
    file.write_text('[app]\nenv = { COLOUR = "bay" }\n[workers]\nthreads = 4\n')
    server = hostler_server("shop", command=("dev",), cwd=project)
    assert server.get("/").text == "one bay True"
    file.write_text('[app]\nenv = { COLOUR = "chestnut" }\n[workers]\nthreads = 1\n')
    wait_for_page(server, "one chestnut False")


def test_broken_configuration_is_told_and_survived(hostler_server: StartServer, project: Path) -> None:
    file = project / "hostler.toml"
    file.write_text('[app]\nenv = { COLOUR = "bay" }\n')
    server = hostler_server("shop", command=("dev",), cwd=project)
    file.write_text('[app]\nenv = { COLOUR = "grey" }\n[workers]\nthreds = 2\n')
    log = server.stderr.wait_for("hostler.toml:4: unknown option workers.threds; did you mean workers.threads?")
    assert "Traceback" not in log
    assert server.get("/").text.startswith("one bay")
    file.write_text("[app\n")
    server.stderr.wait_for("hostler.toml:1")
    assert server.get("/").text.startswith("one bay")
    file.write_text('[app]\nenv = { COLOUR = "dun" }\n[workers]\nthreads = 2\n')
    wait_for_page(server, "one dun True")


# What the tests are made of


class RawRequest:
    """A request that is sent and not waited for."""

    def __init__(self, port: int, path: str, host: str = "127.0.0.1") -> None:
        self.stream = socket.create_connection((host, port), 30)
        self.stream.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())

    def close(self) -> None:
        self.stream.close()

    def read(self) -> bytes:
        return b"".join(iter(lambda: self.stream.recv(65536), b""))


def fetch(port: int, path: str, host: str = "127.0.0.1") -> bytes:
    with closing(RawRequest(port, path, host)) as request:
        return request.read()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 30).close()
    except ConnectionRefusedError:
        return False
    return True


def assert_loopback_only(port: int) -> None:
    # All of 127.0.0.0/8 reaches this machine: a listener on every address would answer on another of them.
    assert fetch(port, "/").startswith(b"HTTP/1.1 200")
    with pytest.raises(ConnectionRefusedError):
        fetch(port, "/", host="127.0.0.2")


def wait_for_page(server: RunningServer, start: str) -> None:
    """Wait until what is served begins like this: for a moment after a reload the old worker may still answer."""
    wait_until(lambda: server.get("/").text.startswith(start), f"a page that begins with {start!r}")


def attach(terminal: Terminal, port: int) -> Transcript:
    """Wait until the server on a terminal serves; give what the terminal shows."""
    terminal.output.wait_for(f"listening    http://127.0.0.1:{port}")
    return terminal.output


def find_request_id(page: str) -> str:
    found = re.search(r"[0-9a-f]{32}", page)
    assert found, page
    return found[0]


def wait_for_title(server: RunningServer, title: str) -> int:
    """Give the process id of the server's child with that title, once there is one."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [pid for pid in server.children() if title in read_title(pid)]
        return bool(found)

    wait_until(is_there, f'a process "{title}"')
    return found[0]


def read_title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError as error:
        raise ServerError(f"process {pid} is gone") from error
