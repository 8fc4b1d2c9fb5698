"""Fixtures and settings that all kinds of tests share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from tests.e2e.harness import RunningServer, StartServer, free_port, start_server

# How long one example takes says nothing on a busy machine; each test has a timeout of its own.
hypothesis.settings.register_profile("hostler", deadline=None)
hypothesis.settings.load_profile("hostler")

# A shell that runs the tests in the background lets them ignore SIGINT, which programs that they start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

FindPeer = Callable[[str], str]


@pytest.fixture(name="free_port")
def fixture_free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on."""
    return free_port()


@pytest.fixture
def hostler_server() -> Iterator[StartServer]:
    """A function that starts Hostler (`tests.e2e.harness.start_server`); the test's end is the servers' end."""
    servers: list[RunningServer] = []

    def start(
        app: str | None,
        *options: str,
        bind: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        command: Sequence[str] = ("run",),
        ready: bool = True,
        pass_fds: Sequence[int] = (),
    ) -> RunningServer:
        server = start_server(
            app, *options, bind=bind, env=env, cwd=cwd, command=command, ready=ready, pass_fds=pass_fds
        )
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
        # Shown by pytest beside a failed test, and only then.
        sys.stderr.write(f"--- output of server {server.pid} ---\n{server.log()}")


@pytest.fixture
def find_peer() -> FindPeer:
    """A function that finds a program that a test runs Hostler against, such as nginx.

    Where it is not installed the test is skipped, with the reason; where peers are promised (`CI=true` or
    `HOSTLER_REQUIRE_PEERS=1`) it fails.
    """

    def find(program: str) -> str:
        search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        found = shutil.which(program, path=search)
        if found is None:
            refuse_or_skip(f"{program} is not installed: `scripts/packages test` installs it")
        return found

    return find


def refuse_or_skip(reason: str) -> NoReturn:
    """Skip a test for want of a peer, or fail it where peers are promised."""
    if os.environ.get("CI") == "true" or os.environ.get("HOSTLER_REQUIRE_PEERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
