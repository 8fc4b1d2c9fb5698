"""Small programs of coroutines, and an interpreter that writes down what they see.

A program is a list of steps; a step is a list of a word and its arguments, so that it can travel as JSON. The same
program is run as an ordinary `asyncio.Task` and as the handler of a request, and must see the same.

Nothing in a program depends on how long anything takes: timeouts are over at once or never, and what waits without end
waits for so many turns of the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import sniffio

Step = list[Any]
Program = list[Step]
Trace = list[Any]

VARIABLES = {name: contextvars.ContextVar(name, default="unset") for name in ("a", "b")}
LONG = 60.0
TURNS = 12


@dataclass
class Session:
    """What the programs of a session leave behind of their tasks, in their order.

    Attributes:
        names: the names that they have given them.
        kept: the tasks that they have kept.
        weak: weak references to those of others.
        called: how many callbacks on them have been called.
    """

    names: list[str] = field(default_factory=list)
    kept: list[asyncio.Task[Any]] = field(default_factory=list)
    weak: list[weakref.ref[asyncio.Task[Any]]] = field(default_factory=list)
    called: int = 0


@dataclass
class Run:
    """One task's part in the run of a program.

    Attributes:
        trace: what the program saw, shared by all its tasks.
        name: which of the program's tasks this is.
        task: the task itself, as it was when it began.
        tokens: what undoes the last assignments to the variables.
        children: how many children this task has made.
        session: what programs before this one have left behind, if it is one of several.
    """

    trace: Trace
    name: str
    task: asyncio.Task[Any]
    tokens: list[tuple[str, contextvars.Token[str]]] = field(default_factory=list)
    children: int = 0
    session: Session = field(default_factory=Session)

    def see(self, *what: object) -> None:
        """Write something down."""
        self.trace.append([self.name, *what])

    def child(self, program: Program) -> Coroutine[Any, Any, str]:
        """A coroutine that runs a program as another task."""
        self.children += 1
        return run_child(program, self.trace, f"{self.name}.{self.children}")


async def run_program(program: Program) -> Trace:
    """Run a program in the current task, to its end, whatever that is; return what it saw.

    Cancellation that is still under way at the end is taken note of, and used up.
    """
    task = _current()
    run = Run([], "0", task)
    run.see("begins", task.cancelling(), {name: variable.get() for name, variable in VARIABLES.items()})
    try:
        await run_steps(program, run)
    except BaseException as error:  # noqa: BLE001 (an outcome like any other)
        run.see("ends with", describe(error))
    else:
        run.see("ends")
    await settle(run)
    run.see("is the same", _current() is task, "done", task.done(), "cancelling", task.cancelling())
    # As it is now: tasks that the program has left behind may go on writing.
    trace: Trace = json.loads(json.dumps(run.trace))
    return trace


async def run_briefly(program: Program, session: Session) -> Trace:
    """Run a program that never waits; return what it saw, of the tasks before it in its session among it."""
    task = _current()
    run = Run([], "0", task, session=session)
    run.see("begins", task.cancelling(), {name: variable.get() for name, variable in VARIABLES.items()})
    run.see("is fresh", task.get_name() not in session.names, not hasattr(task, "tag"), task not in session.kept)
    run.see("others are over", all(other is None or other.done() for other in (each() for each in session.weak)))
    try:
        await run_steps(program, run)
    except BaseException as error:  # noqa: BLE001 (an outcome like any other)
        run.see("ends with", describe(error))
    run.see("is the same", _current() is task, task.done(), task.cancelling())
    trace: Trace = json.loads(json.dumps(run.trace))
    return trace


async def settle(run: Run) -> None:
    """Use up what cancels this task, and let its children come to their ends."""
    for _ in range(2 * TURNS):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            run.see("cancelled late", describe(error))
    while run.task.cancelling():
        run.task.uncancel()


async def run_child(program: Program, trace: Trace, name: str) -> str:
    """Run a program as a task of its own; return the task's name in the trace."""
    run = Run(trace, name, _current())
    run.see("begins", run.task.cancelling(), {name: variable.get() for name, variable in VARIABLES.items()})
    try:
        await run_steps(program, run)
    except BaseException as error:
        run.see("ends with", describe(error))
        raise
    run.see("ends")
    return name


async def run_steps(program: Program, run: Run) -> None:
    """Do one step after the other."""
    for word, *arguments in program:
        await STEPS[word](run, *arguments)


def describe(error: BaseException) -> Any:  # noqa: ANN401 (text, or a list for a group)
    """An exception as it may travel and be compared."""
    if isinstance(error, BaseExceptionGroup):
        return ["group", *(describe(each) for each in error.exceptions)]
    if isinstance(error, asyncio.CancelledError):
        # anyio writes its scope's address into the message.
        words = [str(each) for each in error.args if "cancel scope" not in str(each)]
        return ["CancelledError", *words]
    if isinstance(error, RuntimeError):
        # asyncio writes the task into the message.
        return [type(error).__name__]
    return [type(error).__name__, *map(str, error.args)]


def _current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


# Steps that see


async def mark(run: Run, number: int) -> None:
    run.see("mark", number)


async def look(run: Run) -> None:
    """Everything by which a library finds out where it is."""
    task = _current()
    run.see(
        "looks",
        task is run.task,
        task in asyncio.all_tasks(),
        task.done(),
        task.cancelled(),
        task.cancelling(),
        isinstance(task, asyncio.Task),
        task.get_loop() is asyncio.get_running_loop(),
        sniffio.current_async_library(),
        anyio.get_current_task().id == id(task),
        asyncio.iscoroutine(task.get_coro()),
        len(task.get_stack()) > 0,
        {name: variable.get() for name, variable in VARIABLES.items()},
    )


# Steps that wait


async def give_way(run: Run) -> None:
    await asyncio.sleep(0)


async def wait_future(run: Run, number: int) -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(_settle_future, future, number)
    run.see("future", await future)


async def wait_failing_future(run: Run, number: int) -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(_fail_future, future, number)
    run.see("future", await future)


async def wait_long(run: Run) -> None:
    """Wait for much longer than whoever will cancel it."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
    run.see("waited long")


async def wait_event(run: Run) -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    run.see("event", await event.wait())


async def use_queue(run: Run, number: int) -> None:
    """Pass a value through a queue that has no room yet."""
    queue: asyncio.Queue[int] = asyncio.Queue(1)
    putter = asyncio.create_task(queue.put(number))
    run.see("queue", await queue.get())
    await putter


class Odd:
    """An awaitable that yields what no event loop understands."""

    def __await__(self) -> Generator[int, None, None]:
        yield 7


async def wait_oddly(run: Run) -> None:
    await Odd()


async def wait_for_itself(run: Run) -> None:
    await run.task


async def wait_for_foreign(run: Run) -> None:
    loop = asyncio.new_event_loop()
    try:
        await loop.create_future()
    finally:
        loop.close()


# Steps that change


async def assign(run: Run, name: str, value: str) -> None:
    run.tokens.append((name, VARIABLES[name].set(value)))


async def undo(run: Run) -> None:
    if run.tokens:
        name, token = run.tokens.pop()
        VARIABLES[name].reset(token)
        run.see("undone", name, VARIABLES[name].get())


async def fail(run: Run, number: int) -> None:
    raise LookupError(number)


async def cancel_self(run: Run, number: int) -> None:
    run.see("cancels itself", run.task.cancel(f"by itself {number}"), run.task.cancelling())


async def uncancel(run: Run) -> None:
    run.see("uncancels", run.task.uncancel())


async def add_callback(run: Run, number: int) -> None:
    """A callback on a child is called with the child, in the context of who has added it."""
    child = asyncio.create_task(run.child([["yield"]]))
    child.add_done_callback(lambda task: run.see("callback", number, task is child, VARIABLES["a"].get()))
    await child


# Steps that leave something of the task behind


async def rename(run: Run, number: int) -> None:
    run.task.set_name(f"renamed {number}")
    run.session.names.append(f"renamed {number}")
    run.see("name", run.task.get_name())


async def tag(run: Run) -> None:
    run.task.tag = True  # type: ignore[attr-defined]


async def keep(run: Run) -> None:
    run.session.kept.append(run.task)


async def keep_weakly(run: Run) -> None:
    run.session.weak.append(weakref.ref(run.task))


async def call_back(run: Run) -> None:
    def called(_: asyncio.Task[Any]) -> None:
        run.session.called += 1

    run.task.add_done_callback(called)


async def cancel_kept(run: Run) -> None:
    """Cancel, rename and ask the tasks that came before, which are over."""
    before = [task for task in run.session.kept if task is not run.task]
    run.see("cancels", [task.cancel("over already") for task in before], [task.done() for task in before])
    run.see("still", run.task.cancelling(), run.task.get_name() in run.session.names)


# Steps around others


async def attempt(run: Run, program: Program) -> None:
    try:
        await run_steps(program, run)
    except Exception as error:  # noqa: BLE001 (programs fail with whatever they please)
        run.see("catches", describe(error))


async def attempt_anything(run: Run, program: Program) -> None:
    """Catch cancellation, too, and say so to the task, as those who swallow it must."""
    try:
        await run_steps(program, run)
    except asyncio.CancelledError as error:
        run.see("catches", describe(error), run.task.cancelling())
        run.task.uncancel()
    except Exception as error:  # noqa: BLE001 (programs fail with whatever they please)
        run.see("catches", describe(error))


async def clean_up(run: Run, program: Program) -> None:
    """Wait within `finally`."""
    try:
        await run_steps(program, run)
    finally:
        await asyncio.sleep(0)
        run.see("cleans up", run.task.cancelling())


async def await_child(run: Run, program: Program) -> None:
    run.see("child", await asyncio.create_task(run.child(program)))


async def cancel_child(run: Run, program: Program, turns: int) -> None:
    child = asyncio.create_task(run.child(program))
    for _ in range(turns):
        await asyncio.sleep(0)
    run.see("cancels", child.cancel("by its parent"))
    await asyncio.wait([child])
    run.see("child", child.cancelled(), child.done())
    if not child.cancelled() and child.exception() is None:
        run.see("child gave", child.result())


async def shield(run: Run, program: Program) -> None:
    child = asyncio.create_task(run.child(program))
    try:
        run.see("shielded", await asyncio.shield(child))
    finally:
        child.add_done_callback(_take_exception)


async def gather(run: Run, programs: Sequence[Program], *, returns_exceptions: bool) -> None:
    children = [asyncio.create_task(run.child(program)) for program in programs]
    for child in children:
        child.add_done_callback(_take_exception)
    results = await asyncio.gather(*children, return_exceptions=returns_exceptions)
    run.see("gathers", [describe(each) if isinstance(each, BaseException) else each for each in results])


async def group(run: Run, programs: Sequence[Program], own: Program) -> None:
    async with asyncio.TaskGroup() as tasks:
        for program in programs:
            tasks.create_task(run.child(program))
        await run_steps(own, run)
    run.see("group is over", run.task.cancelling())


async def limit(run: Run, program: Program, *, at_once: bool) -> None:
    async with asyncio.timeout(0 if at_once else LONG) as timeout:
        await run_steps(program, run)
    run.see("in time", timeout.expired())


async def wait_for(run: Run, program: Program, *, at_once: bool) -> None:
    run.see("in time", await asyncio.wait_for(run.child(program), 0 if at_once else LONG))


async def move_on(run: Run, program: Program, *, at_once: bool) -> None:
    with anyio.move_on_after(0 if at_once else LONG) as scope:
        await run_steps(program, run)
    run.see("moved on", scope.cancelled_caught, run.task.cancelling())


async def scope(run: Run, before: Program, program: Program, *, is_shielded: bool) -> None:
    """A scope of anyio's that is cancelled in its middle, perhaps within another that is shielded."""
    with anyio.CancelScope() as outer:
        await run_steps(before, run)
        outer.cancel()
        with anyio.CancelScope(shield=is_shielded):
            await run_steps(program, run)
        await anyio.lowlevel.checkpoint()
        run.see("never")
    run.see("scope is over", outer.cancelled_caught, run.task.cancelling())


async def anyio_group(run: Run, programs: Sequence[Program], own: Program, *, is_cancelled: bool) -> None:
    async with anyio.create_task_group() as tasks:
        for program in programs:
            tasks.start_soon(run.child, program)
        await run_steps(own, run)
        if is_cancelled:
            tasks.cancel_scope.cancel()
    run.see("group is over", tasks.cancel_scope.cancelled_caught, run.task.cancelling())


STEPS: dict[str, Callable[..., Awaitable[None]]] = {
    "mark": mark,
    "look": look,
    "yield": give_way,
    "future": wait_future,
    "failing future": wait_failing_future,
    "long": wait_long,
    "event": wait_event,
    "queue": use_queue,
    "odd": wait_oddly,
    "itself": wait_for_itself,
    "foreign": wait_for_foreign,
    "assign": assign,
    "undo": undo,
    "fail": fail,
    "cancel self": cancel_self,
    "uncancel": uncancel,
    "callback": add_callback,
    "rename": rename,
    "tag": tag,
    "keep": keep,
    "weak": keep_weakly,
    "call back": call_back,
    "cancel kept": cancel_kept,
    "try": attempt,
    "try anything": attempt_anything,
    "finally": clean_up,
    "child": await_child,
    "cancel child": cancel_child,
    "shield": shield,
    "gather": lambda run, programs, flag: gather(run, programs, returns_exceptions=flag),
    "group": group,
    "limit": lambda run, program, flag: limit(run, program, at_once=flag),
    "wait for": lambda run, program, flag: wait_for(run, program, at_once=flag),
    "move on": lambda run, program, flag: move_on(run, program, at_once=flag),
    "scope": lambda run, before, program, flag: scope(run, before, program, is_shielded=flag),
    "anyio group": lambda run, programs, own, flag: anyio_group(run, programs, own, is_cancelled=flag),
}


def _settle_future(future: asyncio.Future[int], number: int) -> None:
    if not future.done():
        future.set_result(number)


def _fail_future(future: asyncio.Future[int], number: int) -> None:
    if not future.done():
        future.set_exception(LookupError(number))


def _take_exception(task: asyncio.Task[Any]) -> None:
    """Nobody may be left to take it, and asyncio would complain."""
    if not task.cancelled():
        task.exception()
