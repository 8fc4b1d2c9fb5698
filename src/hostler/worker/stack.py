"""Where a thread or a task is, as text."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

# What is called from here is the application's.
_PACKAGE = str(Path(__file__).resolve().parents[1])
# Frames of one stack, the innermost ones (arbitrary): enough for a framework's middleware and an ORM.
MOST_FRAMES = 60
# What coroutines, generators and asynchronous generators call the frame they are in, and what they wait for.
_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")


def describe_thread(ident: int) -> str:
    """Write the stack of a thread, as tracebacks do; 0 or the number of one that is gone gives a sentence."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - the only way there is
    if frame is None:
        return "its thread is not in Python code"
    stack = traceback.extract_stack(frame, MOST_FRAMES)
    ours = [index for index, each in enumerate(stack) if each.filename.startswith(_PACKAGE)]
    return "".join(traceback.format_list(stack[ours[-1] + 1 :] if ours else stack) or traceback.format_list(stack))


def describe_task(task: asyncio.Task[Any]) -> str:
    """Write the stack of a task that waits, from its coroutine down to what is awaited."""
    lines: list[str] = []
    waits_for: object = task.get_coro()
    for each in _follow(waits_for):
        frame = _first(each, _FRAMES)
        if isinstance(frame, FrameType):
            lines += traceback.format_list(traceback.StackSummary.extract(iter([(frame, frame.f_lineno)])))
        waits_for = each
    if _first(waits_for, _FRAMES) is None:
        lines.append(f"  waiting for {waits_for!r}\n")
    return "".join(lines[-MOST_FRAMES:])


def _follow(awaitable: object) -> Iterator[object]:
    for _ in range(1000):  # as deep as the interpreter recurses
        if awaitable is None:
            return
        yield awaitable
        awaitable = _first(awaitable, _AWAITED)


def _first(subject: object, names: tuple[str, ...]) -> object:
    """Return the first of these attributes that is there and not None."""
    found = (getattr(subject, name, None) for name in names)
    return next((each for each in found if each is not None), None)
