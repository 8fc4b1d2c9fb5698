"""Deadlines of requests: the client is answered, the application ended, its worker only where nothing else helps."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from tests.conformance.websocket_wire import WebSocketWire
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import PATIENCE, RunningServer, StartServer

WSGI = "tests.e2e.apps.late:app"
ASGI = "tests.e2e.apps.late_asgi:app"
SOON = ("--deadlines-default", "300ms", "--deadlines-grace", "600ms")


def wait_until(is_so: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """Ask again and again, as nobody tells when a note has been left."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"


def is_broken_off(server: RunningServer, path: str) -> bool:
    """Tell whether the answer begins and does not come to an end, so that its client must see it."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", path)
        with contextlib.closing(connection.getresponse()) as answer:
            assert answer.status == 200
            try:
                answer.read()
            except (http.client.IncompleteRead, ConnectionResetError):
                return True
    return False


def note_of(server: RunningServer, name: str) -> Callable[[], bool]:
    return lambda: bool(server.get(f"/note?{name}").body)


@pytest.mark.parametrize("threads", ["1", "4"])
def test_wsgi_call_without_end_is_answered_for_and_left(hostler_server: StartServer, threads: str) -> None:
    server = hostler_server(WSGI, "--threads", threads, *SOON)
    worker = server.get("/quick").body
    answer = server.get("/spin?x=1", {"X-Request-Id": "late-one"})
    assert (answer.status, answer.headers["Retry-After"]) == (503, None)
    assert answer.body == b"The application did not answer in time.\n"
    log = server.stderr.wait_for("GET /spin is past its deadline after 0.")
    server.stderr.wait_for("in _spin")
    assert "[request late-one]" in log
    wait_until(note_of(server, "spin"))
    assert server.get("/note?spin").body == b"left"
    assert server.get("/quick").body == worker


def test_deadline_of_a_route_wins_over_the_default(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, *SOON, "--deadlines-routes", "/extend=0", "--deadlines-routes", "/spin/*/a=200ms")
    assert server.get("/spin/b/a").status == 503
    assert server.get("/extend").body == b"extended"


def test_answer_that_has_begun_is_broken_off(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, *SOON)
    assert is_broken_off(server, "/stream")
    wait_until(note_of(server, "stream"))


@pytest.mark.parametrize("path", ["/set?0.2", "/key?0.2"])
def test_wsgi_application_sets_its_own_deadline(hostler_server: StartServer, path: str) -> None:
    server = hostler_server(WSGI)
    assert server.get(path).status == 503
    assert server.get("/calm").status == 200


def test_wsgi_application_takes_its_deadline_away(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, *SOON)
    assert server.get("/extend").body == b"extended"


def test_worker_with_a_thread_stuck_in_a_system_call_is_succeeded(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, *SOON, "--threads", "2")
    former = server.get("/quick").body
    assert server.get("/sleep").status == 503
    server.stderr.wait_for("worker 1 is stuck with GET /sleep")
    wait_until(lambda: server.get("/quick").body != former)
    # The last step: its one remaining thread never ends.
    server.stderr.wait_for("Fatal Python error: Aborted")
    server.stderr.wait_for("in lock_up")


def test_call_that_holds_the_interpreter_is_answered_for_and_its_worker_ended(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, *SOON, "--threads", "2")
    former = server.get("/quick").body
    assert server.get("/hold").status == 503
    server.stderr.wait_for("worker 1 is stuck with GET /hold")
    wait_until(lambda: server.get("/quick").body != former)
    server.stderr.wait_for("Fatal Python error: Aborted")
    server.stderr.wait_for("in lock_up")
    assert server.stop() == 0


def strike(server: RunningServer, paths: Sequence[str], rounds: int, clients: int) -> list[int]:
    """Make requests on keep-alive connections, side by side; return the statuses."""
    statuses: list[int] = []

    def run(number: int) -> None:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
        for each in range(rounds):
            connection.request("GET", paths[(each + number) % len(paths)])
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


@pytest.mark.parametrize(
    "target, options",
    [(WSGI, ("--threads", "1")), (WSGI, ("--threads", "3")), (ASGI, asgi_options("asyncio"))],
)
def test_exception_never_strikes_the_next_request(
    hostler_server: StartServer, target: str, options: tuple[str, ...]
) -> None:
    server = hostler_server(target, "--deadlines-grace", "30s", *options)
    # A deadline is seen to some ten milliseconds late. Requests end before that, about then, and long after.
    brinks = [f"/brink?0.02,{longer}" for longer in (0, 0.02, 0.05, 0.5)]
    statuses = strike(server, [each for brink in brinks for each in (brink, "/calm")], rounds=40, clients=4)
    # Both happened: requests that came to an end in time, and such that did not.
    assert {200, 503} == set(statuses)
    assert server.get("/note?struck").body == b""
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("loop", LOOPS)
def test_asgi_task_that_waits_is_answered_for_and_cancelled(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(ASGI, *asgi_options(loop), *SOON)
    worker = server.get("/quick").body
    assert server.get("/wait", {"X-Request-Id": "late-one"}).status == 503
    log = server.stderr.wait_for("GET /wait is past its deadline after 0.")
    assert "[request late-one]" in log
    server.stderr.wait_for("in _wait")
    wait_until(note_of(server, "wait"))
    assert server.get("/note?wait").body == b"cancelled: the deadline of the request has passed"
    assert server.get("/quick").body == worker
    assert "failed in the application" not in server.log()


@pytest.mark.parametrize("path", ["/child?0.2", "/thread?0.2", "/key?0.2"])
def test_asgi_application_sets_its_own_deadline(hostler_server: StartServer, path: str) -> None:
    server = hostler_server(ASGI, *asgi_options("asyncio"))
    assert server.get(path).status == 503


def test_asgi_answer_that_has_begun_is_broken_off(hostler_server: StartServer) -> None:
    server = hostler_server(ASGI, *asgi_options("asyncio"), *SOON)
    assert is_broken_off(server, "/stream")
    assert server.get("/quick").status == 200


def test_work_behind_a_complete_response_has_no_deadline(hostler_server: StartServer) -> None:
    server = hostler_server(ASGI, *asgi_options("asyncio"), *SOON)
    assert server.get("/after").body == b"answered"
    wait_until(note_of(server, "after"))
    assert server.get("/note?after").body == b"done"


def test_loop_that_python_code_keeps_is_freed(hostler_server: StartServer) -> None:
    server = hostler_server(ASGI, *asgi_options("asyncio"), "--deadlines-default", "300ms")
    worker = server.get("/quick").body
    assert server.get("/spin").status == 503
    server.stderr.wait_for("in _spin")
    assert server.get("/note?spin").body == b"left"
    assert server.get("/quick").body == worker


@pytest.mark.parametrize("path", ["/deaf", "/hold"])
def test_worker_whose_task_does_not_end_is_succeeded(hostler_server: StartServer, path: str) -> None:
    server = hostler_server(ASGI, *asgi_options("asyncio"), *SOON, "--graceful-timeout", "2s")
    former = server.get("/quick").body
    assert server.get(path).status == 503
    server.stderr.wait_for(f"worker 1 is stuck with GET {path}")
    wait_until(lambda: server.get("/quick").body != former)
    if path == "/hold":
        server.stderr.wait_for("Fatal Python error: Aborted")
        server.stderr.wait_for("in lock_up")


def test_websocket_has_a_deadline_only_if_its_application_says_so(hostler_server: StartServer) -> None:
    server = hostler_server(ASGI, *asgi_options("asyncio"), *SOON)
    assert server.get("/wait").status == 503
    with WebSocketWire.open(server, "/socket") as socket:
        # By now a request that began with it would be late.
        assert server.get("/wait").status == 503
        socket.send_text("0.2")
        socket.send_text("forever")
        assert socket.read_close().code == 1011


def test_successor_serves_what_the_stuck_worker_cannot(hostler_server: StartServer) -> None:
    server = hostler_server(WSGI, *SOON, "--workers", "2", "--threads", "1")
    assert server.get("/sleep").status == 503
    statuses = strike(server, ["/quick"], rounds=30, clients=4)
    assert set(statuses) == {200}
