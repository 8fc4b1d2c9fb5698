"""Every way to listen, and what an operator sees from outside: the whole server, with the real engine."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, StartServer, free_port, wait_process_end, wait_until
from tests.e2e.vitals import read_title

APP = "tests.e2e.apps.robust:app"
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root may change owners and users")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path, which every user may enter: paths of unix sockets are at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hostler-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def get_from(address: tuple[str, int] | str, path: str = "/") -> bytes:
    """Make one request at an address other than the server's first."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    connection = http.client.HTTPConnection("test")
    connection.sock = socket.socket(family)
    connection.sock.settimeout(10)
    connection.sock.connect(address)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def test_unix_socket_serves_with_the_mode_that_was_asked_for(hostler_server: StartServer, place: Path) -> None:
    path = place / "app.sock"
    server = hostler_server(APP, bind=f"unix:{path}?mode=620")
    assert stat.S_IMODE(path.stat().st_mode) == 0o620
    assert server.get("/").body == b"hello\n"
    assert server.stop() == 0
    assert not path.exists()


@AS_ROOT
def test_unix_socket_has_the_owner_that_was_asked_for(hostler_server: StartServer, place: Path) -> None:
    path = place / "app.sock"
    server = hostler_server(APP, bind=f"unix:{path}?mode=600&user=nobody&group={NOBODY.pw_gid}")
    assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert server.get("/").body == b"hello\n"


def test_abstract_socket_serves_and_leaves_no_file(hostler_server: StartServer) -> None:
    name = f"hostler-test-{os.getpid()}-{free_port()}"
    server = hostler_server(APP, bind=f"unix:@{name}")
    assert server.get("/").body == b"hello\n"
    assert not Path(name).exists()
    assert not Path(f"@{name}").exists()


def test_inherited_descriptor_serves(hostler_server: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        server = hostler_server(APP, "--workers", "2", bind=f"fd://{listener.fileno()}", pass_fds=[listener.fileno()])
        assert get_from(address) == b"hello\n"
        server.signal(signal.SIGHUP)
        server.notifications.wait_for("READY=1", count=2)
        assert get_from(address) == b"hello\n"


def test_many_addresses_are_served_at_once(hostler_server: StartServer, place: Path) -> None:
    second, third = free_port(), free_port("127.0.0.2")
    binds = [f"unix:{place}/app.sock", f"127.0.0.1:{second}", f"127.0.0.2:{third}", f"[::1]:{second}"]
    server = hostler_server(APP, *(f"--bind={bind}" for bind in binds), "--workers", "2")
    addresses: list[tuple[str, int] | str] = [
        f"{place}/app.sock",
        ("127.0.0.1", second),
        ("127.0.0.2", third),
        ("::1", second),
    ]
    assert [get_from(address) for address in addresses] == [b"hello\n"] * 4
    assert server.get("/").body == b"hello\n"


def test_two_servers_share_an_address_that_both_reuse(hostler_server: StartServer) -> None:
    first = hostler_server(APP, "--reuse-port", "--workers", "2")
    second = hostler_server(APP, "--reuse-port", "--workers", "2", bind=f"127.0.0.1:{first.port}")
    pids = set(first.children()) | set(second.children())
    assert len(pids) == 4
    answered: set[int] = set()

    def is_shared() -> bool:
        answered.add(json.loads(first.get("/process").text)["parent"])
        return answered == {first.pid, second.pid}

    wait_until(is_shared, "answers of both servers")
    assert first.stop() == 0
    assert json.loads(second.get("/process").text)["parent"] == second.pid


def test_port_0_takes_a_free_one_and_says_which(hostler_server: StartServer) -> None:
    server = hostler_server(APP, bind="127.0.0.1:0")
    said = re.search(r"http://127\.0\.0\.1:(\d+)", server.log())
    assert said, server.log()
    assert int(said[1]) != 0
    assert get_from(("127.0.0.1", int(said[1]))) == b"hello\n"


@AS_ROOT
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_workers_serve_as_the_user_and_group_they_were_given(
    hostler_server: StartServer, preload: tuple[str, ...]
) -> None:
    server = hostler_server(APP, "--user", "nobody", "--group", str(NOBODY.pw_gid), *preload)
    told = json.loads(server.get("/process").text)
    assert (told["uid"], told["gid"]) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert 0 not in told["groups"]
    body = b"x" * 1_000_000  # spooled to a file, which must not need the rights that were given up
    assert server.post("/length", body).body == b"1000000\n"


def test_pid_file_holds_the_supervisor_while_it_runs(hostler_server: StartServer, place: Path) -> None:
    path = place / "hostler.pid"
    server = hostler_server(APP, "--pid-file", str(path))
    assert int(path.read_text()) == server.pid
    assert server.stop() == 0
    assert not path.exists()


def test_titles_say_which_process_is_which(hostler_server: StartServer) -> None:
    server = hostler_server(APP, "--workers", "2")
    assert "hostler" in read_title(server.pid)
    titles = sorted(read_title(pid) for pid in server.children())
    assert titles == [f"hostler: worker 1 {APP}", f"hostler: worker 2 {APP}"]


@pytest.mark.parametrize("workers, threads", [(1, 1), (1, 4), (2, 1), (2, 4)])
def test_application_is_told_of_threads_and_processes(hostler_server: StartServer, workers: int, threads: int) -> None:
    server = hostler_server(APP, "--workers", str(workers), "--threads", str(threads))
    told = json.loads(server.get("/process").text)
    # A reload has two processes run side by side, so that even one worker is not alone for ever.
    assert told["multithread"] is (threads > 1)
    assert told["multiprocess"] is (workers > 1)
    assert told["run_once"] is False


def test_refused_at_once_where_a_drained_server_listened(hostler_server: StartServer, gate: Gate) -> None:
    """A worker that drains holds no listener: clients would wait in its queue for nobody."""
    server = hostler_server(APP, "--threads", "2", env=gate.env)
    (worker,) = server.children()
    with server.connect() as stream:
        stream.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("wait")
        server.signal(signal.SIGTERM)
        server.notifications.wait_for("STOPPING=1")
        wait_until(lambda: is_refused(server), "connections refused")
        gate.release("wait")
        assert b"".join(iter(lambda: stream.recv(65536), b"")).endswith(b"waited\n")
    wait_process_end(worker)


def is_refused(server: RunningServer) -> bool:
    try:
        server.connect(1).close()
    except ConnectionRefusedError:
        return True
    return False
