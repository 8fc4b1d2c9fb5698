"""ASGI under strain: large uploads, many listeners, idle WebSockets, silent clients, limits, deaths, mounts."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conformance.websocket_wire import PING, PONG, TEXT, WebSocketWire, build_frame, build_handshake
from tests.conformance.wire import Wire, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.gate import Gate
from tests.e2e.harness import StartServer, free_port, wait_until
from tests.e2e.vitals import KIB, MIB, count_descriptors, count_threads, resident_bytes
from tests.interop.vitals import peak_bytes

APP = "tests.e2e.apps.asgi_robust:app"
GET = build_request("GET", "/")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Allow this process, and servers that it starts, so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= count, f"the hard limit of descriptors is {hard}; this test needs {count} (ulimit -Hn)"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Quantities


def test_upload_of_a_gigabyte_takes_little_memory(
    hostler_server: StartServer, loop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    size = 1024 * MIB
    server = hostler_server(APP, *asgi_options(loop, "--limits-body-size", "2GiB"))
    (worker,) = server.children()
    server.post("/count", b"x" * MIB)
    before = peak_bytes(worker)
    piece = b"x" * MIB
    begin = time.monotonic()
    with Wire.to(server) as wire:
        wire.send(build_request("POST", "/count", [f"Content-Length: {size}"]))
        for _ in range(size // MIB):
            wire.send(piece)
        assert wire.read_answer().text == f"{size}\n"
    grown = peak_bytes(worker) - before
    with capsys.disabled():
        seconds = time.monotonic() - begin
        sys.stdout.write(f"\n1 GiB on {loop} in {seconds:.1f} s, at most {grown / MIB:.1f} MiB more\n")
    assert grown < 8 * MIB


def test_events_reach_five_hundred_listeners(
    hostler_server: StartServer, loop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    count = 500
    with descriptors(4096), ExitStack() as stack:
        server = hostler_server(APP, *asgi_options(loop))
        (worker,) = server.children()
        server.get("/")
        memory, threads = resident_bytes(worker), count_threads(worker)
        open_before = count_descriptors(worker)
        wires = [stack.enter_context(Wire.to(server)) for _ in range(count)]
        for wire in wires:
            wire.send(build_request("GET", "/events"))
        for wire in wires:
            assert wire.read_head()[0] == 200
            assert wire.read_exactly(16) == b"b\r\n: welcome\n\n\r\n"
        for number in range(3):
            assert server.get(f"/publish?{number}").text == str(count)
            for wire in wires:
                assert wire.read_exactly(14) == b"9\r\ndata: %d\n\n\r\n" % number
        grown = resident_bytes(worker) - memory
        with capsys.disabled():
            sys.stdout.write(f"\n{grown / KIB / count:.1f} KiB for each listener on {loop}\n")
        # Two tasks, a queue and the call itself, for each.
        assert grown / count < 40 * KIB
        assert count_threads(worker) <= threads
        for wire in wires:
            wire.close()
        wait_until(lambda: server.get("/publish?x").text == "0", "the end of all listeners")
        wait_until(lambda: count_descriptors(worker) <= open_before, f"{open_before} descriptors as before")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("offer", ["plain", "compressed"])
def test_five_thousand_idle_websockets_cost_little_memory(
    hostler_server: StartServer, loop: str, offer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    count = 5000
    fields = ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"] if offer == "compressed" else []
    handshake = build_handshake("/echo", fields)
    with descriptors(count + 200):
        server = hostler_server(APP, *asgi_options(loop))
        (worker,) = server.children()
        server.get("/")
        before = resident_bytes(worker)
        begin = time.monotonic()
        streams = []
        for _ in range(count):
            stream = server.connect()
            stream.sendall(handshake)
            streams.append(stream)
        for stream in streams:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += stream.recv(4096)
            assert head.startswith(b"HTTP/1.1 101 ")
        seconds = time.monotonic() - begin
        grown = resident_bytes(worker) - before
        with capsys.disabled():
            sys.stdout.write(
                f"\n{count} {offer} WebSockets on {loop} in {seconds:.1f} s: {grown / KIB / count:.1f} KiB each\n"
            )
        # Measured: about 5 KiB, most of it the application's task, scope and headers in Python.
        assert grown / count < 12 * KIB
        # They are idle, not dead, and nobody else is slower for them.
        for stream in streams[:: count // 50]:
            stream.sendall(build_frame(TEXT, b"hay"))
            assert stream.recv(100) == b"\x81\x03hay"
        assert server.get("/").body == b"hello\n"
        server.signal(signal.SIGTERM)
        for stream in streams:
            with stream:
                assert stream.recv(100)[2:4] == (1012).to_bytes(2)
        assert server.wait() == 0


# Clients that do not do their part


@pytest.mark.parametrize("target", ["/pour", "websocket"])
def test_client_that_never_reads_is_closed_and_the_application_told(
    hostler_server: StartServer, gate: Gate, loop: str, target: str
) -> None:
    options = ("--http-write-timeout", "300ms", "--no-http-cancel-on-disconnect")
    server = hostler_server(APP, *asgi_options(loop, *options), env=gate.env)
    (worker,) = server.children()
    with Wire.to(server) as first:
        # The loop opens what it needs for the application's own sockets.
        first.send(build_request("GET", "/wait?first"))
        gate.wait("first")
        gate.release("first")
        assert first.read_answer().body == b"waited\n"
        first.finish().assert_ended()
    before, memory = count_descriptors(worker), resident_bytes(worker)
    with server.connect() as stream:
        stream.sendall(build_handshake("/pour") if target == "websocket" else build_request("GET", target))
        gate.wait("OSError")
        assert resident_bytes(worker) - memory < 8 * MIB
        wait_until(lambda: count_descriptors(worker) <= before, "the connection's end")
    assert server.get("/").body == b"hello\n"


def test_half_a_frame_holds_nobody_up(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop))
    with ExitStack() as stack:
        halves = [stack.enter_context(WebSocketWire.open(server, "/echo")) for _ in range(50)]
        for client in halves:
            client.wire.send(build_frame(TEXT, b"two halves")[:8])
        with WebSocketWire.open(server, "/echo") as client:
            assert client.send_text("hay").read_text() == "hay"
        assert server.get("/").body == b"hello\n"
        for client in halves:
            client.wire.send(build_frame(TEXT, b"two halves")[8:])
            assert client.read_text() == "two halves"


def test_flood_of_small_messages_leaves_room_for_others(hostler_server: StartServer, loop: str) -> None:
    """One connection that is always readable does not keep the loop to itself."""
    server = hostler_server(APP, *asgi_options(loop))
    with WebSocketWire.open(server, "/echo") as flood:
        flood.wire.stream.setblocking(False)
        block = build_frame(TEXT, b"x") * 10_000
        for _ in range(20):
            # What does not fit is not sent: frames may be cut, which is nobody's concern here.
            with contextlib.suppress(BlockingIOError):
                flood.wire.stream.send(block)
            assert server.get("/").body == b"hello\n"


def test_requests_beyond_the_limit_are_told_to_come_back(hostler_server: StartServer, gate: Gate, loop: str) -> None:
    """503 with Retry-After; WebSockets count, too."""
    server = hostler_server(APP, *asgi_options(loop, "--limits-concurrency", "2"), env=gate.env)
    with Wire.to(server) as waiting, WebSocketWire.open(server, "/echo") as talking, Wire.to(server) as third:
        waiting.send(build_request("GET", "/wait"))
        gate.wait("wait")
        for _ in range(2):
            answer = third.ask("GET", "/")
            assert answer.status == 503
            assert int(answer.value("retry-after") or "") >= 1
            if answer.closes:
                break
        with Wire.to(server) as wire:
            assert wire.send(build_handshake("/echo")).read_answer().status == 503
        assert talking.send_text("hay").read_text() == "hay"
        gate.release("wait")
        assert waiting.read_answer().body == b"waited\n"
        with Wire.to(server) as wire:
            assert wire.ask("GET", "/").body == b"hello\n"


# Starting


@pytest.mark.parametrize("life, message", [("fail", "the stable is closed"), ("raise", "the stable has burnt down")])
def test_lifespan_that_fails_stops_the_server_with_its_message(
    hostler_server: StartServer, loop: str, life: str, message: str
) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--lifespan", "on"), env={"LIFE": life}, ready=False)
    assert server.wait() != 0
    assert message in server.stderr.wait_end()
    assert "READY=1" not in server.notifications.text


def test_lifespan_that_says_it_failed_stops_the_server_by_default(hostler_server: StartServer, loop: str) -> None:
    """ASGI "Lifespan": an exception says that it is not supported; this message says what it says."""
    server = hostler_server(APP, *asgi_options(loop), env={"LIFE": "fail"}, ready=False)
    assert server.wait() != 0
    assert "the stable is closed" in server.stderr.wait_end()


def test_application_without_lifespan_is_served_by_default(hostler_server: StartServer, loop: str) -> None:
    """ASGI "Lifespan": "If an exception is raised ... continue without using this protocol"."""
    server = hostler_server(APP, *asgi_options(loop), env={"LIFE": "raise"})
    assert server.get("/").body == b"hello\n"


def test_lifespan_can_be_turned_off(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--lifespan", "off"), env={"LIFE": "fail"})
    assert server.get("/").body == b"hello\n"


def test_lifespan_that_fails_at_the_end_is_told(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop), env={"LIFE": "fail-late"})
    assert server.get("/").body == b"hello\n"
    server.stop()
    assert "the door is stuck" in server.stderr.wait_end()


# What is told


def test_access_log_has_a_line_for_each_request_and_each_conversation(
    hostler_server: StartServer, loop: str, tmp_path: Path
) -> None:
    """A WebSocket's comes when it ends, with the bytes of the messages that were sent to the client."""
    log = tmp_path / "access.log"
    form = '"%(r)s" %(s)s %(b)s'
    server = hostler_server(APP, *asgi_options(loop, "--access-log", str(log), "--log-access-format", form))
    assert server.get("/").status == 200
    assert server.get("/fail").status == 500
    with WebSocketWire.open(server, "/echo") as client:
        assert client.send_text("hay").read_text() == "hay"
        client.send_close(1000).read_close()
        client.wire.assert_ended()
    wait_until(lambda: log.read_text().count("\n") == 3, "three lines")
    first, second, third = log.read_text().splitlines()
    assert first.endswith('"GET / HTTP/1.1" 200 6')
    assert '"GET /fail HTTP/1.1" 500 ' in second
    assert third.endswith('"GET /echo HTTP/1.1" 101 3')


def test_development_shows_the_exception_in_the_browser(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop), command=("dev",))
    answer = server.get("/fail")
    assert answer.status == 500
    assert "the stable door was left open" in answer.text
    assert "raise LookupError(" in answer.text
    assert server.get("/").body == b"hello\n"


# Deaths


def test_killed_worker_takes_its_websockets_with_it_and_nothing_else(hostler_server: StartServer, loop: str) -> None:
    server = hostler_server(APP, *asgi_options(loop, "--workers", "2"))
    before = set(server.children())
    with ExitStack() as stack:
        clients = [stack.enter_context(WebSocketWire.open(server, "/echo")) for _ in range(20)]
        for client in clients:
            assert client.send_text("hay").read_text() == "hay"
        for worker in before:
            server.signal(signal.SIGKILL, worker)
        for client in clients:
            client.wire.assert_ended(reset_allowed=True)
    wait_until(lambda: len(now := set(server.children())) == 2 and not now & before, "two new workers")
    with WebSocketWire.open(server, "/echo") as client:
        assert client.send_text("hay").read_text() == "hay"
        assert client.send(PING, b"!").read_frame().opcode == PONG
    assert server.stop() == 0


# Mounts


def test_wsgi_and_asgi_applications_are_mounted_side_by_side(
    hostler_server: StartServer, gate: Gate, loop: str, tmp_path: Path
) -> None:
    """The prefix is theirs as each interface has it; a slow WSGI call holds up nobody."""
    port = free_port()
    (tmp_path / "hostler.toml").write_text(
        f"""
        [app]
        target = "{APP}"
        [app.mounts]
        "/old" = "tests.e2e.apps.robust:app"
        "/old/new" = "{APP}"
        [server]
        bind = ["127.0.0.1:{port}"]
        [workers]
        loop = "{loop}"
        """
    )
    server = hostler_server(None, bind=f"127.0.0.1:{port}", cwd=tmp_path, env=gate.env)
    assert server.get("/").body == b"hello\n"
    assert server.get("/old/").body == b"hello\n"
    assert server.get("/old/echo-path?straw").body == b"straw"
    assert server.post("/old/length", b"x" * 100_000).body == b"100000\n"
    told = json.loads(server.get("/old/new/process").text)
    assert (told["root"], told["path"]) == ("/old/new", "/old/new/process")
    assert json.loads(server.get("/process").text)["root"] == ""
    with Wire.to(server) as slow:
        slow.send(build_request("GET", "/old/wait"))
        gate.wait("wait")
        assert server.get("/").body == b"hello\n"
        assert server.get("/old/").body == b"hello\n"
        with WebSocketWire.open(server, "/old/new/echo") as client:
            assert client.send_text("hay").read_text() == "hay"
        gate.release("wait")
        assert slow.read_answer().body == b"waited\n"
    with Wire.to(server) as wire:
        assert wire.send(build_handshake("/old/echo")).read_answer().status in {400, 404, 426, 501}
    assert server.get("/old/error").status == 500
    assert server.stop() == 0
