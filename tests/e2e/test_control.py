"""The commands that talk to a running server, with real servers."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hostler.control.openapi import build_document
from hostler.control.operation import REQUESTS
from tests.e2e.harness import (
    RunningServer,
    StartServer,
    Transcript,
    wait_process_end,
    wait_until,
)
from tests.e2e.operator import ask_json, environ, exchange, fetch, find_socket, operate

APP = "tests.e2e.apps.operated:app"
ASGI = "tests.e2e.apps.operated:asgi"


def workers(server: RunningServer) -> list[dict[str, Any]]:
    return [child for child in ask_json(server, "status")["children"] if child["role"] == "worker"]


@contextmanager
def request_in_progress(server: RunningServer, path: str) -> Iterator[None]:
    """Have a request in the application for as long as the block lasts."""
    with server.connect() as stream:
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: any(each["path"] == path.partition("?")[0] for each in in_flight(server)), "it is there")
        yield


def in_flight(server: RunningServer) -> list[dict[str, Any]]:
    _, answer = fetch(find_socket(server), "/v1/requests")
    found: list[dict[str, Any]] = answer["requests"]
    return found


class TestStatus:
    def test_it_tells_what_runs(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP, "--workers", "2")
        for _ in range(3):
            server.get("/")
        done = operate(server, "status")
        assert done.returncode == 0
        assert f"pid {server.pid}" in done.stdout
        assert f"listening    {server.url}" in done.stdout
        assert "2 wanted, 2 ready" in done.stdout
        assert len(re.findall(r"^worker \d .* ready, idle ", done.stdout, re.MULTILINE)) == 2
        status = ask_json(server, "status")
        assert (status["phase"], status["application"], status["workers"]) == ("running", APP, 2)
        assert sorted(each["pid"] for each in status["children"]) == sorted(server.children())
        assert sum(each["load"]["finished"] for each in status["children"]) == 3
        assert all(each["memory"] > 1_000_000 for each in status["children"])

    def test_what_it_answers_is_what_its_description_says(self, hostler_server: StartServer, tmp_path: Path) -> None:
        server = hostler_server(ASGI)
        path = find_socket(server)
        document = build_document()
        assert fetch(path, "/openapi.json") == (200, json.loads(json.dumps(document)))
        fetch(path, "/v1/reload", "POST")
        with request_in_progress(server, "/cook"):
            for target, methods in document["paths"].items():
                if "get" in methods:
                    status, answer = fetch(path, target.replace("{worker}", "1"))
                    assert status == 200
                    schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
                    Draft202012Validator(schema).validate(answer)
                    assert answer

    def test_without_a_server_it_says_so(self, tmp_path: Path) -> None:
        done = operate(tmp_path, "status")
        assert done.returncode == 6
        assert f"no server runs that could be asked; looked in {tmp_path}" in done.stderr


class TestReload:
    def test_it_waits_until_the_new_workers_serve(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        former = server.children()
        done = operate(server, "reload")
        assert (done.returncode, done.stdout) == (0, "reloaded\n")
        assert {each["generation"] for each in workers(server) if each["state"] == "ready"} == {2}
        wait_process_end(former[0])
        assert ask_json(server, "status")["last_reload"]["outcome"] == "reloaded"

    def test_code_that_does_not_load_is_told_with_its_traceback(
        self, hostler_server: StartServer, tmp_path: Path
    ) -> None:
        (tmp_path / "shop.py").write_text("from tests.e2e.apps.operated import app")
        server = hostler_server("shop:app", cwd=tmp_path)
        former = server.children()
        (tmp_path / "shop.py").write_text("import nowhere_to_be_found")
        done = operate(server, "reload")
        assert done.returncode == 3
        assert 'shop.py", line 1' in done.stderr
        assert "hostler: reload abandoned, the old workers stay: " in done.stderr
        assert server.children() == former
        assert ask_json(server, "status")["last_reload"]["outcome"] == "abandoned"

    def test_configuration_that_cannot_be_is_told(self, hostler_server: StartServer, tmp_path: Path) -> None:
        (tmp_path / "hostler.toml").write_text(f'[app]\ntarget = "{APP}"\n')
        server = hostler_server(None, cwd=tmp_path)
        (tmp_path / "hostler.toml").write_text("[workers]\ncuont = 3\n")
        done = operate(server, "reload")
        assert done.returncode == 2
        assert "reload refused, the old configuration stays: " in done.stderr
        assert "cuont" in done.stderr

    def test_every_one_of_several_hears_of_a_reload(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        path, answers = find_socket(server), []
        askers = [threading.Thread(target=lambda: answers.append(fetch(path, "/v1/reload", "POST"))) for _ in range(5)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert answers == [(200, {"outcome": "reloaded"})] * 5

    def test_stop_meanwhile_is_told(self, hostler_server: StartServer, tmp_path: Path) -> None:
        (tmp_path / "shop.py").write_text("from tests.e2e.apps.operated import app")
        server = hostler_server("shop:app", cwd=tmp_path)
        (tmp_path / "shop.py").write_text("import time; time.sleep(60)")
        with subprocess.Popen(
            [sys.executable, "-m", "hostler", "reload"], env=environ(server), stderr=subprocess.PIPE, text=True
        ) as asker:
            server.stderr.wait_for("reloading")
            server.signal(signal.SIGTERM)
            assert "no reload: the server is stopping" in asker.communicate(timeout=30)[1]
        assert asker.returncode == 1


class TestScale:
    def test_number_of_workers_is_set_and_changed(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        assert "3 workers are wanted now, 1 were before" in operate(server, "scale", "3").stdout
        wait_until(lambda: len(server.children()) == 3, "three workers")
        assert ask_json(server, "scale", "+1") == {"former": 3, "workers": 4}
        assert ask_json(server, "scale", "-9") == {"former": 4, "workers": 1}
        wait_until(lambda: len(server.children()) == 1, "one worker")

    @pytest.mark.parametrize("text", ["0", "many", "1.5", "99999"])
    def test_other_texts_are_refused(self, text: str, tmp_path: Path) -> None:
        done = operate(tmp_path, "scale", text)
        assert done.returncode == 2
        assert f'"{text}" is no number of workers' in done.stderr


class TestStop:
    def test_it_returns_when_everything_has_ended(self, hostler_server: StartServer, tmp_path: Path) -> None:
        server = hostler_server(APP, "--pid-file", str(tmp_path / "pid"))
        answers: list[bytes] = []
        gate = tmp_path / "gate"
        with server.connect() as stream:
            stream.sendall(f"GET /wait?{gate} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            wait_until(lambda: len(in_flight(server)) == 1, "a request in progress")
            late = operate(server, "stop", "--timeout", "200ms")
            assert late.returncode == 1
            assert "still stopping after 0.2 s" in late.stderr
            reader = threading.Thread(target=lambda: answers.append(stream.makefile("rb").read()))
            reader.start()
            gate.touch()
            path = find_socket(server) if list(server.control_directory.glob("*.sock")) else None
            if path is not None:
                operate(server, "stop")
            reader.join()
        assert b"hello" in answers[0]
        assert server.wait() == 0
        assert not (tmp_path / "pid").exists()
        assert not list(server.control_directory.iterdir())

    def test_process_is_gone_when_it_returns(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        done = operate(server, "stop")
        assert (done.returncode, done.stdout) == (0, "stopped\n")
        assert server.process.poll() == 0

    def test_now_does_not_wait_for_requests(self, hostler_server: StartServer, tmp_path: Path) -> None:
        server = hostler_server(APP)
        with request_in_progress(server, f"/wait?{tmp_path}/never"):
            assert operate(server, "stop", "--now").returncode == 0
        assert server.process.poll() == 0


class TestUpgrade:
    def test_new_supervisor_has_the_socket_when_it_returns(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        path = find_socket(server)
        answer = ask_json(server, "upgrade")
        try:
            assert answer["outcome"] == "upgraded"
            assert answer["pid"] != server.pid
            assert server.wait() == 0
            assert find_socket(server) == path
            status = ask_json(server, "status")
            assert (status["pid"], status["name"]) == (answer["pid"], path.stem)
            assert server.get("/").status == 200
            assert operate(server, "stop").returncode == 0
            assert not list(server.control_directory.iterdir())
        finally:
            if Path(f"/proc/{answer['pid']}").exists():
                os.kill(answer["pid"], signal.SIGKILL)

    def test_upgrade_that_fails_is_told_and_the_socket_stays(self, hostler_server: StartServer, tmp_path: Path) -> None:
        (tmp_path / "shop.py").write_text("from tests.e2e.apps.operated import app")
        server = hostler_server("shop:app", cwd=tmp_path)
        (tmp_path / "shop.py").write_text("import nowhere_to_be_found")
        done = operate(server, "upgrade")
        assert done.returncode == 3
        assert "upgrade abandoned" in done.stderr
        assert ask_json(server, "status")["pid"] == server.pid


class TestLogs:
    def test_latest_records_are_shown_also_those_of_workers(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        server.get("/fail")
        server.stderr.wait_for("burns")
        done = operate(server, "logs")
        assert done.returncode == 0
        assert "GET /fail failed in the application" in done.stdout
        assert "\x1b" not in done.stdout, "nothing that an application says moves the operator's terminal"

    def test_follower_sees_what_comes_until_the_end(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        command = [sys.executable, "-u", "-m", "hostler", "logs", "-f", "-n", "0"]
        with subprocess.Popen(
            command, env=environ(server), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as follower:
            seen = Transcript()
            assert follower.stdout is not None
            thread = threading.Thread(target=seen.follow, args=(follower.stdout,))
            thread.start()
            # It may not have begun: what is asked for again and again is seen at last.
            wait_until(lambda: server.get("/fail").status == 500 and "kitchen" in seen.text, "a record is followed")
            server.stop()
            assert follower.wait(30) == 0
            thread.join()
        assert "stopping: requests in progress are finished" in seen.text

    def test_log_in_a_file_is_shown_and_reopened(self, hostler_server: StartServer, tmp_path: Path) -> None:
        log = tmp_path / "log"
        server = hostler_server(APP, "--log-file", str(log))
        log.rename(tmp_path / "log.1")
        assert operate(server, "reopen").returncode == 0
        assert log.exists()
        operate(server, "scale", "2")
        assert "now wanted: 2 workers" in log.read_text()
        assert "now wanted: 2 workers" in operate(server, "logs", "-n", "3").stdout

    def test_log_on_a_full_disk_can_still_be_read(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP, "--log-file", "/dev/full")
        server.get("/fail")
        wait_until(lambda: "kitchen" in operate(server, "logs").stdout, "the record")


class TestStacks:
    def test_request_in_python_is_found(self, hostler_server: StartServer, tmp_path: Path) -> None:
        server = hostler_server(APP, "--workers", "2")
        with request_in_progress(server, f"/wait?{tmp_path}/never"):
            done = operate(server, "stacks")
        assert done.returncode == 0
        assert done.stdout.count("wait_for_gate") == 1
        assert "worker 1 (pid " in done.stdout
        assert "worker 2 (pid " in done.stdout
        assert "supervisor/shell.py" not in done.stdout

    def test_threads_that_all_sleep_answer_every_time(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        streams = [server.connect() for _ in range(3)]
        for number, stream in enumerate(streams, 1):
            stream.sendall(b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda number=number: len(in_flight(server)) == number, "it is there")  # type: ignore[misc]
        for _ in range(8):
            (child,) = ask_json(server, "stacks")["children"]
            assert child["is_responsive"]
            assert sum(" in app" in (thread["stack"] or "") for thread in child["threads"]) == 3
            assert all(thread["id"] for thread in child["threads"]), "each is known to the kernel"
        for stream in streams:
            stream.close()
        operate(server, "stop", "--now")

    @pytest.mark.parametrize("target", [APP, ASGI])
    def test_worker_stuck_outside_of_python_is_found(self, hostler_server: StartServer, target: str) -> None:
        server = hostler_server(target)
        with request_in_progress(server, "/stuck"):
            done = operate(server, "stacks", "1")
            assert "did not answer within a second" in done.stdout
            assert "in be_stuck" in done.stdout

    def test_tasks_of_a_loop_are_shown_with_what_they_wait_for(self, hostler_server: StartServer) -> None:
        server = hostler_server(ASGI, "--loop", "asyncio")
        with request_in_progress(server, "/cook"):
            (child,) = ask_json(server, "stacks", str(server.children()[0]))["children"]
        assert child["is_responsive"]
        (task,) = [each for each in child["tasks"] if each["name"] == "the cook"]
        assert task["coroutine"] == "cook"
        assert "in cook" in task["stack"]
        assert " in wait" in task["stack"].splitlines()[0], "the innermost call comes first"

    def test_loop_that_is_blocked_in_python_still_answers(self, hostler_server: StartServer) -> None:
        server = hostler_server(ASGI, "--loop", "uvloop")
        with request_in_progress(server, "/sleep"):
            (child,) = ask_json(server, "stacks")["children"]
        assert child["is_responsive"]
        assert any("in asgi" in (thread["stack"] or "") for thread in child["threads"])

    def test_worker_goes_on_afterwards(self, hostler_server: StartServer, tmp_path: Path) -> None:
        server = hostler_server(APP, "--preload")
        (worker,) = [each["pid"] for each in workers(server)]
        gate = tmp_path / "gate"
        with server.connect() as stream:
            stream.sendall(f"GET /wait?{gate} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            wait_until(lambda: len(in_flight(server)) == 1, "a request in progress")
            for _ in range(20):
                status, answer = fetch(find_socket(server), "/v1/stacks")
                assert status == 200
                assert answer["children"][0]["is_responsive"]
            gate.touch()
            assert b"hello" in stream.makefile("rb").read()
        assert worker in server.children()

    def test_worker_that_loads_can_be_asked(self, hostler_server: StartServer, tmp_path: Path) -> None:
        (tmp_path / "shop.py").write_text("def load():\n    import time; time.sleep(60)\nload()")
        server = hostler_server("shop:app", cwd=tmp_path, ready=False)
        wait_until(lambda: bool(list(server.control_directory.glob("*.sock"))), "the control socket is there")
        wait_until(lambda: "in load" in operate(server, "stacks").stdout, "the stack of a worker that loads")

    def test_native_stacks_come_from_a_debugger(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        done = operate(server, "stacks", "--native")
        if done.returncode == 0:
            assert "  native:\n" in done.stdout
            assert "_start" in done.stdout
        else:
            assert re.search(r"eu-stack|gdb", done.stderr)

    def test_unknown_worker_is_refused(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        assert "there is no worker 7; there are 1" in operate(server, "stacks", "7").stderr
        assert operate(server, "stacks", "x").returncode == 2


class TestRequests:
    def test_requests_in_progress_are_listed_by_age(self, hostler_server: StartServer, tmp_path: Path) -> None:
        server = hostler_server(APP)
        said = operate(server, "requests").stdout
        assert re.fullmatch(r"no request is in progress\n\nno request has ended in the last \d+\.\ds\n", said)
        with (
            request_in_progress(server, f"/wait?{tmp_path}/never"),
            server.connect() as second,
        ):
            second.sendall(f"POST /wait?{tmp_path}/never HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            wait_until(lambda: len(in_flight(server)) == 2, "two requests in progress")
            lines = operate(server, "requests", "--slowest", "0").stdout.splitlines()
        assert [line.split()[4] for line in lines[1:]] == ["GET", "POST"]

    def test_slowest_of_late_are_listed_after_their_end(self, hostler_server: StartServer, tmp_path: Path) -> None:
        server = hostler_server(APP, "--workers", "2")
        gate = tmp_path / "gate"
        with request_in_progress(server, f"/wait?{gate}"):
            wait_until(lambda: in_flight(server)[0]["age"] > 0.3, "a slow request")
            gate.touch()
            wait_until(lambda: not in_flight(server), "its end")
        for _ in range(20):
            server.get("/quick")
        wait_until(lambda: ask_json(server, "status")["children"][0]["load"]["in_flight"] == 0, "the end of all")
        _, _, first, *others = operate(server, "requests", "--slowest", "3").stdout.splitlines()[2:]
        assert re.match(r" *(?:\d{3}ms|\d+\.\ds) .* 200 .* 127\.0\.0\.1 +GET +/wait +[0-9a-f]+$", first), first
        assert len(others) == 2
        assert all(" /quick " in line for line in others)
        told = ask_json(server, "requests")["slowest"]
        slowest = told["requests"][0]
        assert (slowest["path"], slowest["status"], slowest["is_lost"]) == ("/wait", 200, False)
        assert len(told["requests"]) == 16
        assert ask_json(server, "requests", "--slowest", "1")["slowest"]["requests"][0]["id"] == slowest["id"]
        Draft202012Validator(REQUESTS).validate(ask_json(server, "requests"))

    def test_number_of_the_slowest_that_is_none_is_refused(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        for wrong in ("-1", "many", "1001"):
            done = operate(server, "requests", f"--slowest={wrong}")
            assert done.returncode == 2
            assert "--slowest" in done.stderr
            assert fetch(find_socket(server), f"/v1/requests?slowest={wrong}")[0] == 400

    def test_worker_that_is_stuck_is_read_all_the_same(self, hostler_server: StartServer) -> None:
        server = hostler_server(APP)
        with request_in_progress(server, "/stuck"):
            assert "/stuck" in operate(server, "requests").stdout
            assert "ready, busy" in operate(server, "status").stdout


class TestInstances:
    def test_several_are_told_apart_by_name(self, hostler_server: StartServer, tmp_path: Path) -> None:
        env = {"HOSTLER_CONTROL_DIRECTORY": str(tmp_path / "run")}
        shop = hostler_server(APP, "--server-name", "shop", env=env)
        farm = hostler_server(APP, "--server-name", "farm", env=env, cwd=tmp_path)
        twin = hostler_server(APP, "--server-name", "shop", env=env)
        run = tmp_path / "run"
        listed = operate(run, "status").stdout
        for name, server in (("shop", shop), ("farm", farm), ("shop-2", twin)):
            assert re.search(rf"^{name} +{server.pid} +running ", listed, re.MULTILINE)
        confused = operate(run, "reload")
        assert confused.returncode == 6
        assert "choose one with --instance" in confused.stderr
        assert operate(run, "reload", "--instance", "shop-2").returncode == 0
        assert "reloaded" in twin.stderr.wait_for("reloaded")
        assert operate(run, "scale", "2", cwd=tmp_path).returncode == 0, "the only one that was started here"
        assert "now wanted: 2" in farm.stderr.wait_for("now wanted: 2")
        assert "did you mean farm?" in operate(run, "stop", "-i", "fram").stderr

    def test_socket_of_a_killed_server_is_taken_over(self, hostler_server: StartServer, tmp_path: Path) -> None:
        env = {"HOSTLER_CONTROL_DIRECTORY": str(tmp_path / "run")}
        first = hostler_server(APP, "--server-name", "shop", env=env)
        first.signal(signal.SIGKILL)
        first.wait()
        assert (tmp_path / "run/shop.sock").exists()
        assert operate(tmp_path / "run", "status").returncode == 6
        heir = hostler_server(APP, "--server-name", "shop", env=env)
        assert [each.name for each in (tmp_path / "run").iterdir()] == ["shop.sock"]
        assert f"pid {heir.pid}" in operate(tmp_path / "run", "status", "-i", "shop").stdout

    def test_socket_at_a_place_of_its_own(self, hostler_server: StartServer, tmp_path: Path) -> None:
        path = tmp_path / "shop.ctl"
        server = hostler_server(APP, "--control-socket", str(path))
        for arguments, env in ((("--socket", str(path)), {}), ((), {"HOSTLER_CONTROL_SOCKET": str(path)})):
            assert f"pid {server.pid}" in operate(tmp_path, "status", *arguments, env=env).stdout

    def test_server_without_a_socket_serves_all_the_same(self, hostler_server: StartServer, tmp_path: Path) -> None:
        off = hostler_server(APP, "--no-control-enabled")
        assert off.get("/").status == 200
        assert not off.control_directory.exists()
        (tmp_path / "file").write_text("")
        unable = hostler_server(APP, "--control-directory", str(tmp_path / "file"))
        assert unable.get("/").status == 200
        assert "WARN  there is no control socket: " in unable.stderr.text
        assert unable.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
class TestOthers:
    """Somebody else on the machine."""

    SCRIPT = """
import os, socket, sys
os.setgroups([int(each) for each in sys.argv[2].split(",") if each])
os.setgid(65534)
os.setuid(65534)
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
try:
    stream.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
except BrokenPipeError:
    pass  # who is refused has his answer already
print(stream.recv(65536).split()[1].decode())
"""

    @pytest.fixture(autouse=True)
    def fixture_open_directory(self, tmp_path: Path) -> None:
        for each in (tmp_path, *tmp_path.parents[:2]):
            each.chmod(0o755)

    def visit(self, path: Path, groups: str = "") -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", self.SCRIPT, str(path), groups], capture_output=True, text=True, check=False
        )
        return done.stdout.strip(), done.stderr

    def start(self, hostler_server: StartServer, directory: Path, *options: str) -> Path:
        hostler_server(APP, "--server-name", "shop", *options, env={"HOSTLER_CONTROL_DIRECTORY": str(directory)})
        return directory / "shop.sock"

    def test_stranger_cannot_connect_and_is_refused_if_he_can(
        self, hostler_server: StartServer, tmp_path: Path
    ) -> None:
        path = self.start(hostler_server, tmp_path / "run")
        assert "PermissionError" in self.visit(path)[1]
        path.chmod(0o666)
        assert self.visit(path)[0] == "403"

    def test_members_of_a_group_may(self, hostler_server: StartServer, tmp_path: Path) -> None:
        group = str(pwd.getpwnam("daemon").pw_gid)
        path = self.start(hostler_server, tmp_path / "run", "--control-group", group)
        assert path.stat().st_mode & 0o777 == 0o660
        assert self.visit(path, group) == ("200", "")
        assert "PermissionError" in self.visit(path)[1]

    def test_command_of_a_stranger_says_what_to_do(self, hostler_server: StartServer, tmp_path: Path) -> None:
        path = self.start(hostler_server, tmp_path / "run")
        # He may not be able to read our files, so a first run imports everything.
        imports = "import os, sys; from hostler.cli.main import main; main(['status', '--socket', '/nowhere']);"
        become = "os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        run = f"{become} sys.exit(main(['status', '--socket', {str(path)!r}]))"
        done = subprocess.run(
            [sys.executable, "-c", imports + run], capture_output=True, text=True, env=environ(tmp_path), check=False
        )
        assert done.returncode == 5
        assert "this user may not use" in done.stderr


def test_signals_and_socket_work_side_by_side(hostler_server: StartServer) -> None:
    server = hostler_server(APP)
    server.signal(signal.SIGTTIN)
    wait_until(lambda: ask_json(server, "status")["workers"] == 2, "the signal's effect is seen on the socket")
    assert exchange(find_socket(server), b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 505 ")
