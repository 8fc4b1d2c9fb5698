"""Reloads that replace all workers, some, or one at a time; what new workers must be able to do before they serve."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import PATIENCE, RunningServer, StartServer, wait_until
from tests.e2e.load import StrictLoad, Wrk

FindPeer = Callable[[str], str]

SHOP = """
import os, time
VERSION = {version}
WARM = []

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/warm":
        WARM.append(path)
        start_response({answer!r}, [("Content-Length", "0")])
        return []
    if path == "/work":
        time.sleep(0.02)
    body = f"version {{VERSION}} warm {{len(WARM)}}\\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

ASGI_SHOP = """
WARM = []

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    status = 200
    if scope["path"] == "/warm":
        WARM.append(scope["path"])
        status = {status}
    body = f"warm {{len(WARM)}}\\n".encode()
    await send({{"type": "http.response.start", "status": status, "headers": []}})
    await send({{"type": "http.response.body", "body": body}})
"""


def write_shop(directory: Path, version: int = 1, answer: str = "204 No Content") -> None:
    (directory / "shop.py").write_text(SHOP.format(version=version, answer=answer))


def ask(server: RunningServer, path: str = "/") -> str:
    return server.get(path).text.strip()


class Steady(StrictLoad):
    """A load that takes the answer of any version."""

    def __init__(self, server: RunningServer, path: str, clients: int) -> None:
        super().__init__(server, path, b"version 1 warm 0\n", clients)
        self._length = len(self._body)

    def _read_answer(self, stream: object) -> bool:
        try:
            return super()._read_answer(stream)  # type: ignore[arg-type]
        except ValueError as error:
            if "not the expected answer" in str(error) and "version 2 warm 0" in str(error):
                return "connection: close" not in str(error).lower()
            raise


@pytest.mark.parametrize(
    "strategy,preload",
    [("all", False), ("rolling", False), ("one-by-one", False), ("rolling", True)],
    ids=["all", "rolling", "one-by-one", "rolling, preloaded"],
)
def test_no_request_fails_in_any_strategy(
    hostler_server: StartServer, find_peer: FindPeer, tmp_path: Path, strategy: str, preload: bool
) -> None:
    write_shop(tmp_path)
    options = ["--workers", "3", "--chdir", str(tmp_path), "--reload-strategy", strategy]
    server = hostler_server("shop:app", *options, *(["--preload"] if preload else []))
    with (
        Wrk(find_peer("wrk"), server.url + "/", 2) as wrk,
        Steady(server, "/work", 4) as slow,
        Steady(server, "/", 2) as quick,
    ):
        slow.wait_served(20)
        before = set(server.children())
        write_shop(tmp_path, version=2)
        server.signal(signal.SIGHUP)
        server.stderr.wait_for("reloaded")
        wait_until(lambda: not before & set(server.children()), "new workers only")
        slow.wait_served(20)
        report = wrk.report()
        assert [load.finish().failures for load in (slow, quick)] == [[], []]
    assert (report.errors, report.unexpected) == (0, 0)
    assert ask(server).startswith("version 2")


@pytest.mark.parametrize("strategy", ["rolling", "one-by-one"])
def test_reload_that_fails_half_way_is_taken_back(hostler_server: StartServer, tmp_path: Path, strategy: str) -> None:
    write_shop(tmp_path)
    # The second worker of the new version does not load, once; those of the old one do again.
    broken = "\nimport pathlib\nif VERSION == 2:\n"
    broken += "    marks = sorted(pathlib.Path(__file__).parent.glob('mark*'))\n"
    broken += "    (pathlib.Path(__file__).parent / f'mark{len(marks)}').touch()\n"
    broken += "    if len(marks) == 1:\n        write_back()\n        raise RuntimeError('half way')\n"
    text = SHOP.format(version=2, answer="204 No Content")
    text += "\ndef write_back():\n    pathlib.Path(__file__).write_text("
    text += repr(SHOP.format(version=1, answer="204 No Content")) + ")\n" + broken
    server = hostler_server("shop:app", "--workers", "3", "--chdir", str(tmp_path), "--reload-strategy", strategy)
    with Steady(server, "/work", 4) as load:
        load.wait_served(20)
        (tmp_path / "shop.py").write_text(text)
        server.signal(signal.SIGHUP)
        server.stderr.wait_for("reload abandoned")
        wait_until(lambda: {ask(server) for _ in range(20)} == {"version 1 warm 0"}, "the old version again")
        load.wait_served(20)
        assert load.finish().failures == []
    wait_until(lambda: len(server.children()) == 3, "three workers")


def test_worker_warms_up_before_it_takes_traffic(hostler_server: StartServer, tmp_path: Path) -> None:
    write_shop(tmp_path)
    log = tmp_path / "access"
    server = hostler_server(
        "shop:app", "--chdir", str(tmp_path), "--reload-warm-up", "/warm", "--reload-warm-up", "/warm?again",
        "--access-log", str(log),
    )  # fmt: skip
    assert ask(server) == "version 1 warm 2"
    assert server.stop() == 0
    assert "warm" not in log.read_text(), "it is no traffic"


@pytest.mark.parametrize("preload", [False, True], ids=["", "preloaded"])
def test_new_version_that_fails_its_check_never_serves(
    hostler_server: StartServer, tmp_path: Path, preload: bool
) -> None:
    write_shop(tmp_path)
    options = ["--workers", "2", "--chdir", str(tmp_path), "--reload-warm-up", "/warm"]
    server = hostler_server("shop:app", *options, *(["--preload"] if preload else []))
    before = server.children()
    with StrictLoad(server, "/work", b"version 1 warm 1\n", 4) as load:
        load.wait_served(10)
        write_shop(tmp_path, version=2, answer="503 Service Unavailable")
        server.signal(signal.SIGHUP)
        server.stderr.wait_for("reload abandoned, the old workers stay: warm-up failed: /warm was answered with 503")
        load.wait_served(10)
        assert load.finish().failures == []
    wait_until(lambda: server.children() == before, "the old workers only")


def test_check_that_is_not_answered_in_time_fails(hostler_server: StartServer, tmp_path: Path) -> None:
    write_shop(tmp_path)
    options = ("--chdir", str(tmp_path), "--reload-warm-up", "/work", "--reload-warm-up-timeout", "2s")
    server = hostler_server("shop:app", *options)
    (tmp_path / "shop.py").write_text(SHOP.format(version=2, answer="").replace("0.02", "60"))
    (tmp_path / "hostler.toml").touch()
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("/work was not answered within 2 s (reload.warm_up_timeout)")
    wait_until(lambda: len(server.children()) == 1, "the old worker only")


def test_first_workers_are_checked_too(hostler_server: StartServer, tmp_path: Path) -> None:
    write_shop(tmp_path, answer="500 Internal Server Error")
    options = ("--chdir", str(tmp_path), "--reload-warm-up", "/warm")
    server = hostler_server("shop:app", *options, ready=False)
    assert server.wait() == 3
    assert "warm-up failed: /warm was answered with 500" in server.stderr.wait_end()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_asgi_worker_warms_up_and_fails_likewise(hostler_server: StartServer, tmp_path: Path, loop: str) -> None:
    (tmp_path / "shop.py").write_text(ASGI_SHOP.format(status=404))
    options = ("--chdir", str(tmp_path), "--reload-warm-up", "/warm", "--loop", loop)
    server = hostler_server("shop:app", *options)
    assert ask(server) == "warm 1"
    (tmp_path / "shop.py").write_text(ASGI_SHOP.format(status=502))
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reload abandoned, the old workers stay: warm-up failed: /warm was answered with 502")
    assert ask(server) == "warm 1"


def test_touched_file_reloads(hostler_server: StartServer, tmp_path: Path) -> None:
    write_shop(tmp_path)
    mark = tmp_path / "reload"
    server = hostler_server("shop:app", "--chdir", str(tmp_path), "--reload-touch", str(mark))
    for count in (1, 2):
        mark.touch()
        server.stderr.wait_for("reloaded", count=count, timeout=PATIENCE)
