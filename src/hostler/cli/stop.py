"""`hostler stop`: end a server, and wait until it has ended."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cli.instance import connect, parse_arguments
from hostler.cli.wait import read_timeout
from hostler.errors import HostlerError
from hostler.system.clock import SystemClock
from hostler.system.process import open_process, wait_for_process


def execute(arguments: Sequence[str]) -> int:
    """Stop a server, and return when it is gone."""
    namespace = parse_arguments("stop", arguments)
    timeout = read_timeout(namespace.timeout)
    clock = SystemClock()
    with connect(namespace) as client:
        # Before it is told: a number can be somebody else's afterwards.
        process = open_process(client.pid)
        client.post("/v1/stop", {"now": namespace.now})
        deadline = None if timeout is None else clock.now() + timeout
        has_ended = client.wait_end(timeout)
        if has_ended and process >= 0:
            # Its last words are said, and what is left is the kernel's.
            has_ended = wait_for_process(process, None if deadline is None else max(0.0, deadline - clock.now()))
    if not has_ended:
        raise HostlerError(
            f"still stopping after {timeout:g} s; requests in progress are finished up to server.graceful_timeout "
            '("hostler stop --now" drops them)'
        )
    print("stopped")
    return 0
