"""A worker that serves ASGI applications: an event loop has the main thread, and the engine takes its turns in it.

Theory of operation: the engine has one descriptor that is readable when it has something to do, and is called by the
loop like any other reader. All else here is what comes before and after: applications are told to start (lifespan)
before the engine accepts anything, signals become orders to the engine, and when the engine says that it has finished,
applications are told to shut down and what is left in the loop is cancelled.

    STARTING (lifespan startup) -> SERVING -> DRAINING (engine) -> CLOSING (lifespan shutdown, tasks, threads)

Everything after the order to end has one deadline, as the supervisor kills what is late: `shutdown_time`.
asyncio.Runner is not used: it waits without limit for tasks that swallow their cancellation.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

from hostler.app import describe_failure
from hostler.contracts import AsgiApplication, ChildContext, EngineSettings, Listener, Mount
from hostler.errors import ApplicationError, ConfigurationError, HostlerError
from hostler.services.use import is_used
from hostler.system.channel import send_message
from hostler.system.entropy import random_integer
from hostler.system.limits import raise_descriptor_limit
from hostler.system.process import close_descriptors
from hostler.system.signals import LoopSignals, ignore_signal, is_unclaimed, set_handler
from hostler.worker.assignment import AsgiEngineLike, Assignment
from hostler.worker.hooks import LoopHooks
from hostler.worker.lifespan import Lifespan
from hostler.worker.loop import make_loop, name_loop
from hostler.worker.orphan import build_orphan_guard
from hostler.worker.rehearsal import Rehearsal
from hostler.worker.settings import build_engine_settings, close_board, shutdown_time

# Seconds for the application's shutdown after an order to end at once; the supervisor kills after two.
STOP_TIMEOUT = 1.0
# What each step of closing gets even when the deadline has passed (arbitrary): to be cancelled takes a moment.
LEAST_TIMEOUT = 0.1
# What the loop tells about an error beside the exception itself, as asyncio's own handler shows it.
_CONTEXT = ("task", "future", "handle", "transport", "protocol")
_MOST_NAMES = 5


def serve_asgi(assignment: Assignment, context: ChildContext, mounts: Sequence[Mount]) -> None:
    """Serve until told to stop.

    Raises:
        ConfigurationError: the loop or the engine cannot be made.
        ApplicationError: an application did not start.
        HostlerError: the engine failed.
    """
    loop = make_loop(assignment.config.workers.loop)
    asyncio.set_event_loop(loop)
    worker = AsgiWorker(assignment, context, mounts, loop)
    main = loop.create_task(worker.run(), name="hostler")
    try:
        loop.run_until_complete(main)
    except RuntimeError:
        if main.done():
            raise
        error = HostlerError("the application stopped the event loop; leave that to the server")
        # The supervisor asks for reasons only while a worker comes up.
        logging.getLogger("hostler").critical("%s", error)
        raise error from None
    finally:
        worker.close(main)


class AsgiWorker:
    """One worker's life in its loop. All methods in the loop's thread."""

    def __init__(
        self,
        assignment: Assignment,
        context: ChildContext,
        mounts: Sequence[Mount],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Prepare; `run` does it all, and `close` clears up."""
        self._assignment = assignment
        self._context = context
        self._mounts = tuple(mounts)
        self._loop = loop
        self._log = logging.getLogger("hostler")
        self._signals = LoopSignals(loop)
        self._lifespans: list[Lifespan] = []
        self._ended: asyncio.Future[None] = loop.create_future()
        self._deadline: float | None = None
        self._fd = -1
        self._turn: Callable[[], None] | None = None
        self._handle_theirs: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self._hooks = LoopHooks(
            context.status_fd,
            assignment.error_page,
            threads=assignment.config.workers.threads,
            when_finished=self._finish,
        )

    async def run(self) -> None:
        """Start the applications, serve, and shut them down; see `serve_asgi` for what it raises."""
        self._loop.set_exception_handler(self._note_error)
        try:
            state = await self._start()
            await self._serve(state)
        finally:
            await self._shut_down()

    def close(self, main: asyncio.Task[None]) -> None:
        """Cancel what is left, close the loop, and let signals be; `main` is the task of `run`, ended or not."""
        self._hooks.close()
        if not main.done():
            # Something has left the loop from inside, such as an `exit()`: the applications still are to shut down.
            self._loop.run_until_complete(self._cancel({main}))
        self._loop.run_until_complete(self._wind_up())
        self._signals.close()
        asyncio.set_event_loop(None)
        self._loop.close()

    # STARTING

    async def _start(self) -> dict[str, Any] | None:
        """Tell the applications to start; gives what they have put into their state, or None if none has lifespan."""
        if self._assignment.config.app.lifespan == "off":
            return None
        # One state for all, as applications that mount others share theirs.
        state: dict[str, Any] = {}
        try:
            for mount in self._mounts:
                if mount.interface == "asgi":
                    await self._start_one(mount, state)
        except ApplicationError as error:
            if self._assignment.failure_page is None:
                raise
            self._replace_applications(error, self._assignment.failure_page(error))
            return None
        return state if self._lifespans else None

    async def _start_one(self, mount: Mount, state: dict[str, Any]) -> None:
        config = self._assignment.config
        lifespan = Lifespan(
            cast("AsgiApplication", mount.application),
            label=config.app.mounts.get(mount.prefix, self._assignment.target),
            is_required=config.app.lifespan == "on",
            state=state,
        )
        if await lifespan.start():
            self._lifespans.append(lifespan)

    def _replace_applications(self, error: ApplicationError, page: AsgiApplication) -> None:
        self._log.error("%s%s", error, f"\n{error.details.rstrip()}" if error.details else "")
        self._mounts = (Mount("", "asgi", page),)

    # SERVING

    async def _serve(self, state: dict[str, Any] | None) -> None:
        config = self._assignment.config
        raise_descriptor_limit(config.limits.connections)
        settings = build_engine_settings(
            config,
            signal_fd=-1,  # the loop has the descriptor that signals go to
            lifeline_fd=self._context.lifeline_fd,
            board_fd=self._context.board_fd,
            board_offset=self._context.board_offset,
            random_integer=random_integer,
            is_asgi=True,
            is_development=self._assignment.is_development,
        )
        settings = replace(settings, tls_fd=self._assignment.tls_fd, challenges_fd=self._assignment.challenges_fd)
        if config.reload.warm_up:
            await self._rehearse(settings, state)
        settings = replace(settings, status_fd=self._context.status_fd)
        if is_used():
            import hostler.services.deadline  # noqa: F401 - its import is what counts
        engine = self._make_engine(settings, self._context.listeners, self._hooks, state)
        self._watch_signals(engine)
        self._take_errors()
        self._attach(engine)
        # The engine has its own, and closes them when it drains: ours would keep clients waiting where nobody accepts.
        close_descriptors(each.fd for each in self._context.listeners)
        close_board(self._context)
        send_message(self._context.status_fd, {"event": "ready", "serves": self._describe()})
        try:
            await self._ended
        finally:
            self._detach()
            # Before their applications shut down, as they may use what that closes.
            await self._cancel(engine.requests())

    async def _rehearse(self, settings: EngineSettings, state: dict[str, Any] | None) -> None:
        """Answer the requests of the warm-up; see `worker.rehearsal`. Their failure ends the start."""
        config = self._assignment.config
        ended: asyncio.Future[None] = self._loop.create_future()
        hooks = LoopHooks(
            self._context.status_fd,
            self._assignment.error_page,
            threads=config.workers.threads,
            when_finished=lambda: ended.set_result(None),
        )
        with Rehearsal(config.reload.warm_up, config.reload.warm_up_timeout, self._context.status_fd) as rehearsal:
            engine = self._make_engine(rehearsal.adapt(settings), (rehearsal.listener,), hooks, state)
            self._attach(engine)
            rehearsal.start(lambda: self._loop.call_soon_threadsafe(engine.drain))
            try:
                await ended
            finally:
                self._detach()
                hooks.close()
                await self._cancel(engine.requests())
                self._deadline = None

    def _make_engine(
        self,
        settings: EngineSettings,
        listeners: Sequence[Listener],
        hooks: LoopHooks,
        state: dict[str, Any] | None,
    ) -> AsgiEngineLike:
        make = self._assignment.asgi_engine
        if make is None:
            # Only workers load the extension: the supervisor must stay free of its threads.
            from hostler.engine import AsgiEngine

            make = AsgiEngine
        try:
            return make(settings, listeners, self._mounts, hooks, self._loop, state)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the engine cannot start: {error}; check the configuration") from error

    def _watch_signals(self, engine: AsgiEngineLike) -> None:
        """Turn signals into orders, also for an application that handles them; see docs/signals.md."""
        grace = self._assignment.config.server.graceful_timeout
        guard = build_orphan_guard(self._context.supervisor_pid, grace)

        def drain() -> None:
            self._set_deadline(shutdown_time(grace))
            engine.drain()

        def stop() -> None:
            self._set_deadline(STOP_TIMEOUT)
            engine.stop()

        def note_interrupt(_number: int, _frame: object) -> None:
            self._assignment.hooks.worker_interrupted()

        self._signals.watch(signal.SIGTERM, drain, guard)
        self._signals.watch(signal.SIGINT, drain, note_interrupt)
        self._signals.watch(signal.SIGQUIT, stop, note_interrupt)
        # The server log has a handler of its own since the process was prepared.
        self._signals.watch(signal.SIGUSR1, engine.reopen_logs)
        if is_unclaimed(signal.SIGHUP):
            set_handler(signal.SIGHUP, ignore_signal)

    def _attach(self, engine: AsgiEngineLike) -> None:
        self._fd, self._turn = engine.fileno(), engine.turn
        # The loops whose error reports we can read have nothing between them and the engine; others get a guard.
        is_known = isinstance(self._loop, asyncio.BaseEventLoop) or name_loop(self._loop) == "uvloop"
        self._loop.add_reader(self._fd, self._turn if is_known else self._take_guarded_turn)

    def _take_guarded_turn(self) -> None:
        assert self._turn is not None
        try:
            self._turn()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio does: a panic in Rust is no Exception
            self._fail(error)

    def _detach(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._fd = -1

    def _describe(self) -> str:
        """Say for people how requests are served."""
        text = f"ASGI on {name_loop(self._loop)}"
        if any(mount.interface == "wsgi" for mount in self._mounts):
            text += f", WSGI in {self._assignment.config.workers.threads} threads"
        return text

    def _finish(self) -> None:
        """The engine has ended: it is not to be called again."""
        self._detach()
        if not self._ended.done():
            self._ended.set_result(None)

    # Errors.

    def _take_errors(self) -> None:
        """Be told of errors first, also where the application has installed a handler of its own while it started."""
        former = self._loop.get_exception_handler()
        if former != self._note_error:
            self._handle_theirs = former
            self._loop.set_exception_handler(self._note_error)

    def _note_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what a task, a callback or a transport raised that nobody has caught."""
        error = context.get("exception")
        if error is not None and self._is_turn(context):
            self._fail(error)
        elif self._handle_theirs is not None:
            self._handle_theirs(loop, context)
        else:
            facts = "".join(f"\n{name}: {context[name]!r}" for name in _CONTEXT if name in context)
            trace = f"\n{describe_failure(error).rstrip()}" if error is not None else ""
            self._log.error("%s%s%s", context.get("message") or "an error in the event loop", facts, trace)

    def _is_turn(self, context: dict[str, Any]) -> bool:
        """Tell whether it was the engine's turn that failed: asyncio's handle knows its callback, uvloop names it."""
        callback = getattr(context.get("handle"), "_callback", None)
        return self._turn is not None and (
            callback == self._turn or str(context.get("message")).endswith(f"callback {self._turn!r}")
        )

    def _fail(self, error: BaseException) -> None:
        """Give up: the loop would call an engine that has failed again and again."""
        self._detach()
        self._log.critical("the engine failed; this worker ends\n%s", describe_failure(error).rstrip())
        self._set_deadline(STOP_TIMEOUT)
        if not self._ended.done():
            self._ended.set_exception(HostlerError(f"the engine failed: {type(error).__name__}: {error}"))

    # CLOSING

    def _set_deadline(self, seconds: float) -> None:
        """Set the deadline for all that is to come; an earlier one stays."""
        deadline = self._loop.time() + seconds
        self._deadline = deadline if self._deadline is None else min(deadline, self._deadline)

    def _remaining(self) -> float:
        if self._deadline is None:
            # Nobody has asked us to end: the supervisor is gone, or something failed.
            self._set_deadline(shutdown_time(self._assignment.config.server.graceful_timeout))
        assert self._deadline is not None
        return max(LEAST_TIMEOUT, self._deadline - self._loop.time())

    async def _shut_down(self) -> None:
        while self._lifespans:
            await self._lifespans.pop().stop(self._remaining())

    async def _wind_up(self) -> None:
        own = asyncio.current_task()
        await self._cancel(task for task in asyncio.all_tasks() if task is not own)
        await self._bound(self._loop.shutdown_asyncgens())
        await self._bound(self._loop.shutdown_default_executor())

    async def _cancel(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Cancel tasks and wait for their ends, within bounds."""
        cancelled = set(tasks)
        for task in cancelled:
            task.cancel()
        if not cancelled:
            return
        done, pending = await asyncio.wait(cancelled, timeout=self._remaining())
        for task in done:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self._loop.call_exception_handler(
                    {"message": "a task failed while it was cancelled", "exception": error, "task": task}
                )
        if pending:
            names = ", ".join(sorted(task.get_name() for task in pending)[:_MOST_NAMES])
            self._log.warning(
                "tasks that go on though they were cancelled are left behind (%d): %s", len(pending), names
            )

    async def _bound(self, work: Awaitable[None]) -> None:
        """Wait for a step of closing, but not longer than there is time; it is left to itself then, not cancelled.

        To cancel `shutdown_default_executor` is to wait for its threads (Python 3.11).
        """
        task = asyncio.ensure_future(work)
        await asyncio.wait({task}, timeout=self._remaining())
        if task.done() and task.exception() is not None:
            self._log.warning("the event loop was not closed in good order: %r", task.exception())
