"""`hostler gunicorn` with real processes: Gunicorn's own files and command lines, served by Hostler."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.certificates import Authority
from tests.e2e.harness import PATIENCE, RunningServer, StartServer, wait_process_end

DOOR = ("gunicorn",)

APP = """\
import logging
import os

LOADED_BY = os.getpid()
connection = ["open"]
borrowed = logging.getLogger("gunicorn.error")


def application(environ, start_response):
    borrowed.info("borrowed by %s", environ["PATH_INFO"])
    logging.getLogger("shop").warning("from the shop")
    start_response("200 OK", [("Content-Type", "text/plain")])
    facts = (os.getpid(), LOADED_BY, os.environ.get("COLOUR"), connection, environ["wsgi.multithread"])
    return ["|".join(map(str, facts)).encode()]
"""

HOOKS = """\
import os

workers = 2
raw_env = ["COLOUR=green"]


def note(log, name, *facts):
    log.info("hook %s in %s: %s", name, os.getpid(), " ".join(map(str, facts)))


def on_starting(server):
    note(server.log, "on_starting", server.pid)


def when_ready(server):
    note(server.log, "when_ready", sorted(worker.age for worker in server.WORKERS.values()))


def pre_fork(server, worker):
    worker.ticket = f"ticket{worker.age}"
    note(server.log, "pre_fork", worker.pid, os.environ["COLOUR"])


def post_fork(server, worker):
    note(server.log, "post_fork", worker.pid, worker.ticket, os.environ["COLOUR"])


def post_worker_init(worker):
    note(worker.log, "post_worker_init", worker.booted)


def worker_int(worker):
    note(worker.log, "worker_int", worker.alive)


def pre_request(worker, req):
    note(worker.log, "pre_request", req.method, req.uri)


def post_request(worker, req, environ, resp):
    note(worker.log, "post_request", req.path, resp.status_code, worker.nr)


def child_exit(server, worker):
    note(server.log, "child_exit", worker.pid, worker.ticket)


def worker_exit(server, worker):
    note(server.log, "worker_exit", worker.pid)


def nworkers_changed(server, new_value, old_value):
    note(server.log, "nworkers_changed", new_value, old_value)


def on_reload(server):
    note(server.log, "on_reload", server.cfg.workers)


def on_exit(server):
    note(server.log, "on_exit", len(server.WORKERS))
"""

ASGI = """\
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hostler", "gunicorn", *arguments]
    env = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


def hooks(server: RunningServer) -> list[tuple[str, int, str]]:
    """List the calls that the log tells of: name, process id, facts."""
    found = re.findall(r"hook (\w+) in (\d+): (.*)", server.stderr.text)
    return [(name, int(pid), facts) for name, pid, facts in found]


def test_hooks_are_called_in_their_processes(hostler_server: StartServer, project: Path) -> None:
    (project / "gunicorn.conf.py").write_text(HOOKS)
    server = hostler_server("shop", cwd=project, command=DOOR)
    worker, loaded_by, colour, _, is_threaded = server.get("/a%20b?c=d").text.split("|")
    assert worker == loaded_by
    assert (colour, is_threaded) == ("green", "False")
    server.stderr.wait_for("hook post_request")
    assert server.stop() == 0
    server.stderr.wait_end()
    calls = hooks(server)
    above = [(name, facts) for name, pid, facts in calls if pid == server.pid]
    assert above[:4] == [
        ("on_starting", str(server.pid)),
        ("nworkers_changed", "2 None"),
        ("pre_fork", "[booting] green"),
        ("pre_fork", "[booting] green"),
    ]
    assert above[4] == ("when_ready", "[1, 2]")
    assert [name for name, _ in above[5:]] == ["child_exit", "child_exit", "on_exit"]
    assert above[-1] == ("on_exit", "0")
    mine = [(name, facts) for name, pid, facts in calls if pid == int(worker)]
    ticket = mine[0][1].split()[1]
    assert mine == [
        ("post_fork", f"{worker} {ticket} green"),
        ("post_worker_init", "True"),
        ("pre_request", "GET /a%20b?c=d"),
        ("post_request", "/a%20b 200 1"),
        ("worker_exit", worker),
    ]
    assert ("child_exit", f"{worker} {ticket}") in above


def test_borrowed_logger_writes_to_the_server_log(hostler_server: StartServer, project: Path) -> None:
    server = hostler_server("shop:application", cwd=project, command=DOOR)
    server.get("/x")
    server.stderr.wait_for("INFO  borrowed by /x")


def test_worker_that_is_killed_is_told_to_child_exit(hostler_server: StartServer, project: Path) -> None:
    # As with the files of a metrics library for many processes, which whoever outlives a worker must tidy up.
    (project / "metrics").mkdir()
    (project / "gunicorn.conf.py").write_text(
        "import os\nfrom pathlib import Path\n\nraw_env = ['METRICS_DIR=metrics']\n\n"
        "def file(pid):\n    return Path(os.environ['METRICS_DIR'], f'counter_{pid}.db')\n\n"
        "def post_fork(server, worker):\n    file(worker.pid).touch()\n\n"
        "def child_exit(server, worker):\n    file(worker.pid).unlink()\n    server.log.info('tidied up')\n"
    )
    server = hostler_server("shop", cwd=project, command=DOOR)
    worker = int(server.get("/").text.split("|")[0])
    assert (project / f"metrics/counter_{worker}.db").exists()
    server.signal(signal.SIGKILL, worker)
    server.stderr.wait_for("tidied up")
    assert not (project / f"metrics/counter_{worker}.db").exists()


def test_preloaded_application_closes_its_connection_in_post_fork(hostler_server: StartServer, project: Path) -> None:
    (project / "gunicorn.conf.py").write_text(
        "preload_app = True\n\n"
        "def pre_fork(server, worker):\n    worker.marked = True\n\n"
        "def post_fork(server, worker):\n    import shop\n\n    assert worker.marked\n"
        "    shop.connection[:] = ['closed']\n"
    )
    server = hostler_server("shop", cwd=project, command=DOOR)
    worker, loaded_by, _, connection, _ = server.get("/").text.split("|")
    assert connection == "['closed']"
    assert len({worker, loaded_by, str(server.pid)}) == 3


def test_hooks_are_called_for_asgi(hostler_server: StartServer, project: Path) -> None:
    (project / "main.py").write_text(ASGI)
    (project / "gunicorn.conf.py").write_text(HOOKS.replace("workers = 2", "workers = 1\nwsgi_app = 'main:app'"))
    server = hostler_server(None, "-k", "uvicorn.workers.UvicornWorker", cwd=project, command=DOOR)
    assert server.get("/p?q").text == "http"
    assert "ASGI on" in server.stderr.text
    server.stderr.wait_for("post_request")
    server.signal(signal.SIGQUIT)
    assert server.wait() == 0
    server.stderr.wait_end()
    names = [name for name, pid, _ in hooks(server) if pid != server.pid]
    assert names == ["post_fork", "post_worker_init", "pre_request", "post_request", "worker_int", "worker_exit"]
    assert ("pre_request", "GET /p?q") in [(name, facts) for name, _, facts in hooks(server)]


def test_interrupt_of_a_wsgi_worker_is_told(hostler_server: StartServer, project: Path) -> None:
    (project / "gunicorn.conf.py").write_text(HOOKS)
    server = hostler_server("shop", "-w1", cwd=project, command=DOOR)
    server.signal(signal.SIGQUIT)
    assert server.wait() == 0
    assert "hook worker_int" in server.stderr.wait_end()


def test_reload_reads_the_file_and_its_hooks_again(hostler_server: StartServer, project: Path) -> None:
    path = project / "gunicorn.conf.py"
    path.write_text(HOOKS.replace("workers = 2", "workers = 1"))
    server = hostler_server("shop", cwd=project, command=DOOR)
    path.write_text(HOOKS.replace("green", "blue").replace("hook %s", "new hook %s"))
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reloaded")
    server.stderr.wait_for("hook child_exit")
    assert server.get("/").text.split("|")[2] == "blue"
    assert f"new hook on_reload in {server.pid}: 2" in server.stderr.text
    assert f"new hook nworkers_changed in {server.pid}: 2 1" in server.stderr.text
    assert re.search(r"hook child_exit in \d+: \d+ ticket1\n", server.stderr.text)


def test_reload_with_a_broken_file_changes_nothing(hostler_server: StartServer, project: Path) -> None:
    path = project / "gunicorn.conf.py"
    path.write_text("raw_env = ['COLOUR=green']")
    server = hostler_server("shop", cwd=project, command=DOOR)
    before = server.children()
    path.write_text("raw_env = ['COLOUR=blue']\nworkers = undefined")
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("NameError: name 'undefined' is not defined")
    assert server.get("/").text.split("|")[2] == "green"
    assert server.children() == before


def test_signals_change_the_number_of_workers(hostler_server: StartServer, project: Path) -> None:
    (project / "gunicorn.conf.py").write_text(HOOKS)
    server = hostler_server("shop", cwd=project, command=DOOR)
    server.signal(signal.SIGTTIN)
    server.stderr.wait_for("3 2\n")
    server.signal(signal.SIGTTOU)
    server.stderr.wait_for("2 3\n")
    assert hooks(server)[0][0] == "on_starting"


def test_changed_file_is_loaded_with_reload(hostler_server: StartServer, project: Path) -> None:
    server = hostler_server("shop", "--reload", "-e", "COLOUR=red", cwd=project, command=DOOR)
    assert "reloads when a file changes" in server.stderr.text
    worker, _, colour, *_ = server.get("/").text.split("|")
    assert colour == "red"
    (project / "shop.py").write_text(APP.replace('"open"', '"changed"'))
    # It accepts connections until it is told to drain, which comes after the new one is ready.
    wait_process_end(int(worker))
    assert server.get("/").text.split("|")[3] == "['changed']"


def test_logging_settings_are_the_application_s(hostler_server: StartServer, project: Path) -> None:
    (project / "gunicorn.conf.py").write_text(
        "logconfig_dict = {'root': {'handlers': ['out'], 'level': 'INFO'},"
        "'handlers': {'out': {'class': 'logging.StreamHandler', 'formatter': 'f', 'stream': 'ext://sys.stdout'}},"
        "'formatters': {'f': {'format': '<%(name)s %(message)s>'}}}\n"
    )
    server = hostler_server("shop", cwd=project, command=DOOR)
    server.get("/")
    server.stdout.wait_for("<shop from the shop>")
    assert "<hostler" not in server.stdout.text


def test_hook_that_fails_keeps_the_server_from_starting(project: Path) -> None:
    statuses = {"on_starting(server)": 2, "post_fork(server, worker)": 3, "post_worker_init(worker)": 3}
    for hook, status in statuses.items():
        (project / "gunicorn.conf.py").write_text(f"def {hook}:\n    raise RuntimeError('no luck')\n")
        done = run(project, "-b", "127.0.0.1:0", "shop")
        assert done.returncode == status
        assert f"{hook.partition('(')[0]} failed: RuntimeError: no luck" in done.stderr


def test_configuration_is_checked_and_printed(project: Path) -> None:
    assert run(project, "--check-config", "shop").returncode == 0
    assert run(project, "--check-config", "shpo").returncode == 3
    printed = run(project, "--print-config", "-w", "3", "shop")
    assert printed.returncode == 0
    lines = dict(re.split(r"\s+= ", line, maxsplit=1) for line in printed.stdout.splitlines())
    assert (lines["workers"], lines["wsgi_app"], lines["keepalive"]) == ("3", "shop", "2")
    assert len(lines) == 120


def test_mistakes_and_warnings_are_lines(project: Path) -> None:
    done = run(project, "--bnid", "x", "shop")
    assert (done.returncode, done.stderr) == (2, "hostler: unknown option --bnid; did you mean --bind?\n")
    done = run(project, "--check-config", "shop", GUNICORN_CMD_ARGS="--statsd-host localhost:8125")
    assert done.returncode == 0
    assert done.stderr.startswith("hostler: warning: statsd_host: the metrics have names of their own")
    assert done.stderr.count("\n") == 1


def test_help_and_version(project: Path) -> None:
    assert "--worker-class" in run(project, "--help").stdout
    assert run(project, "-v").stdout.startswith("hostler ")


def test_certificate_makes_the_address_speak_tls(hostler_server: StartServer, project: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    made = authority.issue("127.0.0.1")
    arguments = ["--certfile", str(made.chain), "--keyfile", str(made.key)]
    server = hostler_server("shop", *arguments, cwd=project, command=DOOR)
    raw = socket.create_connection((server.host, server.port), PATIENCE)
    with authority.client_context().wrap_socket(raw, server_hostname="127.0.0.1") as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert stream.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_timeout_of_a_sync_worker_ends_a_request(hostler_server: StartServer, project: Path) -> None:
    (project / "slow.py").write_text(
        "import time\n"
        "def application(environ, start_response):\n"
        "    deadline = time.monotonic() + 30\n"
        "    while time.monotonic() < deadline:\n"
        "        time.sleep(0.01)\n"
        "    start_response('200 OK', [])\n"
        "    return []\n"
    )
    server = hostler_server("slow", "--timeout", "1", cwd=project, command=DOOR)
    assert server.get("/").status == 503
    server.stderr.wait_for("time.sleep(0.01)")
