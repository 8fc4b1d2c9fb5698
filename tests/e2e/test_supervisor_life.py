"""Start, crash, scale and stop of real processes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import wait_process_end, wait_until
from tests.e2e.supervised import Site, site


@pytest.fixture(name="shop")
def fixture_shop(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


class TestStart:
    def test_start_block_says_what_runs_where(self, shop: Site) -> None:
        shop.configure(workers={"count": 2, "threads": 3})
        shop.start()
        log = shop.server.stderr.wait_for("mode ")
        assert f"http://{shop.address}" in log
        assert "shop:app" in log
        assert "2 x 3 threads" in log

    @pytest.mark.parametrize("preload", [False, True])
    def test_application_that_cannot_load_ends_with_3_and_its_traceback(self, shop: Site, preload: bool) -> None:
        shop.configure(app={"preload": preload}, workers={"count": 2})
        shop.replace_code("VERSION = 1", "import no_such_module_here")
        shop.start(is_ready=False)
        assert shop.server.wait() == 3
        log = shop.server.stderr.wait_end()
        assert log.count("Traceback") == 1
        assert log.rstrip().splitlines()[-1].startswith("hostler: ")

    def test_application_that_exits_while_it_loads_ends_with_3(self, shop: Site) -> None:
        shop.replace_code("VERSION = 1", "os._exit(7)")
        shop.start(is_ready=False)
        assert shop.server.wait() == 3
        assert "exited with status 7 before it was ready" in shop.server.stderr.wait_end()

    def test_application_that_hangs_while_it_loads_ends_with_3(self, shop: Site) -> None:
        shop.configure(workers={"boot_timeout": 0.5})
        shop.replace_code("VERSION = 1", "time.sleep(100)")
        shop.start(is_ready=False)
        assert shop.server.wait() == 3
        assert "not ready within 0.5 s" in shop.server.stderr.wait_end()

    def test_address_in_use_ends_with_4(self, shop: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
        shop.start()
        with site(tmp_path_factory.mktemp("other"), shop.address) as other:
            other.start(is_ready=False)
            assert other.server.wait() == 4

    def test_engine_that_refuses_its_settings_ends_with_2(self, shop: Site) -> None:
        shop.configure(log={"access_format": "unusable"})
        shop.start(is_ready=False)
        assert shop.server.wait() == 2

    def test_closed_standard_streams_do_not_matter(self, shop: Site) -> None:
        shop.start(is_ready=False)
        shop.server.wait_ready()
        shop.server.stop()
        command = f"exec {' '.join(map(str, shop.server.process.args))} <&- >&- 2>&-"  # type: ignore[arg-type]
        environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}/src:{Path.cwd()}"}
        process = subprocess.Popen(["/bin/sh", "-c", command], env=environment)
        try:
            wait_until(lambda: _answers(shop), "the server answers")
            assert shop.facts()["parent"] == process.pid
        finally:
            process.terminate()
            assert process.wait(10) == 0


def _answers(shop: Site) -> bool:
    try:
        return shop.server.get("/").status == 200
    except OSError:
        return False


class TestWorkerSurroundings:
    @pytest.mark.parametrize("preload", [False, True])
    def test_worker_has_its_title_directory_and_parent(self, shop: Site, preload: bool) -> None:
        shop.configure(app={"preload": preload}, server={"name": "corner shop"})
        shop.start()
        facts = shop.facts()
        assert facts["title"] == "hostler: worker 1 corner shop"
        assert facts["cwd"] == str(shop.directory)
        assert facts["parent"] == shop.server.pid
        assert (facts["loaded_by"] == facts["pid"]) is not preload

    def test_worker_does_not_speak_for_the_service(self, shop: Site) -> None:
        shop.start(env={"WATCHDOG_USEC": "1000000"})
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & shop.facts()["environment"].keys()

    @pytest.mark.parametrize("preload", [False, True])
    def test_worker_inherits_only_what_it_needs(self, shop: Site, preload: bool) -> None:
        shop.configure(
            app={"preload": preload}, workers={"count": 3}, server={"pid_file": str(shop.directory / "shop.pid")}
        )
        shop.start()
        found = shop.facts()["descriptors"]
        # Pipes: standard output and error, status and lifeline. Sockets: listener, connection, two of the engine's for
        # signals, one for copies of log records.
        assert sum(each.startswith("pipe:") for each in found) == 4
        assert sum(each.startswith("socket:") for each in found) == 5
        assert sum("hostler-report" in each for each in found) == 1
        assert not any("shop.pid" in each for each in found)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    @pytest.mark.parametrize("preload", [False, True])
    def test_worker_is_unprivileged_and_the_supervisor_is_not(
        self, tmp_path_factory: pytest.TempPathFactory, preload: bool
    ) -> None:
        directory = tmp_path_factory.mktemp("open")
        for each in (directory, *directory.parents[:2]):
            each.chmod(0o755)
        with site(directory) as shop:
            shop.configure(app={"preload": preload}, server={"user": "nobody"})
            shop.start()
            facts = shop.facts()
            assert facts["uid"] != 0
            assert 0 not in facts["groups"]
            assert Path(f"/proc/{shop.server.pid}").stat().st_uid == 0


class TestCrash:
    @pytest.mark.parametrize("preload", [False, True])
    def test_killed_worker_is_replaced(self, shop: Site, preload: bool) -> None:
        shop.configure(app={"preload": preload})
        shop.start()
        former = shop.facts()["pid"]
        os.kill(former, signal.SIGKILL)
        shop.server.stderr.wait_for("was killed by SIGKILL")
        assert shop.facts()["pid"] != former

    def test_killed_fork_server_is_replaced_and_workers_live(self, shop: Site) -> None:
        shop.configure(app={"preload": True})
        shop.start()
        facts = shop.facts()
        os.kill(facts["loaded_by"], signal.SIGKILL)
        shop.server.stderr.wait_for("fork server is ready", count=2)
        assert shop.facts()["pid"] == facts["pid"]
        os.kill(facts["pid"], signal.SIGKILL)
        shop.server.stderr.wait_for("worker 1 is ready", count=2)
        assert shop.facts()["loaded_by"] != facts["loaded_by"]

    @pytest.mark.parametrize("preload", [False, True])
    def test_workers_die_with_their_supervisor(self, shop: Site, preload: bool) -> None:
        shop.configure(app={"preload": preload}, workers={"count": 2})
        shop.start()
        children = shop.server.children()
        assert len(children) == 2 + preload
        shop.server.signal(signal.SIGKILL)
        for child in children:
            wait_process_end(child)

    def test_loading_worker_dies_with_its_supervisor(self, shop: Site) -> None:
        shop.replace_code("VERSION = 1", "time.sleep(100)")
        shop.start(is_ready=False)
        wait_until(lambda: len(shop.server.children()) == 1, "a worker loads")
        child = shop.server.children()[0]
        wait_until(lambda: b"worker 1" in Path(f"/proc/{child}/cmdline").read_bytes(), "the worker has its title")
        shop.server.signal(signal.SIGKILL)
        wait_process_end(child)

    def test_exception_of_the_application_is_logged_under_its_request(self, shop: Site) -> None:
        shop.start()
        assert shop.server.get("/fail").status == 500
        log = shop.server.stderr.wait_for("the shop is closed")
        assert "GET /fail failed in the application [request fake-1]" in log


class TestScaleAndRecycle:
    def test_ttin_and_ttou_change_the_number_of_workers(self, shop: Site) -> None:
        shop.start()
        shop.server.signal(signal.SIGTTIN)
        shop.server.stderr.wait_for("worker 2 is ready")
        assert len(shop.server.children()) == 2
        shop.server.signal(signal.SIGTTOU)
        shop.wait_for(lambda: len(shop.server.children()) == 1, "one worker is left")

    @pytest.mark.parametrize("preload", [False, True])
    def test_worker_is_recycled_after_its_requests(self, shop: Site, preload: bool) -> None:
        shop.configure(app={"preload": preload}, workers={"max_requests": 3})
        shop.start()
        first = shop.facts()["pid"]
        shop.facts()
        shop.facts()
        shop.server.stderr.wait_for(f"(pid {first}) exited with status 0")
        assert shop.facts()["pid"] != first


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_request_in_progress_is_finished(self, shop: Site, number: signal.Signals) -> None:
        shop.start()
        answers: list[int] = []
        connection = shop.server.connect()
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
        reader = threading.Thread(target=lambda: answers.append(len(connection.makefile("rb").read())))
        reader.start()
        shop.server.signal(number)
        assert shop.server.wait() == 0
        reader.join()
        connection.close()
        assert answers[0] > 0

    def test_interrupt_of_the_whole_group_is_a_clean_stop(self, shop: Site) -> None:
        shop.configure(workers={"count": 2})
        shop.start()
        os.killpg(shop.server.pid, signal.SIGINT)
        assert shop.server.wait() == 0
        assert "starting another" not in shop.server.stderr.wait_end()

    def test_quit_does_not_wait_for_requests(self, shop: Site) -> None:
        shop.replace_code("time.sleep(1)", "time.sleep(60)")
        shop.start()
        with shop.server.connect() as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
            shop.server.signal(signal.SIGQUIT)
            assert shop.server.wait() == 0

    def test_worker_that_hangs_is_killed_after_the_graceful_timeout(self, shop: Site) -> None:
        shop.configure(server={"graceful_timeout": 0.5})
        shop.replace_code("time.sleep(1)", "time.sleep(60)")
        shop.start()
        with shop.server.connect() as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n")
            shop.server.signal(signal.SIGTERM)
            assert shop.server.wait() == 0
        assert "did not end in time and is killed" in shop.server.stderr.wait_end()

    def test_exit_handlers_of_the_application_run(self, shop: Site) -> None:
        shop.replace_code("VERSION = 1", "VERSION = 1; atexit.register(lambda: os.write(2, b'good night'))")
        shop.start()
        assert shop.server.stop() == 0
        assert shop.server.stderr.wait_end().count("good night") == 1


class TestFilesAndSockets:
    def test_unix_socket_has_its_mode_and_goes_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "shop.sock"
        with site(tmp_path, f"unix:{path}") as shop:
            shop.configure(server={"bind": [f"unix:{path}?mode=600"]})
            shop.start()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert shop.facts()["version"] == 1
            shop.server.stop()
            assert not path.exists()

    def test_second_server_does_not_steal_a_living_socket(self, tmp_path: Path) -> None:
        path = tmp_path / "shop.sock"
        with site(tmp_path, f"unix:{path}") as shop:
            shop.start()
            with site(tmp_path, f"unix:{path}") as thief:
                thief.start(is_ready=False)
                assert thief.server.wait() == 4
            assert shop.facts()["parent"] == shop.server.pid

    def test_socket_of_a_killed_server_is_taken_over(self, tmp_path: Path) -> None:
        path = tmp_path / "shop.sock"
        with site(tmp_path, f"unix:{path}") as shop:
            shop.start()
            children = shop.server.children()
            shop.server.signal(signal.SIGKILL)
            for child in children:
                wait_process_end(child)
            with site(tmp_path, f"unix:{path}") as heir:
                heir.start()
                assert heir.facts()["version"] == 1

    def test_pid_file_is_there_while_it_runs(self, shop: Site) -> None:
        path = shop.directory / "shop.pid"
        shop.configure(server={"pid_file": str(path)})
        shop.start()
        assert path.read_text() == f"{shop.server.pid}\n"
        shop.server.stop()
        assert not path.exists()

    def test_inherited_socket_is_served(self, shop: Site) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            shop.configure(server={"bind": [f"fd://{listener.fileno()}"]})
            shop.start(pass_fds=(listener.fileno(),))
            shop.server.port = listener.getsockname()[1]
            assert shop.facts()["version"] == 1

    def test_log_file_is_reopened_by_all(self, shop: Site) -> None:
        path = shop.directory / "shop.log"
        shop.configure(log={"file": str(path)})
        shop.start()
        path.rename(shop.directory / "shop.log.1")
        shop.server.signal(signal.SIGUSR1)
        wait_until(path.exists, "the supervisor has made a new file")
        wait_until(lambda: _log_after_failure(shop, path), "the worker writes to the new file")


def _log_after_failure(shop: Site, path: Path) -> bool:
    shop.server.get("/fail")
    return "the shop is closed" in path.read_text()


class TestServiceManager:
    def test_it_is_told_of_readiness_reload_and_stop(self, shop: Site) -> None:
        shop.start()
        shop.reload()
        shop.server.stop()
        told = shop.server.notifications.wait_for("STOPPING=1")
        assert told.index("READY=1") < told.index("RELOADING=1") < told.index("STOPPING=1")
        assert f"MAINPID={shop.server.pid}" in told
        assert "MONOTONIC_USEC=" in told

    def test_watchdog_is_pinged_from_the_loop(self, shop: Site) -> None:
        shop.start(env={"WATCHDOG_USEC": "100000"})
        shop.server.notifications.wait_for("WATCHDOG=1", count=5)

    def test_sockets_of_the_service_manager_are_served(self, shop: Site) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            # What systemd does between fork and exec: descriptor 3 and our own pid.
            program = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
            program += "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
            shop.start_through(program, listener.fileno(), env={"LISTEN_FDS": "1"})
            shop.server.port = port
            facts = shop.facts()
        assert "LISTEN_FDS" not in facts["environment"]
