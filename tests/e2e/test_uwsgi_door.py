"""`hostler uwsgi` with real processes: uWSGI's own files, signals, FIFO, touch files and exit statuses."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import (
    PATIENCE,
    RunningServer,
    StartServer,
    free_port,
    start_group,
    wait_process_end,
    wait_until,
)

DOOR = ("uwsgi",)
APP = """\
import os

LOADED_BY = os.getpid()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    facts = (os.getpid(), LOADED_BY, os.environ.get("COLOUR"), environ["wsgi.multithread"], environ["SCRIPT_NAME"])
    return ["|".join(map(str, facts)).encode()]


app = application
"""
# As of a tutorial, with nothing that needs root.
INI = """\
[uwsgi]
project = shop
base = %d
chdir = %(base)
module = %(project)
callable = app

master = true
processes = 2
http-socket = 127.0.0.1:$(SHOP_PORT)
vacuum = true
env = COLOUR=green
pidfile = %(base)%(project).pid
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    (tmp_path / "shop.ini").write_text(INI)
    return tmp_path


def start(hostler_server: StartServer, project: Path, *options: str, ready: bool = True) -> RunningServer:
    port = free_port()
    server = hostler_server(
        None,
        "--ini",
        "shop.ini",
        *options,
        bind="",
        env={"SHOP_PORT": str(port)},
        cwd=project,
        command=DOOR,
        ready=ready,
    )
    server.host, server.port = "127.0.0.1", port
    return server


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hostler", "uwsgi", *arguments]
    env = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


def ask(server: RunningServer) -> list[str]:
    return server.get("/a?b=c").text.split("|")


def write_pipe(path: Path, text: str) -> None:
    with path.open("w") as pipe:
        pipe.write(text)


def test_file_is_served_as_it_is(hostler_server: StartServer, project: Path) -> None:
    server = start(hostler_server, project)
    worker, loaded_by, colour, is_threaded, _ = ask(server)
    assert (colour, is_threaded) == ("green", "False")
    # Loaded once, by neither the supervisor nor the worker.
    assert len({worker, loaded_by, str(server.pid)}) == 3
    assert (project / "shop.pid").read_text().strip() == str(server.pid)
    line = server.stdout.wait_for("msecs")
    assert re.search(
        rf"^\[pid: {worker}\|app: 0\|req: 0/0\] 127\.0\.0\.1 \(-\) \{{0 vars in 0 bytes\}} "
        r"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\] GET /a\?b=c => generated \d+ bytes in \d+ msecs "
        r"\(HTTP/1\.1 200\) 0 headers in 0 bytes \(0 switches on core 0\)$",
        line,
        re.MULTILINE,
    )
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert not (project / "shop.pid").exists()


def test_signals_mean_what_they_mean_to_uwsgi(hostler_server: StartServer, project: Path) -> None:
    server = start(hostler_server, project)
    for count, number in enumerate((signal.SIGTERM, signal.SIGHUP), 1):
        server.signal(number)
        server.stderr.wait_for(" reloaded", count=count)
    for harmless in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        server.signal(harmless)
    server.stderr.wait_for("paused: requests wait until the server is resumed")
    server.signal(signal.SIGTSTP)
    server.stderr.wait_for("resumed")
    worker = ask(server)[0]
    assert re.search(rf"status: .*worker [12] is process {worker}\b", server.stderr.wait_for("status: "))
    assert server.get("/").status == 200
    server.signal(signal.SIGQUIT)
    assert server.wait() == 0
    assert "stopping now" in server.stderr.wait_end()


def test_term_ends_with_die_on_term(hostler_server: StartServer, project: Path) -> None:
    server = start(hostler_server, project, "--die-on-term")
    server.signal(signal.SIGQUIT)
    server.stderr.wait_for(" reloaded")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_fifo_takes_commands(hostler_server: StartServer, project: Path) -> None:
    server = start(hostler_server, project, "--master-fifo", "shop.fifo")
    before = ask(server)[1]
    write_pipe(project / "shop.fifo", "r")
    server.stderr.wait_for(" reloaded")
    wait_until(lambda: ask(server)[1] != before, "the old workers have left")
    write_pipe(project / "shop.fifo", "+")
    server.stderr.wait_for("now wanted: 3 workers")
    write_pipe(project / "shop.fifo", "p")
    server.stderr.wait_for("paused: requests wait until the server is resumed")
    write_pipe(project / "shop.fifo", "p")
    server.stderr.wait_for("resumed")
    write_pipe(project / "shop.fifo", "q")
    assert server.wait() == 0
    assert not (project / "shop.fifo").exists()


def test_pid_file_pauses_and_resumes(hostler_server: StartServer, project: Path) -> None:
    server = start(hostler_server, project)
    assert run(project, "--pause", "shop.pid").returncode == 0
    server.stderr.wait_for("paused: requests wait until the server is resumed")
    assert run(project, "--resume", "shop.pid").returncode == 0
    server.stderr.wait_for("resumed")
    assert server.get("/").status == 200


def test_touched_file_reloads(hostler_server: StartServer, project: Path) -> None:
    (project / "touched").touch()
    (project / "shop.ini").write_text(INI + "touch-reload = %dtouched\ntouch-exec = %dran echo done > %ddone\n")
    (project / "ran").touch()
    server = start(hostler_server, project)
    (project / "shop.ini").write_text(INI.replace("green", "blue") + "touch-reload = %dtouched\n")
    os.utime(project / "ran", (1, 1))
    wait_until((project / "done").exists, "the command of touch-exec has run")
    os.utime(project / "touched", (1, 1))
    server.stderr.wait_for(" reloaded")
    wait_until(lambda: ask(server)[2] == "blue", "the old workers have left")


def test_reload_that_cannot_be_changes_nothing(hostler_server: StartServer, project: Path) -> None:
    server = start(hostler_server, project)
    (project / "shop.ini").write_text(INI + "route = ^/ basicauth:x\n")
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reload refused")
    (project / "shop.ini").write_text(INI)
    (project / "shop.py").write_text("import nonsense_that_is_not_there\n")
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reload abandoned")
    assert ask(server)[2] == "green"


def test_attached_daemon_lives_and_ends_with_the_server(hostler_server: StartServer, project: Path) -> None:
    (project / "daemon.sh").write_text('echo "$$ $COLOUR $PWD" > daemon.txt\nexec sleep 600\n')
    server = start(hostler_server, project, "--attach-daemon", "sh daemon.sh")
    path = project / "daemon.txt"
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"), "the daemon has started")
    pid, colour, directory = path.read_text().split()
    assert (colour, directory) == ("green", str(project))
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    wait_process_end(int(pid))


def test_imports_are_done(hostler_server: StartServer, project: Path) -> None:
    (project / "early.py").write_text("import os\n\nos.environ['COLOUR'] = 'early'\n")
    (project / "late.py").write_text("import os\nfrom shop import LOADED_BY\n\nos.environ['COLOUR'] += ' late'\n")
    server = start(hostler_server, project, "--shared-import", "early", "--import", "late")
    assert ask(server)[2] == "early late"


def test_harakiri_answers_for_what_is_stuck(hostler_server: StartServer, project: Path) -> None:
    (project / "shop.py").write_text(
        "import threading\n\n\n"
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/stuck':\n"
        "        threading.Event().wait(60)\n"
        "    start_response('200 OK', [])\n"
        "    return [b'']\n"
    )
    server = start(hostler_server, project, "--harakiri", "1", "--harakiri-verbose")
    assert server.get("/stuck").status == 503
    assert server.get("/").status == 200


def test_virtual_environment_is_used(hostler_server: StartServer, project: Path) -> None:
    packages = project / f"venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    (project / "linked").mkdir()
    # A package, and one that is linked from elsewhere, as an editable install has it.
    (packages / "stabling.py").write_text("COLOUR = 'from the venv'\n")
    (packages / "linked.pth").write_text(f"{project}/linked\n")
    (project / "linked" / "hay.py").write_text("import os\nimport stabling\n\nos.environ['COLOUR'] = stabling.COLOUR\n")
    server = start(hostler_server, project, "--virtualenv", "venv", "--import", "hay")
    assert ask(server)[2] == "from the venv"


def test_daemonize_goes_to_the_background(project: Path) -> None:
    port = free_port()
    done = run(project, "shop.ini", "--daemonize", "out.log", SHOP_PORT=str(port))
    assert done.returncode == 0
    pid_file = project / "shop.pid"
    wait_until(lambda: pid_file.exists() and bool(pid_file.read_text().strip()), "the daemon has written its pid")
    pid = int(pid_file.read_text())
    try:
        wait_until(lambda: "listening" in (project / "out.log").read_text(), "the daemon serves")
        assert os.getsid(pid) not in (os.getsid(0), pid)
    finally:
        assert run(project, "--stop", "shop.pid").returncode == 0
        wait_process_end(pid)


@pytest.mark.parametrize(
    "arguments,status,words",
    [
        (["--module", "absent_module", "--http-socket", "127.0.0.1:0", "--need-app"], 22, "absent_module"),
        (["--module", "shop:absent", "--http-socket", "127.0.0.1:0"], 22, "absent"),
        (["--nonsense"], 1, "unknown option --nonsense"),
        (["--strict", "--set", "mastr=true"], 1, "unknown option mastr; did you mean master?"),
        (["--module", "shop"], 1, "no socket was named"),
        (["--module", "shop", "--http-socket", "nowhere.invalid:80"], 1, "nowhere.invalid"),
        (["--stop", "absent.pid"], 1, "holds no process id"),
        (["--exit=7"], 7, ""),
        (["--print", "printed", "--no-server"], 0, "printed"),
        (["--show-config", "--set-ph", "a=1", "--no-server"], 0, "a = 1\n"),
        (["--get", "threads", "--set", "threads=3"], 0, "3\n"),
        (["--dump-options"], 0, "wsgi-file\n"),
        (["--version"], 0, "hostler"),
        (["--help"], 0, "-p, --processes VALUE, --workers VALUE"),
    ],
)
def test_exit_statuses_are_those_of_uwsgi(project: Path, arguments: list[str], status: int, words: str) -> None:
    done = run(project, *arguments)
    assert (done.returncode, words in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr


def test_socket_of_systemd_is_served(project: Path) -> None:
    # What a socket unit hands over, with uWSGI's way to name it.
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        words = ["uwsgi", "--ini", "shop.ini", "--http-socket", f"fd://{listener.fileno()}"]
        server = start_group(
            [sys.executable, "-m", "hostler", *words],
            f"127.0.0.1:{port}",
            env={"SHOP_PORT": str(free_port())},
            cwd=project,
            pass_fds=(listener.fileno(),),
        )
    with server:
        server.wait_ready()
        assert server.get("/").status == 200
