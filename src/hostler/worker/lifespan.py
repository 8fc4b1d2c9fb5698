"""The ASGI lifespan protocol, version 2.0: tell an application that it starts, and that it shuts down.

Theory: one call of the application, in a task of its own, lasts from start to shutdown. What it may send is a table by
phase. Which way the start went is a future that either the application's message or the end of its task resolves.

    STARTING -> STARTED -> STOPPING -> ENDED        STARTING -> ENDED (failed, or not supported)

The specification has servers carry on when an application raises instead of answering. Those that raise before they
have asked for the first message, or that answer it with another protocol's, do not know lifespan, and that is not worth
a line. One that raises after it was told to start was starting, and its traceback is shown.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from typing import Any

from hostler.app import describe_failure
from hostler.contracts import AsgiApplication, Message
from hostler.errors import ApplicationError

_LONGEST_SUMMARY = 200


class Phase(Enum):
    """Where one application's lifespan is."""

    STARTING = "while it starts"
    STARTED = 'before it was sent "lifespan.shutdown"'
    STOPPING = "while it shuts down"
    ENDED = "after its shutdown"


_EXPECTED = {
    Phase.STARTING: ("lifespan.startup.complete", "lifespan.startup.failed"),
    Phase.STARTED: (),
    Phase.STOPPING: ("lifespan.shutdown.complete", "lifespan.shutdown.failed"),
    Phase.ENDED: (),
}


class Lifespan:
    """One application's lifespan. All methods in the loop's thread."""

    def __init__(
        self, application: AsgiApplication, *, label: str, is_required: bool, state: dict[str, Any] | None = None
    ) -> None:
        """Prepare; `start` begins.

        Args:
            application: what is told.
            label: its name in messages.
            is_required: whether an application without lifespan is an error.
            state: what it may fill for its requests to see.
        """
        self._application = application
        self._label = label
        self._is_required = is_required
        self._scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": {} if state is None else state,
        }
        self._phase = Phase.STARTING
        self._answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._stopping = asyncio.Event()
        self._has_asked = False
        self._is_foreign = False
        self._task: asyncio.Task[None] | None = None
        self._log = logging.getLogger("hostler")

    async def start(self) -> bool:
        """Tell the application to start, and wait until it has.

        Returns:
            Whether it supports lifespan.

        Raises:
            ApplicationError: it did not start, or has no lifespan though that is required.
        """
        self._task = asyncio.create_task(self._call(), name=f"lifespan of {self._label}")
        await self._await_answer(self._task)
        if not self._answer.done():
            self._phase = Phase.ENDED  # STARTING -> ENDED
            self._judge_silence(self._task)
            return False
        answer = self._answer.result()
        if answer["type"] == "lifespan.startup.failed":
            self._phase = Phase.ENDED  # STARTING -> ENDED
            self._task.add_done_callback(_retrieve)  # many raise what they have just told
            raise self._describe_failed_start(answer)
        self._task.add_done_callback(self._note_end)
        return True

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109 - a timeout is no error here
        """Tell the application to shut down, and wait until it has, at most `timeout` seconds."""
        if self._phase is not Phase.STARTED or self._task is None:
            return
        self._phase = Phase.STOPPING  # STARTED -> STOPPING
        self._answer = asyncio.get_running_loop().create_future()
        self._stopping.set()
        await self._await_answer(self._task, timeout)
        self._phase = Phase.ENDED  # STOPPING -> ENDED
        if self._answer.done():
            self._note_answer(self._answer.result())
        elif self._task.done():
            self._report_end(self._task, "failed while it shut down")
        else:
            self._log.warning('"%s" has not shut down within %.1f s; it is cancelled', self._label, timeout)

    async def _await_answer(self, task: asyncio.Task[None], timeout: float | None = None) -> None:  # noqa: ASYNC109
        events: set[asyncio.Future[Any]] = {task, self._answer}
        await asyncio.wait(events, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def _call(self) -> None:
        try:
            await self._application(self._scope, self._receive, self._send)
        except SystemExit as error:
            # Left alone it would end the loop from inside, and nobody could say why.
            raise RuntimeError(f"the application called exit({error.code})") from error

    async def _receive(self) -> Message:
        if not self._has_asked:
            self._has_asked = True
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        # Whoever asks once more waits until the task is cancelled: there is nothing left to be told.
        self._stopping.clear()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = str(message["type"])
        # Each phase is answered once.
        expected = () if self._answer.done() else _EXPECTED[self._phase]
        if kind not in expected:
            self._is_foreign = self._is_foreign or not kind.startswith("lifespan.")
            words = " or ".join(f'"{each}"' for each in expected) or "no message"
            raise RuntimeError(f'the application sent "{kind}" {self._phase.value}, when {words} is expected')
        if kind == "lifespan.startup.complete":
            self._phase = Phase.STARTED  # STARTING -> STARTED
        self._answer.set_result(message)

    def _judge_silence(self, task: asyncio.Task[None]) -> None:
        """Decide what it means that the application ended without an answer."""
        error = None if task.cancelled() else task.exception()
        if self._is_required:
            raise self._describe_silence(error)
        if error is not None and self._has_asked and not self._is_foreign:
            self._log.warning(
                '"%s" raised an exception when it was told to start, and is served all the same; '
                'set app.lifespan to "on" to refuse it, or to "off" not to tell it\n%s',
                self._label,
                describe_failure(error).rstrip(),
            )
            return
        self._log.debug('"%s" has no lifespan%s', self._label, f" ({error})" if error is not None else "")

    def _describe_silence(self, error: BaseException | None) -> ApplicationError:
        if error is None:
            return ApplicationError(
                f'"{self._label}" returned from its lifespan without "lifespan.startup.complete"; '
                'set app.lifespan to "auto" if it has none'
            )
        summary = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return ApplicationError(f'"{self._label}" did not start: {_shorten(summary)}', describe_failure(error))

    def _describe_failed_start(self, answer: Message) -> ApplicationError:
        text = str(answer.get("message") or "").strip()
        return ApplicationError(
            f'"{self._label}" did not start: {_shorten(text) or "it does not say why"}', text if "\n" in text else None
        )

    def _note_answer(self, answer: Message) -> None:
        if answer["type"] == "lifespan.shutdown.failed":
            text = str(answer.get("message") or "it does not say why").strip()
            self._log.error('"%s" failed while it shut down: %s', self._label, text)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """Note the end of the task of an application that had started."""
        if self._phase is Phase.STARTED:
            self._phase = Phase.ENDED  # STARTED -> ENDED
            self._report_end(task, "left its lifespan before it was told to shut down")
        else:
            _retrieve(task)

    def _report_end(self, task: asyncio.Task[None], what: str) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error('"%s" %s\n%s', self._label, what, describe_failure(error).rstrip())
        else:
            self._log.debug('"%s" returned from its lifespan', self._label)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take note of an exception that was told already, so that the loop does not report it again."""
    if not task.cancelled():
        task.exception()


def _shorten(text: str) -> str:
    """Give the line of a message that says most: the last one of a traceback, or else the first."""
    lines = text.splitlines()
    line = "" if not lines else lines[-1].strip() if text.startswith("Traceback") else lines[0].strip()
    return line if len(line) <= _LONGEST_SUMMARY else f"{line[: _LONGEST_SUMMARY - 3]}..."
