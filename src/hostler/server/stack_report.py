"""What a child reports of its threads and tasks, joined with what the kernel knows of its threads."""

from __future__ import annotations

import json
import re
from typing import Any

from hostler.system.vitals import ThreadFacts, read_threads

# How faulthandler writes the first line of a thread; the name in brackets is there from Python 3.14 on.
_THREAD = re.compile(
    r"^(Current thread|Thread) 0x([0-9a-f]+)(?: \[[^\]\n]*\])? \(most recent call first\):$", re.MULTILINE
)
# From here outwards the stack of a worker's main thread is that of the supervisor that forked it.
_OUR_FRAMES = re.compile(r'^  File "[^"\n]*/hostler/worker/(?:role|forkserver)\.py", line \d+ in _\w+$', re.MULTILINE)


def describe_report(pid: int, first: str, second: bytes) -> dict[str, Any]:
    """Describe a child by its report.

    Args:
        pid: its process id.
        first: the stacks of its Python threads, as faulthandler writes them.
        second: what its interpreter has said then, as JSON; b"" when it has not.

    Returns:
        The part of the answer that is about threads and tasks; see `control.operation.STACKS`.
    """
    said = _parse(second)
    raw, stacks, current = parse_stacks(first)
    names: dict[int, tuple[str, str]] = {}
    for identity, stack in list(stacks.items()):
        known = said.get("threads", {}).get(str(identity))
        if isinstance(known, list) and len(known) == 2 and isinstance(known[0], int):
            names[known[0]] = (str(known[1]), stacks.pop(identity))
        elif identity == current and not said:
            # It is the main thread that is asked, whose number is that of the process.
            names[pid] = ("MainThread", stacks.pop(identity))
        else:
            stacks[identity] = stack
    threads = [_describe_thread(facts, names) for facts in read_threads(pid)]
    threads += [
        {"id": 0, "name": f"0x{identity:x}", "state": "", "waits_in": "", "stack": stack}
        for identity, stack in stacks.items()
    ]
    tasks = said.get("tasks")
    return {
        "is_responsive": bool(said),
        "threads": threads,
        "tasks": tasks if isinstance(tasks, list) else None,
        "raw": raw + str(said.get("error", "")),
    }


def _describe_thread(facts: ThreadFacts, names: dict[int, tuple[str, str]]) -> dict[str, Any]:
    name, stack = names.get(facts.number, (facts.name, None))
    return {"id": facts.number, "name": name, "state": facts.state, "waits_in": facts.waits_in, "stack": stack}


def parse_stacks(text: str) -> tuple[str, dict[int, str], int]:
    """Take the text of faulthandler apart.

    Returns:
        What stands before the first stack, the stacks by the identity of their thread, and the identity of the thread
        that was interrupted (0 for none).
    """
    marks = list(_THREAD.finditer(text))
    if not marks:
        return text.strip(), {}, 0
    stacks, current = {}, 0
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        identity = int(mark[2], 16)
        stack = text[mark.end() : following.start() if following else len(text)]
        stacks[identity] = _OUR_FRAMES.split(stack)[0].strip("\n")
        if mark[1] == "Current thread":
            current = identity
    return text[: marks[0].start()].strip(), stacks, current


def _parse(second: bytes) -> dict[str, Any]:
    try:
        said = json.loads(second)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
