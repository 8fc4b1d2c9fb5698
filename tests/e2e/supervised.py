"""A server with the fake engine in a directory of its own: what tests of the supervisor start and look at."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.harness import ROOT, RunningServer, free_port, start_group, wait_until

# Answers with facts about the worker that serves it.
APPLICATION = """
import atexit, json, os, signal, sys, time
LOADED_BY = os.getpid()
VERSION = 1

def descriptors():
    for fd in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            pass  # closed by another thread meanwhile, or the listing's own

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    if environ["PATH_INFO"] == "/crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("the shop is closed")
    facts = {
        "pid": os.getpid(), "parent": os.getppid(), "loaded_by": LOADED_BY, "version": VERSION, "uid": os.getuid(),
        "cwd": os.getcwd(), "environment": dict(os.environ), "groups": os.getgroups(),
        "descriptors": list(descriptors()),
        "title": open("/proc/self/cmdline").read().rstrip("\\0").strip(),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(facts).encode()]
"""


class Site:
    """A directory with an application and a configuration, and the server that runs them."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        self.server: RunningServer
        (directory / "shop.py").write_text(APPLICATION)

    def configure(self, **sections: dict[str, Any]) -> None:
        """Write hostler.toml; what is not given has its value for tests."""
        merged: dict[str, dict[str, Any]] = {
            "app": {"target": "shop:app", "chdir": str(self.directory)},
            "server": {"bind": [self.address], "graceful_timeout": 10},
            "log": {"level": "debug"},
        }
        for name, options in sections.items():
            merged[name] = {**merged.get(name, {}), **options}
        lines = []
        for name, options in merged.items():
            lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in options.items())]
        (self.directory / "hostler.toml").write_text("\n".join(lines))

    def replace_code(self, before: str, after: str) -> None:
        """Change the application's source."""
        path = self.directory / "shop.py"
        path.write_text(path.read_text().replace(before, after))

    def start(
        self,
        *,
        is_ready: bool = True,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
    ) -> None:
        """Start the server."""
        arguments = [sys.executable, "-B", "-m", "tests.fakes.serve", str(self.directory / "hostler.toml")]
        env = {"PYTHONPATH": f"{ROOT}/src:{ROOT}", **(env or {})}
        self.server = start_group(arguments, self.address, env=env, pass_fds=pass_fds, cwd=cwd)
        if is_ready:
            self.server.wait_ready()

    def start_through(self, program: str, fd: int, *, env: dict[str, str]) -> None:
        """Start the server by way of a Python program, which gets a descriptor's number and the server's arguments."""
        arguments = [sys.executable, "-c", program, str(fd), "-B", "-m", "tests.fakes.serve"]
        arguments.append(str(self.directory / "hostler.toml"))
        env = {"PYTHONPATH": f"{ROOT}/src:{ROOT}", **env}
        self.server = start_group(arguments, self.address, env=env, pass_fds=(fd,))
        self.server.wait_ready()

    def facts(self, path: str = "/") -> dict[str, Any]:
        """Ask the application about the worker it runs in."""
        answer = self.server.get(path)
        assert answer.status == 200, answer.text
        facts: dict[str, Any] = json.loads(answer.text)
        return facts

    def reload(self) -> None:
        """Ask for a reload and wait until it has ended, well or not; its message may be still on the way."""
        ended = self.server.notifications.text.count("READY=1")
        self.server.signal(signal.SIGHUP)
        self.server.notifications.wait_for("READY=1", count=ended + 1)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        wait_until(condition, what)


@contextmanager
def site(directory: Path, address: str | None = None) -> Iterator[Site]:
    """Make a site; its server ends with the block."""
    made = Site(directory, address or f"127.0.0.1:{free_port()}")
    made.configure()
    try:
        yield made
    finally:
        if hasattr(made, "server"):
            made.server.close()


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)
