"""Upgrades: a new supervisor takes the place of the old one, and nobody is the worse for it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, StartServer, wait_process_end, wait_until
from tests.e2e.load import StrictLoad, Wrk
from tests.e2e.supervised import site

APPS = Path(__file__).parent / "apps"
APP = "tests.e2e.apps.robust:app"
FindPeer = Callable[[str], str]


def upgrade(server: RunningServer, *, former: int | None = None) -> int:
    """Upgrade, wait until the old supervisor has ended, and return the pid of the new one."""
    old = server.pid if former is None else former
    ready = server.notifications.text.count("READY=1")
    server.signal(signal.SIGUSR2, old)
    server.notifications.wait_for("READY=1", count=ready + 1)
    if former is None:
        assert server.wait() == 0
    else:
        wait_process_end(old)
    return find_main_pid(server)


def find_main_pid(server: RunningServer) -> int:
    return int(re.findall(r"MAINPID=(\d+)", server.notifications.text)[-1])


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


@pytest.mark.parametrize(
    "options",
    [("--workers", "1"), ("--workers", "2", "--preload"), ("--workers", "2", "--reuse-port")],
    ids=["one worker", "preloaded", "own sockets"],
)
def test_no_request_fails_in_upgrades(
    hostler_server: StartServer, find_peer: FindPeer, options: tuple[str, ...]
) -> None:
    server = hostler_server(APP, *options)
    with (
        Wrk(find_peer("wrk"), server.url + "/", 3) as wrk,
        StrictLoad(server, "/work", b"worked\n", 4) as slow,
        StrictLoad(server, "/", b"hello\n", 2) as quick,
    ):
        slow.wait_served(20)
        second = upgrade(server)
        slow.wait_served(20)
        third = upgrade(server, former=second)
        slow.wait_served(20)
        report = wrk.report()
        assert [load.finish().failures for load in (slow, quick)] == [[], []]
    assert (report.errors, report.unexpected) == (0, 0)
    assert len({server.pid, second, third}) == 3
    assert is_alive(third)


def test_request_in_flight_is_finished_by_the_old_one(hostler_server: StartServer, gate: Gate) -> None:
    server = hostler_server(APP, env=gate.env)
    with server.connect() as stream:
        stream.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("wait", 1)
        server.signal(signal.SIGUSR2)
        server.stderr.wait_for("upgraded")
        assert server.get("/").body == b"hello\n"
        gate.release("wait")
        assert b"".join(iter(lambda: stream.recv(65536), b"")).endswith(b"waited\n")
    assert server.wait() == 0


def test_new_supervisor_owns_socket_file_and_pid_file(hostler_server: StartServer, tmp_path: Path) -> None:
    path, pid_file = tmp_path / "app.sock", tmp_path / "pid"
    server = hostler_server(APP, "--pid-file", str(pid_file), bind=f"unix:{path}")
    new = upgrade(server)
    assert int(pid_file.read_text()) == new
    assert server.get("/").body == b"hello\n"
    os.kill(new, signal.SIGTERM)
    wait_process_end(new)
    assert not path.exists()
    assert not pid_file.exists()


@pytest.fixture(name="shop")
def fixture_shop(tmp_path: Path) -> Path:
    module = tmp_path / "shop.py"
    shutil.copy(APPS / "robust.py", module)
    return module


def test_program_that_does_not_come_up_changes_nothing(hostler_server: StartServer, shop: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    server = hostler_server(
        "shop:app",
        "--workers",
        "2",
        "--chdir",
        str(shop.parent),
        "--pid-file",
        str(pid_file),
        bind=f"unix:{tmp_path}/s",
    )
    before = server.children()
    with StrictLoad(server, "/work", b"worked\n", 4) as load:
        shop.write_text("raise RuntimeError('a broken release')\n")
        for attempt in range(1, 3):
            server.signal(signal.SIGUSR2)
            server.stderr.wait_for("upgrade abandoned", count=attempt)
            load.wait_served(50)
        assert load.finish().failures == []
    server.stderr.wait_for("a broken release", count=2)
    wait_until(lambda: server.children() == before, "the old workers only")
    assert int(pid_file.read_text()) == server.pid
    shutil.copy(APPS / "robust.py", shop)
    assert upgrade(server) != server.pid
    assert server.get("/").body == b"hello\n"


def test_wrong_configuration_is_explained_by_the_old_one(hostler_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "hostler.toml").write_text("[workers]\ncount = 1\n")
    server = hostler_server(APP, cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parents[2])})
    (tmp_path / "hostler.toml").write_text("[workers]\ntreads = 1\n")
    server.signal(signal.SIGUSR2)
    text = server.stderr.wait_for("upgrade abandoned")
    assert "treads" in text.partition("upgrade abandoned")[2].partition("\n")[0]
    assert server.get("/").body == b"hello\n"


SLOW = "import os, select\nos.mkfifo({fifo!r})\nselect.select([], [], [], 60)\n"


def test_new_supervisor_that_is_killed_while_it_boots_changes_nothing(hostler_server: StartServer, shop: Path) -> None:
    server = hostler_server("shop:app", "--chdir", str(shop.parent))
    (worker,) = server.children()
    booting = shop.parent / "booting"
    shop.write_text(SLOW.format(fifo=str(booting)))
    server.signal(signal.SIGUSR2)
    wait_until(booting.exists, "the new worker loads")
    (new,) = set(server.children()) - {worker}
    os.kill(new, signal.SIGKILL)
    server.stderr.wait_for("was killed by SIGKILL before it was ready")
    assert server.children() == [worker]
    assert server.get("/").body == b"hello\n"


def test_other_requests_to_both_do_not_disturb_an_upgrade(hostler_server: StartServer, shop: Path) -> None:
    """Log rotation and reloads that come at any time, also before the new program has come to catch signals."""
    server = hostler_server("shop:app", "--chdir", str(shop.parent))
    server.signal(signal.SIGUSR2)
    while server.process.poll() is None and "upgraded" not in server.stderr.text:
        server.signal(signal.SIGUSR1)
    assert server.wait() == 0
    assert "upgrade abandoned" not in server.stderr.text
    assert server.get("/").body == b"hello\n"


def test_stop_during_an_upgrade_ends_both(hostler_server: StartServer, shop: Path) -> None:
    server = hostler_server("shop:app", "--chdir", str(shop.parent))
    booting = shop.parent / "booting"
    shop.write_text(SLOW.format(fifo=str(booting)))
    server.signal(signal.SIGUSR2)
    wait_until(booting.exists, "the new worker loads")
    everyone = server.children()
    assert server.stop() == 0
    for pid in everyone:
        wait_process_end(pid)


def test_new_supervisor_goes_on_when_the_old_one_is_killed(hostler_server: StartServer, shop: Path) -> None:
    server = hostler_server("shop:app", "--chdir", str(shop.parent), "--pid-file", str(shop.parent / "pid"))
    booting, go = shop.parent / "booting", shop.parent / "go"
    os.mkfifo(go)
    shop.write_text(f"{shop.read_text()}\nos.mkfifo({str(booting)!r})\nopen({str(go)!r}).read()\n")
    server.signal(signal.SIGUSR2)
    wait_until(booting.exists, "the new worker loads")
    ready = server.notifications.text.count("READY=1")
    server.signal(signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    go.write_text("go")
    server.notifications.wait_for("READY=1", count=ready + 1)
    assert server.get("/").body == b"hello\n"
    assert int((shop.parent / "pid").read_text()) == find_main_pid(server)


def test_sockets_of_the_service_manager_are_passed_on(tmp_path: Path) -> None:
    with site(tmp_path) as shop, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        program = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
        program += "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        shop.start_through(program, listener.fileno(), env={"LISTEN_FDS": "1"})
        shop.server.port = port
        new = upgrade(shop.server)
        facts = shop.facts()
        assert facts["parent"] == new
        assert not {"LISTEN_FDS", "_HOSTLER_BEQUEST"} & set(facts["environment"])


def test_new_supervisor_is_started_where_the_old_one_was_by_name(tmp_path: Path) -> None:
    """As after the switch of a link such as /srv/shop/current to another release."""
    releases = [tmp_path / "one", tmp_path / "two"]
    for release in releases:
        release.mkdir()
    current = tmp_path / "current"
    current.symlink_to(releases[0])
    with site(tmp_path) as shop:
        shop.start(env={"PWD": str(current)}, cwd=current)
        current.unlink()
        current.symlink_to(releases[1])
        new = upgrade(shop.server)
        assert Path(f"/proc/{new}/cwd").readlink() == releases[1]
