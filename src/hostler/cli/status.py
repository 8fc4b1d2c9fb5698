"""`hostler status`: what runs, and how it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hostler.cli.display import clean_line, format_age, format_known, format_memory, write_table
from hostler.cli.instance import SOCKET_VARIABLE, ask_status, connect, find_here, list_living, parse_arguments
from hostler.system.environment import environment


def execute(arguments: Sequence[str]) -> int:
    """Print the status of a server; where several run and none is named, a line for each."""
    namespace = parse_arguments("status", arguments)
    if not namespace.instance and not namespace.socket and SOCKET_VARIABLE not in environment():
        living = list_living(find_here(environment()))
        if len(living) > 1:
            print_all(living, as_json=namespace.json)
            return 0
    with connect(namespace) as client:
        status = client.get("/v1/status")
    print(json.dumps(status, indent=2) if namespace.json else "\n".join(write_status(status)))
    return 0


def print_all(sockets: Sequence[Path], *, as_json: bool) -> None:
    """Print a line for each instance."""
    found = [(path, status) for path in sockets if (status := ask_status(path)) is not None]
    if as_json:
        print(json.dumps([status for _, status in found], indent=2))
        return
    header = ("INSTANCE", "PID", "STATE", "UPTIME", "WORKERS", "APPLICATION", "LISTENING")
    rows = [
        (
            clean_line(path.stem),
            format_known(status.get("pid")),
            format_phase(status),
            format_age(float(status.get("uptime", 0))),
            format_known(status.get("workers")),
            format_known(status.get("application")),
            clean_line(", ".join(map(str, status.get("listening", [])))),
        )
        for path, status in found
    ]
    print("\n".join(write_table(header, rows, right=("PID", "UPTIME", "WORKERS"))))


def write_status(status: Mapping[str, Any]) -> list[str]:
    """Write a status for people."""
    workers = [child for child in status["children"] if child["role"] == "worker"]
    ready = sum(child["state"] == "ready" for child in workers)
    lines = [
        f"{clean_line(status['name'])}: {format_phase(status)}, up {format_age(status['uptime'])}",
        f"  supervisor   pid {status['pid']}, hostler {clean_line(status['version'])}",
        f"  application  {clean_line(status['application'])} in {clean_line(status['directory'])}",
        f"  serves       {clean_line(status['serves'])}",
        f"  listening    {clean_line(', '.join(status['listening']))}",
        f"  workers      {status['workers']} wanted, {ready} ready",
    ]
    if status["last_reload"] is not None:
        lines.append(f"  last reload  {write_reload(status['last_reload'])}")
    return [*lines, "", *write_children(status["children"])]


def format_phase(status: Mapping[str, Any]) -> str:
    """Write where a server is in its life, and whether it takes no requests."""
    return format_known(status.get("phase")) + (", paused" if status.get("is_paused") else "")


def write_reload(reload: Mapping[str, Any]) -> str:
    """Write how the last reload ended."""
    reason = f": {clean_line(reload['message'])}" if reload["message"] else ""
    return f"{clean_line(reload['outcome'])} {format_age(reload['age'])} ago{reason}"


def write_children(children: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write a table of children."""
    header = ("CHILD", "PID", "STATE", "AGE", "MEMORY", "CPU", "REQUESTS", "IN FLIGHT", "OLDEST")
    rows = [
        (
            clean_line(child["name"]),
            format_known(child["pid"]),
            write_state(child),
            format_age(child["age"]),
            format_memory(child["memory"]),
            "-" if child["cpu"] is None else f"{child['cpu']:.1f}s",
            *write_load(child["load"]),
        )
        for child in children
    ]
    return write_table(header, rows, right=header[3:])


def write_state(child: Mapping[str, Any]) -> str:
    """Write the state of a child: whether a worker that is ready has something to do, where that is known."""
    state = clean_line(child["state"])
    return f"{state}, {clean_line(child['load']['activity'])}" if child["load"] and state == "ready" else state


def write_load(load: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """Write what a worker has done and does: requests that ended, those in the application, the age of the oldest."""
    if load is None:
        return "-", "-", "-"
    oldest = format_age(load["oldest"]) if load["in_flight"] else "-"
    return str(load["finished"]), str(load["in_flight"]), oldest
