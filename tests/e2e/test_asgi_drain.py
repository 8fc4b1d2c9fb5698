"""Stopping and reloading with ASGI: what is under way comes to its end, and nothing outlives its time."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conformance.websocket_wire import CLOSE, WebSocketWire, build_handshake
from tests.conformance.wire import PATIENCE, BrokenAnswerError, Wire, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.gate import Gate
from tests.e2e.harness import RunningServer, StartServer, wait_until
from tests.e2e.load import StrictLoad

APP = "tests.e2e.apps.asgi_robust:app"


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def order_stop(server: RunningServer) -> None:
    """Send the order to stop, and wait until it was heard."""
    server.signal(signal.SIGTERM)
    server.notifications.wait_for("STOPPING=1")


def reload_once(server: RunningServer) -> None:
    """Reload, and wait until all workers are others."""
    before = set(server.children())
    server.signal(signal.SIGHUP)
    wait_until(lambda: bool(now := set(server.children())) and not before & now, "new workers only")


# HTTP


@pytest.mark.parametrize("workers", ["1", "2"])
def test_long_polls_are_answered_after_the_order_to_stop(
    hostler_server: StartServer, gate: Gate, loop: str, workers: str
) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--workers", workers), env=gate.env)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire.to(server)) for _ in range(6)]
        for wire in wires:
            wire.send(build_request("GET", "/wait"))
        gate.wait("wait", 6)
        order_stop(server)
        gate.release("wait")
        for wire in wires:
            assert wire.read_answer().body == b"waited\n"
            wire.assert_ended()
    assert server.wait() == 0


def test_answers_of_a_draining_worker_are_the_last_of_their_connections(
    hostler_server: StartServer, gate: Gate, loop: str
) -> None:
    """RFC 9112 9.6: told by the answer, so that no client sends another request into the void."""
    server = hostler_server(APP, *asgi_options(loop), env=gate.env)
    with Wire.to(server) as wire, Wire.to(server) as idle:
        assert not wire.ask("GET", "/").closes
        assert not idle.ask("GET", "/").closes
        wire.send(build_request("GET", "/wait"))
        gate.wait("wait")
        order_stop(server)
        idle.assert_ended()  # the worker has heard it
        gate.release("wait")
        answer = wire.read_answer()
        assert (answer.body, answer.closes) == (b"waited\n", True)
        wire.assert_ended()
    assert server.wait() == 0


def test_idle_connections_are_closed_at_the_order_to_stop(hostler_server: StartServer, gate: Gate, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop), env=gate.env)
    with Wire.to(server) as idle, Wire.to(server) as fresh, Wire.to(server) as busy:
        idle.ask("GET", "/")
        busy.send(build_request("GET", "/wait"))
        gate.wait("wait")
        order_stop(server)
        idle.assert_ended()
        fresh.assert_ended()
        gate.release("wait")
        assert busy.read_answer().body == b"waited\n"
    assert server.wait() == 0


def test_stream_that_ends_in_time_is_whole(hostler_server: StartServer, gate: Gate, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop), env=gate.env)
    with Wire.to(server) as wire:
        wire.send(build_request("GET", "/drip"))
        assert wire.read_head()[0] == 200
        gate.wait("drip")
        order_stop(server)
        gate.release("drip")
        assert wire.read_rest_of_chunks() == b"first\nlast\n"
        wire.assert_ended()
    assert server.wait() == 0


def test_streams_without_an_end_are_cut_when_their_time_is_over(hostler_server: StartServer, loop: str) -> None:
    """Visibly: without the last chunk. The server ends all the same, and well."""
    server = hostler_server(APP, *asgi_options(loop, "--graceful-timeout", "500ms"))
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire.to(server)) for _ in range(5)]
        for wire in wires:
            wire.send(build_request("GET", "/events"))
            assert wire.read_head()[0] == 200
            assert wire.read_exactly(16) == b"b\r\n: welcome\n\n\r\n"
        order_stop(server)
        for wire in wires:
            try:
                assert wire.read_rest() == b""
            except ConnectionResetError:
                continue
    assert server.wait() == 0


def test_call_that_waits_is_cancelled_when_its_time_is_over(hostler_server: StartServer, gate: Gate, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--graceful-timeout", "300ms"), env=gate.env)
    with Wire.to(server) as wire:
        wire.send(build_request("GET", "/wait"))
        gate.wait("wait")
        order_stop(server)
        # To say that it was too late is as good as to hang up.
        with contextlib.suppress(BrokenAnswerError, ConnectionResetError):
            assert wire.read_answer().status in {500, 503}
    assert server.wait() == 0


def test_call_that_swallows_its_cancellation_does_not_hold_the_server(
    hostler_server: StartServer, gate: Gate, loop: str
) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--graceful-timeout", "300ms"), env=gate.env)
    with Wire.to(server) as wire:
        wire.send(build_request("GET", "/block"))
        gate.wait("block")
        order_stop(server)
        server.wait(10)


# What goes on after an answer


def test_background_work_is_finished_after_the_order_to_stop(
    hostler_server: StartServer, gate: Gate, loop: str
) -> None:
    """Its client has its answer and is gone; the work is the application's promise."""
    server = hostler_server(APP, *asgi_options(loop), env=gate.env)
    assert server.get("/background").status == 202
    gate.wait("background")
    order_stop(server)
    gate.release("background")
    gate.wait("background-done")
    assert server.wait() == 0


def test_background_work_is_cancelled_when_its_time_is_over(hostler_server: StartServer, gate: Gate, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--graceful-timeout", "300ms"), env=gate.env)
    assert server.get("/background").status == 202
    gate.wait("background")
    order_stop(server)
    gate.wait("background-cancelled")
    assert server.wait() == 0


def test_tasks_that_were_left_behind_are_cancelled_at_the_end(
    hostler_server: StartServer, gate: Gate, loop: str
) -> None:
    """As `asyncio.run` does; they may still wait for what they need to end."""
    server = hostler_server(APP, *asgi_options(loop), env=gate.env)
    assert server.get("/background-task").status == 202
    order_stop(server)
    gate.wait("left-task-ended")
    assert server.wait() == 0


def test_lifespan_ends_after_the_last_request_and_before_the_process(
    hostler_server: StartServer, gate: Gate, loop: str
) -> None:
    server = hostler_server(APP, *asgi_options(loop), env={**gate.env, "LIFE": "told"})
    gate.wait("startup")
    with Wire.to(server) as wire, Wire.to(server) as idle:
        idle.ask("GET", "/")
        wire.send(build_request("GET", "/wait"))
        gate.wait("wait")
        order_stop(server)
        idle.assert_ended()  # the worker has heard it
        assert gate.count("shutdown") == 0
        gate.release("wait")
        assert wire.read_answer().body == b"waited\n"
    assert server.wait() == 0
    assert gate.count("shutdown") == 1


# WebSockets


def test_websockets_are_closed_with_1012_at_the_order_to_stop(
    hostler_server: StartServer, gate: Gate, loop: str
) -> None:
    """RFC 6455 7.4.2 (registry): service restart. The application is told the same."""
    server = hostler_server(APP, *asgi_options(loop), env=gate.env)
    with ExitStack() as stack:
        clients = [stack.enter_context(WebSocketWire.open(server, "/echo?closed")) for _ in range(20)]
        for client in clients:
            assert client.send_text("hay").read_text() == "hay"
        order_stop(server)
        for client in clients:
            frame = client.read_close()
            assert frame.code == 1012
            client.finish_close(frame)
        gate.wait("closed-1012", 20)
    assert server.wait() == 0


def test_websocket_that_does_not_answer_the_end_does_not_hold_the_server(
    hostler_server: StartServer, loop: str
) -> None:
    options = ("--graceful-timeout", "10s", "--websocket-close-timeout", "200ms")
    server = hostler_server(APP, *asgi_options(loop, *options))
    with WebSocketWire.open(server, "/echo") as client:
        order_stop(server)
        assert client.read_close().code == 1012
        client.wire.assert_ended(reset_allowed=True)
        assert server.wait(8) == 0


def test_conversation_that_does_not_listen_has_until_its_time_is_over(
    hostler_server: StartServer, gate: Gate, loop: str
) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--graceful-timeout", "500ms"), env=gate.env)
    with WebSocketWire.open(server, "/stubborn") as client:
        gate.wait("stubborn")
        order_stop(server)
        frame = client.read_close()
        assert frame.code == 1012
        client.finish_close(frame)
        gate.wait("stubborn-ended")
    assert server.wait() == 0


def test_handshake_that_is_under_way_comes_to_an_end(hostler_server: StartServer, gate: Gate, loop: str) -> None:
    """Refused with "come again", or accepted and closed with the same: either tells the client what to do."""
    server = hostler_server(APP, *asgi_options(loop), env=gate.env)
    with Wire.to(server) as wire, Wire.to(server) as idle:
        idle.ask("GET", "/")
        wire.send(build_handshake("/accept-late"))
        gate.wait("accept")
        order_stop(server)
        idle.assert_ended()  # the worker has heard it
        gate.release("accept")
        status, _ = wire.read_head()
        assert status in {101, 503}
        if status == 101:
            client = WebSocketWire(wire)
            frame = client.read_close()
            assert frame.code == 1012
            client.finish_close(frame)
    assert server.wait() == 0


def test_client_that_comes_back_after_1012_finds_the_new_worker(hostler_server: StartServer, loop: str) -> None:
    """What a reload looks like to a chat: closed, connected again, going on."""
    server = hostler_server(APP, *asgi_options(loop))
    url = f"ws://{server.host}:{server.port}/echo"
    with connect(url, proxy=None) as client:
        client.send("before")
        assert client.recv(PATIENCE) == "before"
        old = server.children()
        server.signal(signal.SIGHUP)
        with pytest.raises(ConnectionClosed) as ended:
            client.recv(PATIENCE)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1012
        with connect(url, proxy=None) as again:
            again.send("after")
            assert again.recv(PATIENCE) == "after"
    wait_until(lambda: not set(old) & set(server.children()), "the old worker's end")
    assert server.stop() == 0


# Reloads under load


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_request_fails_over_reloads_in_a_row(hostler_server: StartServer, loop: str, workers: str) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--workers", workers))
    with StrictLoad(server, "/work", b"worked\n", 6) as slow, StrictLoad(server, "/", b"hello\n", 2) as quick:
        for _ in range(6):
            slow.wait_served(20)
            quick.wait_served(20)
            reload_once(server)
        slow.wait_served(20)
        assert [load.finish().failures for load in (slow, quick)] == [[], []]


def test_no_request_fails_while_workers_are_recycled(hostler_server: StartServer, loop: str) -> None:
    options = ("--workers", "2", "--max-requests", "200", "--workers-max-requests-jitter", "100")
    server = hostler_server(APP, *asgi_options(loop, *options))
    seen: set[int] = set()
    with StrictLoad(server, "/work", b"worked\n", 4) as slow, StrictLoad(server, "/", b"hello\n", 2) as quick:

        def is_recycled_often() -> bool:
            seen.update(server.children())
            return len(seen) > 8

        wait_until(is_recycled_often, "more than eight workers")
        slow.wait_served(50)
        assert [load.finish().failures for load in (slow, quick)] == [[], []]


def test_no_request_fails_while_a_preloaded_application_is_reloaded(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--workers", "2", "--preload"))
    with StrictLoad(server, "/work", b"worked\n", 6) as load:
        for _ in range(3):
            load.wait_served(20)
            reload_once(server)
        load.wait_served(20)
        assert load.finish().failures == []


@pytest.mark.parametrize("broken", ["raise RuntimeError('a broken release')\n", "life"])
def test_release_that_does_not_start_never_replaces_one_that_serves(
    hostler_server: StartServer, loop: str, broken: str, tmp_path: Path
) -> None:
    """Whether its module or its lifespan fails."""
    module = tmp_path / "shop.py"
    good = (Path(__file__).parent / "apps" / "asgi_robust.py").read_text()
    module.write_text(good)
    server = hostler_server("shop:app", *asgi_options(loop, "--chdir", str(tmp_path)))
    before = server.children()
    with StrictLoad(server, "/work", b"worked\n", 4) as load:
        bad = good.replace('life = os.environ.get("LIFE", "")', 'life = "fail"')
        assert bad != good
        module.write_text(bad if broken == "life" else broken)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        server.signal(signal.SIGHUP)
        server.stderr.wait_for("the stable is closed" if broken == "life" else "a broken release")
        load.wait_served(50)
        assert load.finish().failures == []
    assert server.children() == before
    module.write_text(good)
    reload_once(server)
    assert json.loads(server.get("/process").text)["pid"] in server.children()


def test_messages_of_a_conversation_that_ends_are_not_lost(hostler_server: StartServer, loop: str) -> None:
    """What was sent before the order to stop was heard is echoed before the close frame, or it is not at all."""
    server = hostler_server(APP, *asgi_options(loop))
    with WebSocketWire.open(server, "/echo") as client:
        for number in range(200):
            client.send_text(str(number))
        assert [client.read_text() for _ in range(200)] == [str(number) for number in range(200)]
        order_stop(server)
        assert client.read_frame().opcode == CLOSE
        client.send_close(1012)
    assert server.wait() == 0
