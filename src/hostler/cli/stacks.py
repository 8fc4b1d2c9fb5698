"""`hostler stacks`: what every thread and every task of a worker is doing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hostler.cli.display import clean, clean_line
from hostler.cli.instance import connect, parse_arguments
from hostler.errors import ConfigurationError, HostlerError
from hostler.system.native_stack import read_native_stacks

_UNRESPONSIVE = (
    "  The interpreter did not answer within a second: its main thread is held up in a call outside of Python,\n"
    "  so tasks are not known, and threads may lack their names."
)


def execute(arguments: Sequence[str]) -> int:
    """Print the stacks of one worker, or of all."""
    namespace = parse_arguments("stacks", arguments)
    worker = namespace.worker
    if worker is not None and not (worker.isascii() and worker.isdecimal()):
        raise ConfigurationError(f'"{worker}" is no worker; write its number, or a process id (see hostler status)')
    with connect(namespace) as client:
        path = "/v1/stacks" if worker is None else f"/v1/workers/{worker}/stacks"
        children = client.get(path)["children"]
    if namespace.native:
        add_native(children)
    if namespace.json:
        print(json.dumps({"children": children}, indent=2))
    else:
        print("\n\n".join(write_child(child) for child in children))
    return 0


def add_native(children: Sequence[dict[str, Any]]) -> None:
    """Add the stacks outside of Python.

    Raises:
        HostlerError: no program is there that reads them, or it is not allowed to.
    """
    for child in children:
        try:
            child["native"] = read_native_stacks(int(child["pid"]))
        except OSError as error:
            raise HostlerError(str(error)) from None


def write_child(child: Mapping[str, Any]) -> str:
    """Write the stacks of one child for people."""
    parts = [f"{clean_line(child['name'])} (pid {child['pid']}, {clean_line(child['state'])})"]
    if not child["is_responsive"]:
        parts.append(_UNRESPONSIVE)
    parts += [write_thread(thread) for thread in child["threads"]]
    if child["tasks"] is not None:
        parts += [write_task(task) for task in child["tasks"]]
    if child["raw"]:
        parts.append(clean(child["raw"]))
    if "native" in child:
        parts.append("  native:\n" + indent(clean(child["native"])))
    return "\n".join(parts)


def write_thread(thread: Mapping[str, Any]) -> str:
    """Write one thread."""
    number = f" {thread['id']}" if thread["id"] else ""
    where = f", in the kernel at {clean_line(thread['waits_in'])}" if thread["waits_in"] else ""
    state = f" ({clean_line(thread['state'])}{where})" if thread["state"] else ""
    head = f"  thread{number} {clean_line(thread['name'])}{state}"
    return f"{head}: no Python" if thread["stack"] is None else f"{head}:\n{indent(clean(thread['stack']))}"


def write_task(task: Mapping[str, Any]) -> str:
    """Write one task."""
    return f"  task {clean_line(task['name'])}, {clean_line(task['coroutine'])}:\n{indent(clean(task['stack']))}"


def indent(text: str) -> str:
    """Move a text to the right, as what is above it says whose it is."""
    return "\n".join(f"    {line.lstrip()}" for line in text.splitlines())
