"""What a worker says about itself when it is asked what it is doing: its threads by name, and its tasks."""

from __future__ import annotations

import json
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from hostler.contracts import ChildContext
from hostler.system.channel import send_message
from hostler.system.report import answer_reports

if TYPE_CHECKING:
    import asyncio  # WSGI workers do without it

# Bounds on the report (arbitrary): a worker with more tasks shows as many.
MAX_TASKS = 500
MAX_FRAMES = 50


def answer_questions(context: ChildContext) -> None:
    """Answer from now on, whenever the supervisor asks; in the main thread."""
    answer_reports(context.report_fd, describe_process, lambda: send_told(context.status_fd))


def send_told(status_fd: int) -> None:
    """Tell the supervisor that the report is there. A few bytes, which a pipe takes whole or not at all."""
    send_message(status_fd, {"event": "reported"})


def describe_process() -> bytes:
    """Describe threads and tasks as JSON; in the main thread, between two steps of whatever runs there."""
    try:
        return json.dumps(describe_threads_and_tasks()).encode()
    except Exception as error:  # noqa: BLE001 - it would come up in the middle of the application
        return json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()


def describe_threads_and_tasks() -> dict[str, Any]:
    """Describe threads by what Python calls them, and tasks; None for tasks where no loop runs."""
    tasks = list_tasks()
    described = None if tasks is None else [describe_task(task) for task in tasks[:MAX_TASKS]]
    threads = {thread.ident: [thread.native_id, thread.name] for thread in threading.enumerate()}
    # After a fork the main thread still has the number of its parent's.
    threads[threading.get_ident()] = [threading.get_native_id(), threading.current_thread().name]
    return {"threads": threads, "tasks": described}


def list_tasks() -> list[asyncio.Task[Any]] | None:
    """List the tasks of the loop that runs in this thread; None when there is none."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return sorted(asyncio.all_tasks(asyncio.get_running_loop()), key=lambda task: task.get_name())
    except RuntimeError:
        return None


def describe_task(task: asyncio.Task[Any]) -> dict[str, str]:
    """Describe a task: what it runs, and where it waits, the innermost call first."""
    coroutine: Any = task.get_coro()
    frames = walk(coroutine)
    lines = [f'  File "{frame.f_code.co_filename}", line {line} in {frame.f_code.co_name}' for frame, line in frames]
    return {
        "name": task.get_name(),
        "coroutine": getattr(coroutine, "__qualname__", None) or repr(coroutine),
        "stack": "\n".join(reversed(lines[-MAX_FRAMES:])),
    }


def walk(coroutine: object) -> list[tuple[FrameType, int]]:
    """Follow what a coroutine awaits, the outermost call first. `Task.get_stack` gives the first frame only.

    What a running task calls is not awaited by it: it is in the stack of its thread.
    """
    found: list[tuple[FrameType, int]] = []
    while coroutine is not None and len(found) < 1000:
        frame = next((getattr(coroutine, name, None) for name in _FRAMES if hasattr(coroutine, name)), None)
        if frame is None:
            break
        found.append((frame, frame.f_lineno))
        coroutine = next((getattr(coroutine, name, None) for name in _AWAITED if hasattr(coroutine, name)), None)
    return found


_FRAMES = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")
