"""The handler of a request is for all that can be observed an ordinary task of asyncio's."""

from __future__ import annotations

import asyncio
import contextvars
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conformance.wire import Wire, build_request
from tests.e2e.asgi import LOOPS, asgi_options
from tests.e2e.harness import RunningServer, start_server
from tests.property.asgi_programs import STEPS, Program, Session, Trace, run_briefly, run_program

APP = "tests.property.asgi_tasks:app"


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(loop: str) -> Iterator[RunningServer]:
    with start_server(APP, *asgi_options(loop, "--no-http-cancel-on-disconnect")) as running:
        yield running


@pytest.fixture(scope="module")
def runner(loop: str) -> Iterator[asyncio.Runner]:
    """A loop of the same kind in this process, for the ordinary tasks."""
    factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[loop]
    with asyncio.Runner(loop_factory=factory) as opened:
        # Programs leave tasks behind that fail with nobody to take the exception.
        opened.get_loop().set_exception_handler(lambda *_: None)
        yield opened


# Programs

numbers = st.integers(0, 9)
variables = st.sampled_from(["a", "b"])
SIMPLE = st.one_of(
    st.tuples(st.just("mark"), numbers),
    st.tuples(st.sampled_from(["look", "yield", "event", "long", "undo", "uncancel"])),
    st.tuples(st.sampled_from(["odd", "itself", "foreign"])),
    st.tuples(st.sampled_from(["future", "failing future", "queue", "fail", "cancel self", "callback"]), numbers),
    st.tuples(st.just("assign"), variables, st.sampled_from(["x", "y", "z"])),
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Steps around programs of simpler ones."""
    program = st.lists(inner, max_size=4)
    flag = st.booleans()
    return st.one_of(
        st.tuples(st.sampled_from(["try", "try anything", "finally", "child", "shield"]), program),
        st.tuples(st.just("cancel child"), program, st.integers(0, 4)),
        st.tuples(st.just("gather"), st.lists(program, min_size=1, max_size=3), flag),
        st.tuples(st.sampled_from(["limit", "wait for", "move on"]), program, flag),
        st.tuples(st.just("scope"), program, program, flag),
    )


def compound_with_groups(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same, and groups, which keep their tasks in sets: in which order they are cancelled, nobody knows."""
    program = st.lists(inner, max_size=4)
    programs = st.lists(program, min_size=1, max_size=3)
    return st.one_of(
        compound(inner),
        st.tuples(st.just("group"), programs, program),
        st.tuples(st.just("anyio group"), programs, program, st.booleans()),
    )


ORDERED_PROGRAMS = st.lists(st.recursive(SIMPLE, compound, max_leaves=12), min_size=1, max_size=6)
PROGRAMS = st.lists(st.recursive(SIMPLE, compound_with_groups, max_leaves=12), min_size=1, max_size=6)


# Programs that never wait: the server may run such a request without making a task for it.
BRIEF_STEPS = st.one_of(
    st.tuples(st.sampled_from(["mark", "fail", "cancel self", "rename"]), numbers),
    st.tuples(st.sampled_from(["look", "undo", "uncancel", "tag", "keep", "weak", "call back", "cancel kept"])),
    st.tuples(st.just("assign"), variables, st.sampled_from(["x", "y", "z"])),
)
BRIEF = st.lists(
    st.one_of(
        BRIEF_STEPS,
        st.tuples(st.just("try"), st.lists(BRIEF_STEPS, max_size=3)),
        st.tuples(st.sampled_from(["limit", "move on"]), st.lists(BRIEF_STEPS, max_size=3), st.just(False)),
    ),
    max_size=5,
)


def by_task(trace: Trace) -> dict[str, Trace]:
    """What each task of a program saw, whatever the order among them."""
    traces: dict[str, Trace] = {}
    for name, *what in trace:
        traces.setdefault(name, []).append([_sort_groups(part) for part in what])
    return traces


def _sort_groups(part: Any) -> Any:  # noqa: ANN401 (traces nest)
    if isinstance(part, list) and part[:1] == ["group"]:
        return ["group", *sorted(map(_sort_groups, part[1:]), key=repr)]
    return part


def run_as_task(runner: asyncio.Runner, program: Program) -> Trace:
    """What an ordinary task sees."""
    return runner.run(run_program(program), context=contextvars.Context())


def run_as_requests(server: RunningServer, *programs: Program) -> list[Trace]:
    """What handlers see that run at the same time, each on a connection of its own."""
    wires = [Wire.to(server) for _ in programs]
    for wire, program in zip(wires, programs, strict=True):
        wire.send(build_request("POST", "/", [], json.dumps(program).encode()))
    traces = []
    for wire in wires:
        with wire:
            answer = wire.read_answer()
            assert answer.status == 200, answer
            traces.append(json.loads(answer.body))
    return traces


frugal = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@given(program=ORDERED_PROGRAMS)
@example(program=[["look"], ["yield"], ["look"]])
@example(program=[["cancel self", 1], ["yield"]])
@example(program=[["try anything", [["cancel self", 1], ["long"]]], ["look"]])
@example(program=[["cancel self", 1]])
@example(program=[["limit", [["long"]], True], ["look"]])
@example(program=[["assign", "a", "x"], ["child", [["look"], ["assign", "a", "y"]]], ["look"], ["undo"], ["look"]])
@example(program=[["scope", [], [["long"], ["look"]], True], ["look"]])
@settings(frugal, max_examples=200)
def test_program_sees_in_a_request_what_it_sees_in_a_task(
    server: RunningServer, runner: asyncio.Runner, program: Program
) -> None:
    (trace,) = run_as_requests(server, program)
    assert trace == run_as_task(runner, program)


@given(program=PROGRAMS)
@example(program=[["group", [[["yield"], ["fail", 1]], [["long"]]], [["long"]]]])
@example(program=[["anyio group", [[["long"]], [["look"]]], [["look"]], True], ["look"]])
@settings(frugal, max_examples=200)
def test_each_task_of_a_program_with_groups_sees_the_same(
    server: RunningServer, runner: asyncio.Runner, program: Program
) -> None:
    (trace,) = run_as_requests(server, program)
    assert by_task(trace) == by_task(run_as_task(runner, program))


@given(programs=st.lists(PROGRAMS, min_size=2, max_size=4))
@settings(frugal, max_examples=60)
def test_programs_of_concurrent_requests_do_not_meet(
    server: RunningServer, runner: asyncio.Runner, programs: list[Program]
) -> None:
    traces = run_as_requests(server, *programs)
    assert list(map(by_task, traces)) == [by_task(run_as_task(runner, program)) for program in programs]


@given(programs=st.lists(PROGRAMS, min_size=2, max_size=4))
@settings(frugal, max_examples=60)
def test_program_leaves_nothing_for_the_next_request_of_its_connection(
    server: RunningServer, runner: asyncio.Runner, programs: list[Program]
) -> None:
    with Wire.to(server) as wire:
        for program in programs:
            answer = wire.ask("POST", "/", (), json.dumps(program).encode())
            assert by_task(json.loads(answer.body)) == by_task(run_as_task(runner, program))


@given(programs=st.lists(BRIEF, min_size=2, max_size=6), pipelined=st.booleans())
@example(programs=[[["rename", 1]], [["look"]], [["rename", 1], ["keep"]], [["cancel kept"]]], pipelined=True)
@example(programs=[[["cancel self", 1]], [["look"]], [["cancel self", 1], ["uncancel"]], [["look"]]], pipelined=False)
@example(programs=[[["weak"], ["tag"]], [["look"]], [["call back"]], [["look"]]], pipelined=False)
@settings(frugal, max_examples=200)
def test_requests_that_never_wait_have_tasks_of_their_own_all_the_same(
    server: RunningServer, runner: asyncio.Runner, programs: list[Program], pipelined: bool
) -> None:
    path = f"/{new_name()}"
    requests = [build_request("POST", path, [], json.dumps(program).encode()) for program in programs]
    traces = []
    with Wire.to(server) as wire:
        if pipelined:
            wire.send(b"".join(requests))
        for request in requests:
            if not pipelined:
                wire.send(request)
            traces.append(json.loads(wire.read_answer().body))
    assert traces == runner.run(run_as_brief_tasks(programs), context=contextvars.Context())


async def run_as_brief_tasks(programs: list[Program]) -> list[Trace]:
    """What ordinary tasks see that come one after the other."""
    session = Session()
    traces: list[Trace] = []

    async def one(program: Program) -> None:
        traces.append(await run_briefly(program, session))

    for program in programs:
        await asyncio.wait([asyncio.get_running_loop().create_task(one(program), context=contextvars.Context())])
    return traces


def test_every_step_is_generated_by_the_grammar() -> None:
    """A step that no program contains would prove nothing."""
    seen: set[str] = set()

    def collect(program: Any) -> None:  # noqa: ANN401 (steps nest)
        for part in program:
            if isinstance(part, str) and part in STEPS:
                seen.add(part)
            elif isinstance(part, list | tuple):
                collect(part)

    @given(program=PROGRAMS | BRIEF)
    @settings(max_examples=250, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def gather(program: Program) -> None:
        collect(program)

    gather()
    assert seen == STEPS.keys()


# What needs more than one request


def target(path: str, **query: object) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def get(server: RunningServer, path: str, **query: object) -> Any:  # noqa: ANN401 (whatever the route tells)
    with Wire.to(server) as wire:
        return get_on(wire, path, **query)


def get_on(wire: Wire, path: str, **query: object) -> Any:  # noqa: ANN401 (whatever the route tells)
    answer = wire.ask("GET", target(path, **query))
    assert answer.status == 200, answer
    return json.loads(answer.body)


def new_name() -> str:
    return uuid.uuid4().hex


def test_concurrent_requests_have_tasks_of_their_own(server: RunningServer) -> None:
    name, count = new_name(), 20
    wires = [Wire.to(server) for _ in range(count)]
    for wire in wires:
        wire.send(build_request("GET", target("/meet", name=name, count=count)))
    told = []
    for wire in wires:
        with wire:
            told.append(tuple(json.loads(wire.read_answer().body)))
    assert len(set(told)) == count


def test_task_of_the_next_request_is_fresh(server: RunningServer) -> None:
    with Wire.to(server) as wire:
        before = get_on(wire, "/tell")
        for _ in range(3):
            get_on(wire, "/mess-up", name="a-mess")
            told = get_on(wire, "/tell")
            assert told | {"name": ""} == before | {"name": ""}
            assert told["name"] != "a-mess"
    assert before | {"name": ""} == {
        "name": "",
        "cancelling": 0,
        "variable": "unset",
        "is_same": True,
        "is_done": False,
    }


def test_cancelling_that_comes_too_late_cancels_nobody_else(server: RunningServer) -> None:
    with Wire.to(server) as wire:
        for _ in range(3):
            name = new_name()
            assert get_on(wire, "/cancel-and-return", name=name) == name
            assert get_on(wire, "/tell")["cancelling"] == 0
            # asyncio takes it into account all the same: the task counts as cancelled, but was not interrupted.
            assert get(server, "/note", name=name) == [[True, True]]


def test_task_that_is_kept_beyond_its_end_disturbs_no_other(server: RunningServer) -> None:
    """A server that used task objects again would cancel the wrong request."""
    name, gate = new_name(), new_name()
    with Wire.to(server) as wire:
        for _ in range(10):
            get_on(wire, "/keep", name=name)
    waiting = [Wire.to(server) for _ in range(10)]
    for wire in waiting:
        wire.send(build_request("GET", target("/wait", name=gate)))
    get(server, "/note", name=f"{gate}-arrived")
    assert get(server, "/use-kept", name=name) == [[True, False, False, None, 0]] * 10
    get(server, "/open", name=gate)
    for wire in waiting:
        with wire:
            assert wire.read_answer().text == '"went through"'


def test_timer_that_outlives_a_request_disturbs_no_other(server: RunningServer) -> None:
    name, gate = new_name(), new_name()
    with Wire.to(server) as first, Wire.to(server) as second:
        get_on(first, "/late-cancel", name=name)
        for wire in (first, second):
            wire.send(build_request("GET", target("/wait", name=gate)))
        get(server, "/note", name=name)
        get(server, "/open", name=gate)
        for wire in (first, second):
            assert wire.read_answer().text == '"went through"'


def test_running_request_can_be_cancelled_by_another(server: RunningServer) -> None:
    name = new_name()
    with Wire.to(server) as wire:
        wire.send(build_request("GET", target("/keep-and-wait", name=name)))
        get(server, "/note", name=f"{name}-arrived")
        assert get(server, "/cancel-kept", name=name) == [True]
        assert get(server, "/note", name=f"{name}-cancelled") == [["by another request"]]
        assert wire.read_answer().status == 500
        assert get_on(wire, "/tell")["cancelling"] == 0


def test_end_of_a_request_can_be_awaited_by_another(server: RunningServer) -> None:
    name = new_name()
    with Wire.to(server) as waiting, Wire.to(server) as watching:
        waiting.send(build_request("GET", target("/keep-and-wait", name=name)))
        get(server, "/note", name=f"{name}-arrived")
        watching.send(build_request("GET", target("/await-kept", name=name)))
        get(server, "/note", name=f"{name}-awaited")
        get(server, "/open", name=name)
        assert waiting.read_answer().text == '"went through"'
        assert json.loads(watching.read_answer().body) == [[True, False]]


@pytest.mark.parametrize(
    "end, outcome",
    [
        ("return", "None"),
        ("fail", "LookupError('as asked for')"),
        ("fail after a wait", "LookupError('as asked for')"),
        ("cancel", "cancelled"),
    ],
)
def test_callbacks_on_the_task_are_called_at_its_end(server: RunningServer, end: str, outcome: str) -> None:
    """With the task, which is done, in the context of who has added them; those taken back are not.

    Whether the task itself fails, or its server has taken the exception within it, is the server's business.
    """
    name = new_name()
    with Wire.to(server) as wire:
        status = wire.ask("GET", target("/watched", name=name, end=end)).status
        assert status == (200 if end == "return" else 500)
    ((is_task, is_done, seen, variable, is_listed),) = get(server, "/note", name=name)
    assert (is_task, is_done, variable, is_listed) == (True, True, name, False)
    assert seen in {outcome, "None"}
    assert get(server, "/note", name=f"{name}-removed") == [[]]


def test_generator_that_is_left_in_its_middle_is_closed(server: RunningServer) -> None:
    name = new_name()
    get(server, "/leave-generator", name=name)
    assert get(server, "/note", name=name) == [["closed"]]


def test_context_is_passed_on_as_by_any_task(server: RunningServer) -> None:
    name = new_name()
    assert get(server, "/pass-context", name=name) == {
        "after the child": name,
        "callback": name,
        "after the callback": name,
        "to_thread": name,
        "anyio thread": name,
        "executor": "unset",
        "child of an empty context": "unset",
    }
    assert get(server, "/tell")["variable"] == "unset"


def test_threads_come_back_to_their_task(server: RunningServer) -> None:
    told = get(server, "/use-threads", count=3)
    assert (told["numbers"], told["is_same"]) == ([0, 1, 2], True)


def test_limits_of_time_end_a_wait_and_nothing_else(server: RunningServer) -> None:
    assert get(server, "/time-out") == {"timeout": 0, "wait_for": 0, "move_on_after": True}
