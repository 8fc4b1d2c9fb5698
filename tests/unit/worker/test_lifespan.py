"""The lifespan protocol between a worker and an application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from hostler.contracts import AsgiApplication, Receive, Send
from hostler.errors import ApplicationError
from hostler.worker.lifespan import Lifespan

Scope = dict[str, Any]
Step = Callable[[Receive, Send], Coroutine[Any, Any, Any]]
COMPLETE = {"type": "lifespan.startup.complete"}
DONE = {"type": "lifespan.shutdown.complete"}


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    target = logging.getLogger("hostler")
    level, target.propagate = target.level, True
    target.setLevel(logging.DEBUG)
    yield
    target.setLevel(level)


def live(application: AsgiApplication, *, is_required: bool = False, timeout: float = 5, state: Any = None) -> bool:  # noqa: ANN401 - whatever applications put there
    """Start an application and stop it again; tells whether it has a lifespan."""

    async def run() -> bool:
        lifespan = Lifespan(application, label="shop:app", is_required=is_required, state=state)
        is_supported = await lifespan.start()
        await lifespan.stop(timeout)
        return is_supported

    return asyncio.run(run())


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def application(*steps: Step) -> AsgiApplication:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        for step in steps:
            await step(receive, send)

    return run


def take() -> Step:
    async def step(receive: Receive, send: Send) -> None:
        await receive()

    return step


def say(kind: str, **facts: Any) -> Step:  # noqa: ANN401
    async def step(receive: Receive, send: Send) -> None:
        await send({"type": kind, **facts})

    return step


def fail(error: BaseException) -> Step:
    async def step(receive: Receive, send: Send) -> None:
        raise error

    return step


START, STOP = say("lifespan.startup.complete"), say("lifespan.shutdown.complete")


def test_application_is_told_in_order_and_may_keep_a_state(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []
    state: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["type"], scope["asgi"]))
        scope["state"]["till"] = "open"
        seen.append(await receive())
        await send(COMPLETE)
        seen.append(await receive())
        await send(DONE)

    assert live(app, state=state)
    assert seen == [
        ("lifespan", {"version": "3.0", "spec_version": "2.0"}),
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    ]
    assert state == {"till": "open"}
    assert lines(caplog) == []


def test_application_that_loops_on_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})

    assert live(app)
    assert lines(caplog) == []


@pytest.mark.parametrize(
    "app",
    [
        application(fail(ValueError("Django can only handle ASGI/HTTP connections, not lifespan."))),
        application(fail(AssertionError())),
        application(),
        application(take()),
        application(say("http.response.start", status=200)),
        application(take(), say("http.response.start", status=200)),
    ],
)
def test_application_without_lifespan_is_served_without_a_word(
    app: AsgiApplication, caplog: pytest.LogCaptureFixture
) -> None:
    assert not live(app)
    assert lines(caplog) == []
    assert '"shop:app" has no lifespan' in caplog.text


def test_exception_of_a_start_is_shown_though_the_application_is_served(caplog: pytest.LogCaptureFixture) -> None:
    assert not live(application(take(), fail(ConnectionError("no database"))))
    (line,) = lines(caplog, logging.WARNING)
    assert line.startswith('"shop:app" raised an exception when it was told to start, and is served all the same')
    assert 'set app.lifespan to "on"' in line
    assert line.endswith("ConnectionError: no database")


@pytest.mark.parametrize(
    "app,expected",
    [
        (application(fail(ValueError("no"))), '"shop:app" did not start: ValueError: no'),
        (application(take(), fail(ValueError("no"))), '"shop:app" did not start: ValueError: no'),
        (application(fail(SystemExit(4))), '"shop:app" did not start: RuntimeError: the application called exit(4)'),
        (
            application(),
            (
                '"shop:app" returned from its lifespan without "lifespan.startup.complete"; '
                'set app.lifespan to "auto" if it has none'
            ),
        ),
    ],
)
def test_lifespan_that_is_required_must_be_there(app: AsgiApplication, expected: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        live(app, is_required=True)
    assert str(caught.value) == expected


TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nValueError: the hay is wet\n'


@pytest.mark.parametrize("is_required", [False, True])
@pytest.mark.parametrize(
    "message,summary,details",
    [
        ({"message": "the hay is wet"}, "the hay is wet", None),
        ({"message": "one\ntwo"}, "one", "one\ntwo"),
        ({"message": TRACEBACK}, "ValueError: the hay is wet", TRACEBACK.strip()),
        ({"message": "x" * 500}, f"{'x' * 197}...", None),
        ({}, "it does not say why", None),
    ],
)
def test_failed_start_is_an_error_in_any_case(
    is_required: bool, message: Scope, summary: str, details: str | None
) -> None:
    app = application(take(), say("lifespan.startup.failed", **message), fail(ValueError("told already")))
    with pytest.raises(ApplicationError) as caught:
        live(app, is_required=is_required)
    assert str(caught.value) == f'"shop:app" did not start: {summary}'
    assert caught.value.details == details


def collect_disorder(*steps: Step) -> str:
    """Run the steps; the last one is expected to be refused."""
    refusals: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for step in steps[:-1]:
            await step(receive, send)
        try:
            await steps[-1](receive, send)
        except RuntimeError as error:
            refusals.append(str(error))

    live(app)
    (refusal,) = refusals
    return refusal


@pytest.mark.parametrize(
    "steps,expected",
    [
        (
            (STOP,),
            (
                'the application sent "lifespan.shutdown.complete" while it starts, when '
                '"lifespan.startup.complete" or "lifespan.startup.failed" is expected'
            ),
        ),
        (
            (START, START),
            (
                'the application sent "lifespan.startup.complete" before it was sent "lifespan.shutdown", '
                "when no message is expected"
            ),
        ),
        (
            (START, take(), take(), START),
            (
                'the application sent "lifespan.startup.complete" while it shuts down, when '
                '"lifespan.shutdown.complete" or "lifespan.shutdown.failed" is expected'
            ),
        ),
        (
            (START, take(), take(), STOP, STOP),
            'the application sent "lifespan.shutdown.complete" while it shuts down, when no message is expected',
        ),
    ],
)
def test_message_out_of_order_is_refused_with_what_was_expected(steps: Sequence[Step], expected: str) -> None:
    assert collect_disorder(*steps) == expected


@pytest.mark.parametrize(
    "steps,expected",
    [
        (
            (say("lifespan.shutdown.failed", message="the door is stuck"),),
            '"shop:app" failed while it shut down: the door is stuck',
        ),
        ((say("lifespan.shutdown.failed"),), '"shop:app" failed while it shut down: it does not say why'),
        ((fail(OSError("the door is stuck")),), '"shop:app" failed while it shut down\nTraceback'),
    ],
)
def test_failed_shutdown_is_logged(steps: Sequence[Step], expected: str, caplog: pytest.LogCaptureFixture) -> None:
    assert live(application(START, take(), take(), *steps))
    (line,) = lines(caplog)
    assert line.startswith(expected)


def test_application_that_returns_when_it_shuts_down_is_fine(caplog: pytest.LogCaptureFixture) -> None:
    assert live(application(START, take(), take()))
    assert lines(caplog) == []


def test_shutdown_has_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    async def wait(receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    assert live(application(START, wait), timeout=0.01)
    assert lines(caplog) == ['"shop:app" has not shut down within 0.0 s; it is cancelled']


def test_application_that_leaves_its_lifespan_early_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        lifespan = Lifespan(application(START, fail(KeyError("horse"))), label="shop:app", is_required=False)
        assert await lifespan.start()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)
        await asyncio.sleep(0)
        await lifespan.stop(5)

    asyncio.run(run())
    (line,) = lines(caplog)
    assert line.startswith('"shop:app" left its lifespan before it was told to shut down\nTraceback')
