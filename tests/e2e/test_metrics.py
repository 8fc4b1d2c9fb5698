"""Metrics of a real server, as Prometheus reads them."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hostler.telemetry.metric import METRICS
from tests.conftest import FindPeer
from tests.e2e.gate import Gate
from tests.e2e.harness import PATIENCE, ROOT, RunningServer, StartServer, wait_process_end, wait_until
from tests.e2e.terminal import Terminal

APP = "tests.e2e.apps.robust:app"
GUIDE = ROOT / "docs" / "guides" / "metrics.md"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def ask(path: Path, target: str = "/metrics", method: str = "GET") -> tuple[int, str, str]:
    """Ask for metrics; gives status, type and text."""
    connection = UnixConnection(path)
    connection.request(method, target, headers={"Accept": OPENMETRICS})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Content-Type"], text


def read(path: Path) -> Values:
    status, kind, text = ask(path)
    assert (status, kind) == (200, OPENMETRICS)
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def metrics_process(server: RunningServer) -> int:
    """Find the process that serves metrics."""
    for pid in server.children():
        if Path(f"/proc/{pid}/cmdline").read_text().startswith("hostler: metrics"):
            return pid
    return 0


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    return tmp_path / "m"


def test_requests_and_processes_are_told(hostler_server: StartServer, path: Path) -> None:
    server = hostler_server(APP, "--workers", "2", "--metrics", f"unix:{path}")
    for target in ("/", "/work", "/nothing"):
        server.get(target)
    server.get("/error")
    wait_until(lambda: read(path)["hostler_responses_total", (("status", "5xx"),)] == 1, "the end of the last request")
    values = read(path)
    assert values["hostler_requests_total", ()] == 4
    assert values["hostler_application_failures_total", ()] == 1
    assert values["hostler_request_duration_seconds_count", ()] == 4
    assert values["hostler_listener_backlog", (("listener", f"http://127.0.0.1:{server.port}"),)] == 0
    for slot in ("1", "2"):
        assert values["hostler_worker_resident_memory_bytes", (("worker", slot),)] > 10_000_000
    assert values["hostler_supervisor_resident_memory_bytes", ()] > 10_000_000


def test_address_of_metrics_is_not_one_of_the_application(hostler_server: StartServer, path: Path) -> None:
    server = hostler_server(APP, "--metrics", f"unix:{path}")
    assert ask(path, "/")[0] == 404
    assert ask(path, method="POST")[0] == 405
    assert str(path) not in server.stderr.text
    assert server.get("/metrics").status == 404


def test_stuck_worker_is_told(hostler_server: StartServer, path: Path, gate: Gate) -> None:
    server = hostler_server(APP, "--workers", "1", "--metrics", f"unix:{path}", env=gate.env)
    with server.connect() as client:
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: test\r\n\r\n")
        gate.wait("hang")
        worker = (("worker", "1"),)
        wait_until(lambda: read(path)["hostler_worker_silent_seconds", worker] > 1, "the silence of the worker")
        values = read(path)
        assert values["hostler_worker_oldest_request_seconds", worker] > 1
        # Nobody accepts: what comes now waits in the kernel.
        with server.connect():
            address = (("listener", f"http://127.0.0.1:{server.port}"),)
            assert values["hostler_listener_backlog", address] == 0
            wait_until(lambda: read(path)["hostler_listener_backlog", address] == 1, "a connection in the queue")


def test_killed_metrics_process_is_replaced_and_counts_go_on(hostler_server: StartServer, path: Path) -> None:
    server = hostler_server(APP, "--metrics", f"unix:{path}")
    server.get("/")
    victim = metrics_process(server)
    server.signal(signal.SIGKILL, victim)
    wait_process_end(victim)
    assert read(path)["hostler_requests_total", ()] == 1
    assert metrics_process(server) not in (0, victim)


def test_recycled_workers_leave_no_gap(hostler_server: StartServer, path: Path) -> None:
    options = ("--workers", "1", "--max-requests", "5", "--metrics", f"unix:{path}")
    server = hostler_server(APP, *options)
    seen = []
    for _ in range(40):
        server.get("/")
        seen.append(read(path)["hostler_requests_total", ()])
    assert seen == sorted(seen)
    wait_until(lambda: read(path)["hostler_requests_total", ()] == 40, "all requests in the sum")


def test_reload_moves_the_address(hostler_server: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "hostler.toml"
    text = f'[app]\ntarget = "{APP}"\n[metrics]\nbind = ["unix:{tmp_path}/%s"]\n'
    config.write_text(text % "a")
    server = hostler_server(None, "--config", str(config))
    server.get("/")
    assert read(tmp_path / "a")["hostler_requests_total", ()] == 1
    config.write_text(text % "b")
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reloaded")
    wait_until(lambda: not (tmp_path / "a").exists(), "the end of the old address")
    assert read(tmp_path / "b")["hostler_requests_total", ()] == 1
    config.write_text(f'[app]\ntarget = "{APP}"\n')
    server.signal(signal.SIGHUP)
    server.stderr.wait_for("reloaded", count=2)
    wait_until(lambda: metrics_process(server) == 0, "the end of the metrics process")
    wait_until(lambda: not (tmp_path / "b").exists(), "the end of the last address")


def test_address_that_is_taken_refuses_the_start(hostler_server: StartServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        server = hostler_server(APP, "--metrics", address, ready=False)
        assert server.wait() == 4
    assert address in server.stderr.text


def test_upgrade_passes_the_address_on(hostler_server: StartServer, path: Path) -> None:
    server = hostler_server(APP, "--metrics", f"unix:{path}")
    before = metrics_process(server)
    inode = path.stat().st_ino
    server.signal(signal.SIGUSR2)
    wait_process_end(before)
    assert read(path)["hostler_requests_total", ()] == 0
    assert path.stat().st_ino == inode


def test_promtool_finds_nothing_to_say(hostler_server: StartServer, find_peer: FindPeer) -> None:
    promtool = find_peer("promtool")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hostler_server(APP, "--metrics", f"127.0.0.1:{port}")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read()
    connection.close()
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("name, check", [("prometheus.yml", "config"), ("hostler.rules.yml", "rules")])
def test_files_of_the_guide_are_accepted_by_prometheus(
    find_peer: FindPeer, tmp_path: Path, name: str, check: str
) -> None:
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    for file, text in blocks:
        (tmp_path / file).write_text(text)
    checked = subprocess.run(
        [find_peer("promtool"), "check", check, name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_of_the_guide_name_metrics_that_exist() -> None:
    named = set(re.findall(r"\bhostler_\w+", GUIDE.read_text()))
    suffixes = ("", "_total", "_bucket", "_count", "_sum", "_info")
    known = {f"{metric.name}{suffix}" for metric in METRICS for suffix in suffixes}
    assert named - known == set()


@pytest.mark.parametrize("family", ["udp", "unix"])
def test_statsd_is_told_at_intervals(hostler_server: StartServer, tmp_path: Path, family: str) -> None:
    with socket.socket(socket.AF_UNIX if family == "unix" else socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(PATIENCE)
        receiver.bind(str(tmp_path / "s") if family == "unix" else ("127.0.0.1", 0))
        target = f"unix:{tmp_path}/s" if family == "unix" else f"127.0.0.1:{receiver.getsockname()[1]}"
        options = ("--metrics-push-interval", "0.2", "--metrics-statsd-format", "dogstatsd", "--workers", "1")
        server = hostler_server(APP, "--statsd", target, "--metrics-statsd-tags", "env=test", *options)
        receiver.recv(65_536)
        for _ in range(3):
            server.get("/")
        total = 0
        while total < 3:
            datagram = receiver.recv(65_536).decode()
            assert len(datagram) <= (8192 if family == "unix" else 1432)
            total += sum(
                int(count) for count in re.findall(r"^hostler\.requests:(\d+)\|c\|#env:test$", datagram, re.MULTILINE)
            )
        assert total == 3
        server.stop()


def test_statsd_that_is_not_there_is_told_once(hostler_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = hostler_server(APP, "--statsd", f"unix:{path}", "--metrics-push-interval", "0.1")
    server.stderr.wait_for(f"metrics: cannot send to unix:{path}: No such file or directory")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(PATIENCE)
        receiver.bind(str(path))
        # Nobody reads on: the server does not wait for anybody.
        receiver.recv(65_536)
        server.stderr.wait_for(f"sending to unix:{path} again")
        assert server.get("/").status == 200
        assert server.stop() == 0
    assert server.stderr.text.count("cannot send") <= 2


def test_uwsgi_tools_read_the_statistics(hostler_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "stats"
    server = hostler_server(APP, "--workers", "2", "--metrics-uwsgi-stats", f"unix:{path}", "--max-requests", "2")
    for _ in range(7):
        server.get("/")
    document = read_stats(path)
    wait_until(lambda: sum(each["requests"] for each in read_stats(path)["workers"]) == 7, "all requests")
    assert [worker["id"] for worker in document["workers"]] == [1, 2]
    uwsgitop = Path(sys.executable).parent / "uwsgitop"
    env = {"TERM": "xterm", "LINES": "24", "COLUMNS": "120"}
    with Terminal([sys.executable, str(uwsgitop), str(path)], tmp_path, env) as terminal:
        terminal.output.wait_for("req: 7")
        terminal.output.wait_for(f"masterpid: {server.pid}")
        terminal.press(b"q")
        assert terminal.wait() == 0


def test_client_that_reads_nothing_holds_up_nobody(hostler_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "stats"
    hostler_server(APP, "--metrics-uwsgi-stats", f"unix:{path}")
    with ExitStack() as stack:
        for _ in range(5):
            idle = stack.enter_context(socket.socket(socket.AF_UNIX))
            idle.connect(str(path))
        assert read_stats(path)["workers"]


def read_stats(path: Path) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        document: dict[str, Any] = json.loads(b"".join(iter(lambda: client.recv(65_536), b"")))
        return document
