"""The life of an ASGI worker: a real loop, real signals to this very process, and an engine that is a fake."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import pytest
import uvloop

from hostler.config import Config
from hostler.contracts import AsgiApplication, ChildContext, Listener, Mount, Receive, Send
from hostler.errors import ApplicationError, ConfigurationError, HostlerError
from hostler.server.dev_failure import AsgiFailurePage
from hostler.system.channel import open_pipe
from hostler.system.signals import ignore_signal
from hostler.telemetry.log import open_log
from hostler.worker.asgi import serve_asgi
from hostler.worker.assignment import Assignment
from tests.fakes.asgi_engine import FakeAsgiEngine

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
PATIENCE = 10
Scope = dict[str, Any]


class Foreign(uvloop.Loop):
    """A loop of which nothing is known: neither asyncio's nor, by its name, uvloop's."""


@pytest.fixture(autouse=True)
def surroundings(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Log lines go to `caplog`; signals are as in a child that has loaded, and afterwards as they were."""
    log = logging.getLogger("hostler")
    former_level, former = log.level, {number: signal.getsignal(number) for number in SIGNALS}
    log.propagate = True
    log.setLevel(logging.DEBUG)
    for number in SIGNALS[1:]:
        signal.signal(number, ignore_signal)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in former.items():
        signal.signal(number, handler)
    log.setLevel(former_level)


def send_signal(number: int) -> None:
    os.kill(os.getpid(), number)


@dataclass
class Visit:
    """What a client does once the worker is ready, in a thread of its own."""

    port: int
    release_lifeline: Callable[[], None]

    def send(self, path: str, when_sent: Callable[[], object] = lambda: None) -> bytes:
        """Ask for a path, and return all that comes until the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            when_sent()
            return b"".join(iter(lambda: stream.recv(65536), b""))

    def get(self, path: str) -> tuple[int, str]:
        head, _, body = self.send(path).partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body.decode()


def drain(_visit: Visit) -> None:
    send_signal(signal.SIGTERM)


def get_and_drain(visit: Visit) -> None:
    assert visit.get("/")[0] == 200
    send_signal(signal.SIGTERM)


def configure(
    loop: str, *, lifespan: Literal["auto", "on", "off"] = "auto", grace: float = 5, mounts: Mapping[str, str] = {}
) -> Config:
    config = Config()
    return replace(
        config,
        app=replace(config.app, lifespan=lifespan, mounts=MappingProxyType(dict(mounts))),
        workers=replace(config.workers, loop=loop),
        server=replace(config.server, graceful_timeout=grace),
        limits=replace(config.limits, connections=16),
    )


def serve(
    application: AsgiApplication,
    config: Config,
    visit: Callable[[Visit], object] = get_and_drain,
    *beside: Mount,
    **facts: Any,  # noqa: ANN401 - further fields of the assignment
) -> list[dict[str, Any]]:
    """Run a worker in this thread and its client in another; returns what the worker told its supervisor."""
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    port = server.getsockname()[1]
    listener = Listener(server.detach(), "tcp", "127.0.0.1", port, f"http://127.0.0.1:{port}")
    status_read, status_write = open_pipe()
    lifeline_read, lifeline_write = open_pipe()
    messages: list[dict[str, Any]] = []
    failures: list[BaseException] = []

    def release() -> None:
        nonlocal lifeline_write
        if lifeline_write >= 0:
            os.close(lifeline_write)
            lifeline_write = -1

    def be_client() -> None:
        with os.fdopen(status_read, encoding="utf-8") as status:
            for line in status:
                messages.append(json.loads(line))
                try:
                    visit(Visit(port, release))
                except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
                    failures.append(error)
                    send_signal(signal.SIGQUIT)

    client = threading.Thread(target=be_client)
    client.start()
    assignment = Assignment(
        config, "shop:app", "shop", None, open_log("-", {}), asgi_engine=facts.pop("engine", FakeAsgiEngine), **facts
    )
    context = ChildContext("worker", 1, status_write, lifeline_read, -1, os.getppid(), (listener,))
    try:
        serve_asgi(assignment, context, (Mount("", "asgi", application), *beside))
    finally:
        os.close(status_write)
        client.join(PATIENCE)
        release()
        os.close(lifeline_read)
    if failures:
        raise failures[0]
    return messages


async def respond(send: Send, text: str = "", status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


class Shop:
    """An application with a lifespan; notes what happens to it, and does `work` for each request."""

    def __init__(self, work: Callable[[], Any] | None = None, start: Callable[[], Any] | None = None) -> None:
        self.events: list[Any] = []
        self.entered = threading.Event()
        self._work = work
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        self.events.append(("request", scope.get("state")))
        self.entered.set()
        try:
            if self._work is not None:
                await self._work()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        await respond(send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.events.append((await receive())["type"])
        if self._start is not None:
            self._start()
        scope["state"]["open"] = True
        await send({"type": "lifespan.startup.complete"})
        self.events.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await respond(send, repr(scope.get("state")))


@LOOPS
def test_lifespan_surrounds_the_requests_and_gives_them_its_state(loop: str) -> None:
    shop = Shop()
    assert serve(shop, configure(loop)) == [{"event": "ready", "serves": f"ASGI on {loop}"}]
    assert shop.events == ["lifespan.startup", ("request", {"open": True}), "lifespan.shutdown"]


@pytest.mark.parametrize("lifespan", ["auto", "off"])
def test_application_without_lifespan_has_no_state(lifespan: Literal["auto", "off"]) -> None:
    def visit(client: Visit) -> None:
        assert client.get("/") == (200, "None")
        drain(client)

    assert len(serve(bare, configure("asyncio", lifespan=lifespan), visit)) == 1


def test_application_is_not_told_of_its_life_if_that_is_off() -> None:
    shop = Shop()
    serve(shop, configure("asyncio", lifespan="off"))
    assert shop.events == [("request", None)]


@LOOPS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_request_in_progress_is_finished(loop: str, number: int) -> None:
    gate = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        await gate.wait()

    shop = Shop(work)
    answers: list[tuple[int, str]] = []

    def visit(client: Visit) -> None:
        getting = threading.Thread(target=lambda: answers.append(client.get("/")))
        getting.start()
        assert shop.entered.wait(PATIENCE)
        send_signal(number)
        loops[0].call_soon_threadsafe(gate.set)
        getting.join(PATIENCE)

    serve(shop, configure(loop), visit)
    assert answers == [(200, "")]
    assert shop.events[-1] == "lifespan.shutdown"


@LOOPS
def test_quit_drops_requests_and_still_shuts_the_application_down(loop: str) -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    shop = Shop(work)

    def visit(client: Visit) -> None:
        def quit_inside() -> None:
            assert shop.entered.wait(PATIENCE)
            send_signal(signal.SIGQUIT)

        client.send("/", quit_inside)

    serve(shop, configure(loop), visit)
    assert shop.events[-2:] == ["cancelled", "lifespan.shutdown"]


@LOOPS
@pytest.mark.parametrize("way", ["signal", "loop"])
def test_handler_of_the_application_runs_as_well(loop: str, way: str) -> None:
    handled: list[str] = []

    def start() -> None:
        if way == "signal":
            signal.signal(signal.SIGTERM, lambda _number, _frame: handled.append("theirs"))
        else:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, handled.append, "theirs")

    shop = Shop(start=start)
    serve(shop, configure(loop))
    assert handled == ["theirs"]
    assert shop.events[-1] == "lifespan.shutdown"


@LOOPS
def test_logs_are_reopened_and_hangups_ignored(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    reopened = threading.Event()
    signal.signal(signal.SIGUSR1, lambda _number, _frame: reopened.set())

    def visit(client: Visit) -> None:
        send_signal(signal.SIGHUP)
        send_signal(signal.SIGUSR1)
        assert reopened.wait(PATIENCE)
        get_and_drain(client)

    serve(Shop(), configure(loop), visit)
    assert "the access log was reopened" in caplog.text


@LOOPS
def test_signals_do_nothing_after_the_loop_is_closed(loop: str) -> None:
    serve(bare, configure(loop))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        assert signal.getsignal(number) is ignore_signal


def test_end_of_the_supervisor_is_an_order_to_drain() -> None:
    shop = Shop()
    serve(shop, configure("asyncio"), lambda client: client.release_lifeline())
    assert shop.events[-1] == "lifespan.shutdown"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", f"{__name__}:Foreign"])
def test_engine_that_fails_ends_the_worker(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop()

    def visit(client: Visit) -> None:
        assert client.send("/fail-turn") == b""

    with pytest.raises(HostlerError, match="the engine failed: ZeroDivisionError: the engine is broken"):
        serve(shop, configure(loop), visit)
    assert caplog.text.count("the engine failed; this worker ends") == 1
    assert shop.events[-1] == "lifespan.shutdown"


def test_engine_that_fails_is_not_left_to_a_handler_of_the_application() -> None:
    seen: list[Mapping[str, Any]] = []

    def start() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context))

    def visit(client: Visit) -> None:
        assert client.send("/fail-turn") == b""

    with pytest.raises(HostlerError, match="the engine failed"):
        serve(Shop(start=start), configure("asyncio"), visit)
    assert seen == []


@LOOPS
def test_error_that_nobody_caught_is_logged_or_given_to_the_application(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    def fail() -> None:
        raise ValueError("the till is empty")

    async def work() -> None:
        running = asyncio.get_running_loop()
        running.call_soon(fail)
        await asyncio.sleep(0)

    serve(Shop(work), configure(loop))
    assert "ValueError: the till is empty" in caplog.text
    caplog.clear()

    def start() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context["exception"]))

    serve(Shop(work, start), configure(loop))
    assert [str(error) for error in seen] == ["the till is empty"]
    assert "the till is empty" not in caplog.text


@LOOPS
def test_what_is_left_in_the_loop_is_ended(loop: str) -> None:
    ended: list[str] = []
    kept: list[Any] = []

    async def watch() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    async def count() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("generator")

    async def work() -> None:
        kept.append(asyncio.create_task(watch()))
        counting = count()
        kept.append(counting)
        await anext(counting)
        await asyncio.get_running_loop().run_in_executor(None, ended.append, "thread")

    serve(Shop(work), configure(loop))
    assert ended == ["thread", "task", "generator"]


@LOOPS
def test_task_that_does_not_end_is_left_behind(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def refuse() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    tasks: list[Any] = []

    async def work() -> None:
        tasks.append(asyncio.create_task(refuse(), name="mule"))
        await asyncio.sleep(0)

    serve(Shop(work), configure(loop, grace=0.2))
    assert "tasks that go on though they were cancelled are left behind (1): mule" in caplog.text
    # A worker ends here; this process goes on, and what was left must not complain in some other test.
    tasks[0]._log_destroy_pending = False
    tasks[0].get_coro().close()


def test_exit_of_a_task_still_lets_the_application_shut_down() -> None:
    async def leave() -> None:
        raise SystemExit(7)

    tasks: list[Any] = []

    async def work() -> None:
        tasks.append(asyncio.create_task(leave()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    shop = Shop(work)

    with pytest.raises(SystemExit) as caught:
        serve(shop, configure("asyncio"), lambda client: [client.send("/")])
    assert caught.value.code == tasks[0].exception().code == 7
    assert "lifespan.shutdown" in shop.events


def test_application_that_stops_the_loop_is_told_off() -> None:
    async def work() -> None:
        asyncio.get_running_loop().stop()

    shop = Shop(work)
    with pytest.raises(HostlerError, match="the application stopped the event loop"):
        serve(shop, configure("asyncio"), lambda client: [client.send("/")])
    assert "lifespan.shutdown" in shop.events


async def unstartable(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    await send({"type": "lifespan.startup.failed", "message": "the hay is wet"})


def test_application_that_does_not_start_keeps_the_worker_from_serving() -> None:
    with pytest.raises(ApplicationError, match='"shop:app" did not start: the hay is wet'):
        serve(unstartable, configure("asyncio"))


def test_applications_that_had_started_are_shut_down_when_another_does_not_start() -> None:
    shop = Shop()
    config = configure("asyncio", mounts={"/wet": "wet:app"})
    with pytest.raises(ApplicationError, match='"wet:app" did not start'):
        serve(shop, config, drain, Mount("/wet", "asgi", unstartable))
    assert shop.events == ["lifespan.startup", "lifespan.shutdown"]


def test_page_may_take_the_place_of_applications_that_do_not_start(caplog: pytest.LogCaptureFixture) -> None:
    def visit(client: Visit) -> None:
        status, page = client.get("/")
        assert status == 500
        assert "did not start: the hay is wet" in page
        drain(client)

    assert serve(unstartable, configure("asyncio"), visit, failure_page=AsgiFailurePage)[0]["event"] == "ready"
    assert "the hay is wet" in caplog.text


def test_lifespan_that_is_asked_for_must_be_there() -> None:
    with pytest.raises(ApplicationError, match='"shop:app" did not start: AssertionError'):
        serve(bare, configure("asyncio", lifespan="on"))


def test_wsgi_application_is_served_beside_in_threads() -> None:
    names: list[str] = []

    def legacy(environ: Scope, start_response: Callable[..., Any]) -> list[bytes]:
        names.append(threading.current_thread().name)
        return [environ["PATH_INFO"].encode()]

    def visit(client: Visit) -> None:
        assert client.get("/old/stock") == (200, "/stock")
        get_and_drain(client)

    config = configure("asyncio", mounts={"/old": "legacy:app"})
    (ready,) = serve(bare, config, visit, Mount("/old", "wsgi", legacy))
    assert ready["serves"] == "ASGI on asyncio, WSGI in 4 threads"
    assert names == ["hostler-wsgi-1"]


def test_mounted_applications_share_the_state_of_their_lifespans() -> None:
    one, other = Shop(), Shop()

    def visit(client: Visit) -> None:
        client.get("/other")
        get_and_drain(client)

    config = configure("asyncio", mounts={"/other": "other:app"})
    serve(one, config, visit, Mount("/other", "asgi", other))
    assert one.events == other.events == ["lifespan.startup", ("request", {"open": True}), "lifespan.shutdown"]


def test_engine_that_cannot_be_made_is_a_matter_of_configuration() -> None:
    config = configure("asyncio")
    config = replace(config, log=replace(config.log, access_format="unusable"))
    shop = Shop()
    with pytest.raises(ConfigurationError, match="the engine cannot start: the access log format is unusable"):
        serve(shop, config)
    assert shop.events == ["lifespan.startup", "lifespan.shutdown"]


def test_engine_is_told_what_it_needs() -> None:
    told: list[Any] = []

    class Noting(FakeAsgiEngine):
        def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - passed on
            told.append(arguments[0])
            super().__init__(*arguments)

    serve(bare, configure("asyncio"), engine=Noting, is_development=True)
    (settings,) = told
    assert (settings.signal_fd, settings.stream_request_body, settings.debug_extension) == (-1, True, True)
