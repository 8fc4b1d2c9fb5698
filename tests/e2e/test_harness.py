"""The harness itself: what it promises to the tests that stand on it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness import RunningServer, ServerError, Transcript, start_group, wait_process_end

NOTIFY = """
import os, socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.connect(os.environ["NOTIFY_SOCKET"])
"""
READY_THEN_WAIT = (
    NOTIFY + "print('up', flush=True); manager.send(b'READY=1'); sys.stdin.close(); import signal; signal.pause()"
)
NEVER_READY = "import signal; signal.pause()"
ENDS_AT_ONCE = "import sys; sys.exit('no application')"

Start = Callable[[str], RunningServer]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[RunningServer] = []

    def run(program: str) -> RunningServer:
        servers.append(start_group([sys.executable, "-c", program], ""))
        return servers[-1]

    yield run
    for server in servers:
        server.close()


def test_readiness_is_awaited_and_output_is_kept(start: Start) -> None:
    server = start(READY_THEN_WAIT)
    server.wait_ready()
    assert "up" in server.stdout.wait_for("up")


def test_a_server_that_ends_is_reported_with_its_words(start: Start) -> None:
    server = start(ENDS_AT_ONCE)
    with pytest.raises(ServerError, match=r"status 1 .*\n.*no application"):
        server.wait_ready()


def test_a_server_that_is_never_ready_is_given_up(start: Start) -> None:
    server = start(NEVER_READY)
    with pytest.raises(ServerError, match=r"not ready after 0\.2 s"):
        server.wait_ready(0.2)


def test_close_ends_the_whole_group(start: Start) -> None:
    server = start("import os, signal; child = os.fork(); print(child, flush=True) if child else None; signal.pause()")
    child = int(server.stdout.wait_for("\n").split()[0])
    assert server.children() == [child]
    server.close()
    wait_process_end(child)


def test_stop_returns_how_the_process_ended(start: Start) -> None:
    server = start(READY_THEN_WAIT)
    server.wait_ready()
    assert server.stop() == -signal.SIGTERM


def test_the_configuration_of_the_shell_is_not_inherited(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTLER_WORKERS_COUNT", "7")
    monkeypatch.setenv("PORT", "1")
    server = start("import os; print(sorted(n for n in os.environ if n == 'PORT' or n.startswith('HOSTLER')))")
    # What the harness sets itself keeps control sockets out of the machine's own directory.
    assert server.stdout.wait_for("\n").strip() == "['HOSTLER_CONTROL_DIRECTORY']"


def test_transcript_waits_for_text_of_another_thread() -> None:
    transcript = Transcript()
    writer = threading.Thread(target=transcript.append, args=("ready\n",))
    writer.start()
    assert transcript.wait_for("ready") == "ready\n"
    writer.join()


def test_transcript_that_ends_is_not_waited_for() -> None:
    transcript = Transcript()
    transcript.end()
    with pytest.raises(ServerError, match="the output ended"):
        transcript.wait_for("ready")


def test_a_process_that_is_gone_is_not_waited_for() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    wait_process_end(child, timeout=0)
