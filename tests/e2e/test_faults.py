"""Processes that are killed at any moment, memory that runs out, clocks that jump: what comes of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.e2e.harness import RunningServer, StartServer, wait_process_end, wait_until
from tests.e2e.load import StrictLoad

FindPeer = Callable[[str], str]

# While there is a file "hold", whoever loads it says so and waits until somebody writes to "go".
SHOP = """
import os, pathlib, time
here = pathlib.Path(__file__).parent
if (here / "hold").exists():
    (here / f"held.{os.getpid()}").touch()
    (here / "go").read_text()

def app(environ, start_response):
    status, body = "200 OK", b"hello\\n"
    if environ["PATH_INFO"] == "/work":
        time.sleep(0.01)
    if environ["PATH_INFO"] == "/greedy":
        body = b"x" * (4 << 30)
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]
"""


class Shop:
    """A directory with an application that can be held up while it loads."""

    def __init__(self, directory: Path, start: StartServer, preload: bool) -> None:
        self._directory = directory
        self._start = start
        self._options = ("--chdir", str(directory), *(["--preload"] if preload else []))
        (directory / "shop.py").write_text(SHOP)
        os.mkfifo(directory / "go")

    def start(self, *options: str, ready: bool = True) -> RunningServer:
        return self._start("shop:app", *self._options, *options, ready=ready)

    def hold(self) -> None:
        (self._directory / "hold").touch()

    def wait_held(self) -> int:
        """Wait until somebody is held up; returns who."""
        wait_until(lambda: bool(list(self._directory.glob("held.*"))), "somebody loads")
        return int(next(self._directory.glob("held.*")).suffix[1:])

    def let_others_load(self) -> None:
        (self._directory / "hold").unlink()

    def go(self) -> None:
        """Let go who is held up."""
        (self._directory / "go").write_text("go")


@pytest.fixture(name="preload", params=[False, True], ids=["", "preloaded"])
def fixture_preload(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(name="shop")
def fixture_shop(hostler_server: StartServer, tmp_path: Path, preload: bool) -> Shop:
    return Shop(tmp_path, hostler_server, preload)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_process_end(pid)


def wait_children(server: RunningServer, wanted: Sequence[int]) -> None:
    wait_until(lambda: set(server.children()) == set(wanted), f"these children only: {wanted}")


class TestBoot:
    def test_child_that_is_killed_while_it_loads_ends_the_start(self, shop: Shop) -> None:
        shop.hold()
        server = shop.start(ready=False)
        kill(shop.wait_held())
        assert server.wait() == 3
        assert "was killed by SIGKILL before it was ready" in server.stderr.wait_end()

    def test_killed_supervisor_leaves_nobody_behind_and_its_address_free(self, shop: Shop) -> None:
        shop.hold()
        server = shop.start(ready=False)
        loading = shop.wait_held()
        server.signal(signal.SIGKILL)
        server.wait()
        wait_process_end(loading)
        shop.let_others_load()
        assert shop.start("--bind", f"{server.host}:{server.port}").get("/").body == b"hello\n"


class TestReload:
    def test_new_child_that_is_killed_ends_the_reload(self, shop: Shop) -> None:
        server = shop.start("--workers", "2")
        before = server.children()
        with StrictLoad(server, "/work", b"hello\n", 4) as load:
            shop.hold()
            server.signal(signal.SIGHUP)
            kill(shop.wait_held())
            server.stderr.wait_for("reload abandoned")
            wait_children(server, before)
            load.wait_served(20)
            assert load.finish().failures == []

    def test_old_child_that_is_killed_is_replaced_and_the_reload_goes_on(self, shop: Shop) -> None:
        server = shop.start("--workers", "2")
        before = server.children()
        shop.hold()
        server.signal(signal.SIGHUP)
        held = shop.wait_held()
        shop.let_others_load()
        # With a fork server, that is the first child.
        kill(before[0])
        server.stderr.wait_for("was killed by SIGKILL; starting another now")
        assert server.get("/").body == b"hello\n"
        wait_until(lambda: len(set(server.children()) - {held}) >= len(before), "its replacement")
        with StrictLoad(server, "/work", b"hello\n", 4) as load:
            shop.go()
            server.stderr.wait_for("reloaded")
            wait_until(lambda: not set(before) & set(server.children()), "new children only")
            assert load.finish().failures == []

    def test_killed_supervisor_leaves_nobody_behind(self, shop: Shop) -> None:
        server = shop.start("--workers", "2")
        shop.hold()
        server.signal(signal.SIGHUP)
        everybody = {*server.children(), shop.wait_held()}
        server.signal(signal.SIGKILL)
        for pid in everybody:
            wait_process_end(pid)


class TestUpgrade:
    def test_new_child_that_is_killed_ends_the_upgrade(self, shop: Shop) -> None:
        server = shop.start("--workers", "2")
        before = server.children()
        with StrictLoad(server, "/work", b"hello\n", 4) as load:
            shop.hold()
            server.signal(signal.SIGUSR2)
            kill(shop.wait_held())
            server.stderr.wait_for("upgrade abandoned")
            wait_children(server, before)
            load.wait_served(20)
            assert load.finish().failures == []

    def test_old_child_that_is_killed_is_replaced_and_the_upgrade_goes_on(self, shop: Shop) -> None:
        server = shop.start("--workers", "2")
        before = server.children()
        shop.hold()
        server.signal(signal.SIGUSR2)
        shop.wait_held()
        shop.let_others_load()
        kill(before[0])
        server.stderr.wait_for("was killed by SIGKILL; starting another now")
        wait_until(lambda: len(server.children()) == len(before) + 1, "its replacement")
        with StrictLoad(server, "/work", b"hello\n", 4) as load:
            shop.go()
            assert server.wait() == 0
            load.wait_served(20)
            assert load.finish().failures == []


@pytest.mark.parametrize("preload", [False], indirect=True, ids=[""])
class TestLimits:
    def test_request_that_wants_more_memory_than_there_is_fails_alone(self, shop: Shop) -> None:
        server = shop.start("--process-limits", f"as={2 << 30}")
        (worker,) = server.children()
        assert server.get("/greedy").status == 500
        assert server.get("/").body == b"hello\n"
        assert server.children() == [worker]
        server.stderr.wait_for("MemoryError")


def test_clock_that_jumps_changes_nothing(hostler_server: StartServer, find_peer: FindPeer, tmp_path: Path) -> None:
    """The wall clock goes back and forth by years while workers boot, are recycled and reloaded: nobody is too late."""
    find_peer("faketime")
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    clock = tmp_path / "clock"

    def jump(years: int) -> None:
        moment = time.gmtime(time.time() + years * 31_536_000)
        clock.with_suffix(".new").write_text(time.strftime("@%Y-%m-%d %H:%M:%S", moment))
        clock.with_suffix(".new").replace(clock)

    jump(0)
    (tmp_path / "shop.py").write_text(SHOP)
    server = hostler_server(
        "shop:app", "--chdir", str(tmp_path), "--workers", "2", "--workers-max-age", "1h",
        env={
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC",
        },
    )  # fmt: skip
    before = server.children()
    with StrictLoad(server, "/", b"hello\n", 4) as load:
        for years in (3, -3, 5):
            jump(years)
            load.wait_served(50)
        assert server.children() == before, "nobody has become old, or late"
        server.signal(signal.SIGHUP)
        server.stderr.wait_for("reloaded")
        jump(-5)
        wait_until(lambda: not set(before) & set(server.children()), "new workers only")
        load.wait_served(50)
        assert load.finish().failures == []
    assert f"{time.gmtime().tm_year + 5}-" in server.stderr.text, "the jumps were seen"
    assert "is killed" not in server.stderr.text
    assert server.stop() == 0
