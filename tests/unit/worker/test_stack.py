"""Stacks of threads and tasks as text."""

from __future__ import annotations

import asyncio
import threading

from hostler.worker.stack import describe_task, describe_thread


def test_stack_of_a_thread_names_the_function_that_it_is_in() -> None:
    begun, end = threading.Event(), threading.Event()

    def wait_for_the_end() -> None:
        begun.set()
        end.wait()

    thread = threading.Thread(target=wait_for_the_end)
    thread.start()
    begun.wait()
    stack = describe_thread(thread.ident or 0)
    end.set()
    thread.join()
    assert "in wait_for_the_end" in stack


def test_thread_that_is_gone_gives_a_sentence() -> None:
    assert describe_thread(0) == "its thread is not in Python code"


def test_stack_of_a_task_goes_down_to_what_it_waits_for() -> None:
    async def main() -> str:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def inner() -> None:
            await future

        async def outer() -> None:
            await inner()

        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        stack = describe_task(task)
        task.cancel()
        return stack

    stack = asyncio.run(main())
    assert stack.index("in outer") < stack.index("in inner")
    assert "waiting for" in stack


def test_task_that_has_ended_has_no_stack() -> None:
    async def main() -> str:
        task = asyncio.create_task(asyncio.sleep(0))
        await task
        return describe_task(task)

    assert "in sleep" not in asyncio.run(main())
