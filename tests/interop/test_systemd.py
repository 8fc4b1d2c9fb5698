"""Hostler as a systemd service: readiness, state, sockets handed over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FindPeer
from tests.e2e.harness import PATIENCE, ROOT, RunningServer, StartServer, free_port, start_group

PROBE = "tests.interop.apps.probe:app"
# What systemd-socket-activate passes on only when asked.
INHERITED = ("PYTHONPATH", "PYTHONUNBUFFERED", "NOTIFY_SOCKET")
# The tests' applications are found wherever the server is started, the package too where it is not installed.
IMPORTABLE = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


@pytest.fixture
def activated(find_peer: FindPeer) -> Iterator[RunningServer]:
    """Hostler, started by systemd's own activator on the first connection; two sockets, the second one by name."""
    program = find_peer("systemd-socket-activate")
    port = free_port()
    path = Path(tempfile.mkdtemp(prefix="interop-")) / "second.sock"
    passed = [f"--setenv={name}" for name in INHERITED]
    names = "--fdname=web:local"
    command = [sys.executable, "-m", "hostler", "run", PROBE]
    arguments = [program, f"--listen=127.0.0.1:{port}", f"--listen={path}", names, *passed, *command]
    with start_group(arguments, f"127.0.0.1:{port}", env=IMPORTABLE) as server:
        server.stderr.wait_for("Listening on", count=2)
        yield server
    path.unlink()
    path.parent.rmdir()


def test_first_connection_starts_the_server_and_is_answered(activated: RunningServer) -> None:
    assert activated.process.poll() is None
    assert "hostler" not in activated.stdout.text
    told = json.loads(activated.get("/environ").text)
    assert told["SERVER_PORT"] == str(activated.port)
    # The service's own affairs with systemd are none of the application's.
    activated.wait_ready()


def test_all_sockets_that_were_handed_over_are_served(activated: RunningServer) -> None:
    assert activated.get("/environ").status == 200
    activated.wait_ready()
    path = activated.stderr.text.partition("second.sock")[0].split()[-1] + "second.sock"
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(PATIENCE)
        stream.connect(path)
        stream.sendall(b"GET /cached HTTP/1.0\r\n\r\n")
        assert b"".join(iter(lambda: stream.recv(65536), b"")).endswith(b"\r\n\r\nfresh\n")


def test_connections_wait_while_the_server_starts_and_while_it_is_replaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as early:
                early.sendall(b"GET /cached HTTP/1.0\r\n\r\n")
                server = start_activated(listening, f"127.0.0.1:{port}")
                with server:
                    assert b"".join(iter(lambda: early.recv(65536), b"")).endswith(b"fresh\n")
                    server.wait_ready()
                    assert server.stop() == 0


def start_activated(
    listening: socket.socket, address: str, app: str = PROBE, *, cwd: Path | None = None
) -> RunningServer:
    """Hand a socket over as systemd does (sd_listen_fds(3)): descriptor 3, and the process id in LISTEN_PID."""
    script = 'exec 3<&"$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
    command = [sys.executable, "-m", "hostler", "run", app]
    arguments = ["bash", "-c", script, str(listening.fileno()), *command]
    return start_group(arguments, address, cwd=cwd, env=IMPORTABLE, pass_fds=(listening.fileno(),))


def test_service_manager_is_told_of_readiness_reload_and_stop(hostler_server: StartServer) -> None:
    server = hostler_server(PROBE)
    assert f"MAINPID={server.pid}" in server.notifications.text
    server.signal(signal.SIGHUP)
    told = server.notifications.wait_for("READY=1", count=2)
    assert "RELOADING=1" in told
    # systemd.service(5), Type=notify-reload: the clock must be told with it.
    assert "MONOTONIC_USEC=" in told
    server.signal(signal.SIGTERM)
    server.notifications.wait_for("STOPPING=1")
    assert server.wait() == 0


def test_watchdog_is_fed(hostler_server: StartServer) -> None:
    server = hostler_server(PROBE, env={"WATCHDOG_USEC": "400000"})
    server.notifications.wait_for("WATCHDOG=1", count=3, timeout=10)


def test_readiness_comes_after_the_application_is_loaded(hostler_server: StartServer, tmp_path: Path) -> None:
    ready, go = tmp_path / "ready", tmp_path / "go"
    for pipe in (ready, go):
        os.mkfifo(pipe)
    (tmp_path / "held.py").write_text(
        f"open({str(ready)!r}, 'w').close()\nopen({str(go)!r}).close()\nfrom tests.interop.apps.probe import app\n"
    )
    server = hostler_server("held:app", ready=False, cwd=tmp_path)
    ready.open().close()  # returns once the application is being loaded
    assert "READY=1" not in server.notifications.text
    go.open("w").close()
    server.wait_ready()
    assert server.get("/cached").status == 200


def test_programs_of_the_application_are_not_told_of_the_service_manager(tmp_path: Path) -> None:
    script = "import os; print(sorted(name for name in os.environ if name.startswith(('LISTEN_', 'NOTIFY_'))))"
    (tmp_path / "asking.py").write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {script!r}])\n"
        "from tests.interop.apps.probe import app\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with start_activated(listening, address, "asking:app", cwd=tmp_path) as server:
            server.wait_ready()
            assert server.stdout.wait_for("]").strip() == "[]"


def test_unit_of_the_guide_is_understood_by_systemd(find_peer: FindPeer, tmp_path: Path) -> None:
    analyze = find_peer("systemd-analyze")
    guide = (ROOT / "docs" / "guides" / "systemd.md").read_text()
    unit = guide.partition("```ini\n")[2].partition("```")[0]
    program = Path(sys.executable).with_name("python")
    unit = unit.replace("/srv/site/.venv/bin/hostler", str(program)).replace("User=site", "User=root")
    path = tmp_path / "site.service"
    path.write_text(unit.replace("Group=site", "Group=root").replace("/srv/site", str(tmp_path)))
    done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True, timeout=60, check=False)
    # Of other units of this machine it may have something to say; of this one nothing.
    assert (done.returncode, [line for line in done.stderr.splitlines() if str(path) in line]) == (0, [])
