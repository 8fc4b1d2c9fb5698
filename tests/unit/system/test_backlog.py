"""The kernel's queue of connections, on real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hostler.contracts import Listener
from hostler.system.backlog import Backlog, find_backlogs, name_queue, read_backlog


@pytest.fixture(name="listener", params=["tcp", "tcp6", "unix", "abstract"])
def fixture_listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, Listener]]:
    match request.param:
        case "tcp":
            sock = socket.create_server(("127.0.0.1", 0), backlog=7)
        case "tcp6":
            sock = socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=7)
        case kind:
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(str(tmp_path / "s") if kind == "unix" else f"\0{tmp_path}")
            sock.listen(7)
    with sock:
        is_unix = sock.family == socket.AF_UNIX
        yield sock, Listener(sock.fileno(), "unix" if is_unix else "tcp", "localhost", 80, "somewhere")


def test_connections_that_nobody_accepted_are_counted(listener: tuple[socket.socket, Listener]) -> None:
    sock, described = listener
    assert read_backlog(described) == Backlog(0, 7)
    with ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(socket.socket(sock.family))
            client.connect(sock.getsockname())
        assert read_backlog(described) == Backlog(3, 7)
        assert find_backlogs([name_queue(described)]) == {"somewhere": Backlog(3, 7)}
        stack.enter_context(sock.accept()[0])
        assert read_backlog(described) == Backlog(2, 7)


def test_descriptor_of_something_else_has_no_backlog() -> None:
    with Path("/dev/null").open() as file:
        for kind in ("tcp", "unix"):
            assert read_backlog(Listener(file.fileno(), kind, "", 0, "")) is None


def test_closed_descriptor_has_no_backlog() -> None:
    assert read_backlog(Listener(10**6, "tcp", "", 0, "")) is None


def test_sockets_that_share_a_port_are_added_up() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=3, reuse_port=True))
        queue = name_queue(Listener(first.fileno(), "tcp", "", 0, "shared"))
        stack.enter_context(socket.create_server(first.getsockname(), backlog=4, reuse_port=True))
        for _ in range(2):
            stack.enter_context(socket.create_connection(first.getsockname()))
        assert find_backlogs([queue]) == {"shared": Backlog(2, 7)}
    assert find_backlogs([queue]) == {}
