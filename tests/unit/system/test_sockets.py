"""Listening sockets, on the real kernel."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostler.errors import BindError, HostlerError
from hostler.system import sockets
from hostler.system.address import AbstractAddress, Address, InheritedAddress, TcpAddress, UnixAddress
from hostler.system.sockets import BoundSocket

Bind = Callable[..., BoundSocket]


@pytest.fixture(name="bind")
def fixture_bind() -> Iterator[Bind]:
    """Binds, and closes at the end what the test has not closed."""
    bound: list[BoundSocket] = []

    def bind(address: Address, *, reuse_port: bool = False, inherited: dict[str, int] | None = None) -> BoundSocket:
        bound.append(sockets.bind(address, backlog=16, reuse_port=reuse_port, inherited=inherited))
        return bound[-1]

    yield bind
    for each in bound:
        try:
            os.fstat(each.listener.fd)
        except OSError:
            continue
        sockets.close(each)


def connect(address: str | tuple[str, int], family: socket.AddressFamily) -> None:
    with socket.socket(family) as client:
        client.connect(address)


def option(bound: BoundSocket, level: int, name: int) -> int:
    with socket.socket(fileno=os.dup(bound.listener.fd)) as sock:
        return sock.getsockopt(level, name)


def test_tcp_listener_is_ready_for_the_engine(bind: Bind) -> None:
    listener = bind(TcpAddress("127.0.0.1", 0)).listener
    assert (listener.kind, listener.host) == ("tcp", "127.0.0.1")
    assert listener.address == f"http://127.0.0.1:{listener.port}"
    assert not os.get_blocking(listener.fd)
    assert not os.get_inheritable(listener.fd)
    connect(("127.0.0.1", listener.port), socket.AF_INET)


def test_tcp_listener_sends_without_delay_and_restarts_without_waiting(bind: Bind) -> None:
    bound = bind(TcpAddress("127.0.0.1", 0))
    assert option(bound, socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert option(bound, socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not option(bound, socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_wildcard_is_named_after_the_machine(bind: Bind) -> None:
    assert bind(TcpAddress("0.0.0.0", 0)).listener.host == os.uname().nodename


def test_name_is_resolved_to_ipv4_first(bind: Bind) -> None:
    assert bind(TcpAddress("localhost", 0)).listener.host == "127.0.0.1"


def test_reuse_port_lets_two_share(bind: Bind) -> None:
    port = bind(TcpAddress("127.0.0.1", 0), reuse_port=True).listener.port
    assert bind(TcpAddress("127.0.0.1", port), reuse_port=True).listener.port == port


def test_taken_port_is_told(bind: Bind) -> None:
    port = bind(TcpAddress("127.0.0.1", 0)).listener.port
    with pytest.raises(BindError, match="in use"):
        bind(TcpAddress("127.0.0.1", port))


@pytest.mark.parametrize(
    "address,words",
    [(TcpAddress("192.0.2.1", 0), "no such address"), (TcpAddress("nowhere.invalid", 0), "cannot be resolved")],
)
def test_unusable_address_is_told(bind: Bind, address: TcpAddress, words: str) -> None:
    with pytest.raises(BindError, match=words):
        bind(address)


def test_ipv6_wildcard_serves_ipv4_too(bind: Bind) -> None:
    try:
        port = bind(TcpAddress("::", 0)).listener.port
    except HostlerError:
        pytest.skip("no IPv6 here")
    connect(("127.0.0.1", port), socket.AF_INET)


def test_unix_socket_has_mode_and_owner(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = bind(UnixAddress(path, 0o620, str(os.getuid()), str(os.getgid()))).listener
    assert stat.S_IMODE(path.stat().st_mode) == 0o620
    assert (listener.kind, listener.host, listener.port) == ("unix", "localhost", 80)
    assert listener.address == f"unix:{path}"
    connect(str(path), socket.AF_UNIX)


def test_mask_of_the_process_is_as_before(bind: Bind, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        bind(UnixAddress(tmp_path / "s"))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_stale_socket_is_replaced(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    bind(UnixAddress(path))
    connect(str(path), socket.AF_UNIX)


def test_living_socket_is_never_stolen(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "s"
    bind(UnixAddress(path))
    with pytest.raises(BindError, match="another server"):
        bind(UnixAddress(path))
    connect(str(path), socket.AF_UNIX)


def test_living_socket_with_a_full_queue_is_not_stolen(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(path))
        busy.listen(0)
        first.connect(str(path))
        with pytest.raises(BindError, match="another server"):
            bind(UnixAddress(path))


def test_other_file_is_not_removed(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(BindError, match="not a socket"):
        bind(UnixAddress(path))
    assert path.read_text() == "precious"


def test_closing_removes_our_file(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "s"
    sockets.close(bind(UnixAddress(path)))
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_closing_leaves_the_file_of_a_successor(bind: Bind, tmp_path: Path) -> None:
    path = tmp_path / "s"
    ours = bind(UnixAddress(path))
    path.rename(tmp_path / "elsewhere")
    bind(UnixAddress(path))
    sockets.close(ours)
    connect(str(path), socket.AF_UNIX)


def test_missing_directory_is_told(bind: Bind, tmp_path: Path) -> None:
    with pytest.raises(BindError, match="No such file"):
        bind(UnixAddress(tmp_path / "no" / "s"))


def test_abstract_socket_has_no_file(bind: Bind) -> None:
    name = f"hostler-test-{os.getpid()}"
    assert bind(AbstractAddress(name)).listener.address == f"unix:@{name}"
    connect("\0" + name, socket.AF_UNIX)
    with pytest.raises(BindError, match="in use"):
        bind(AbstractAddress(name))


def test_inherited_socket_is_used_as_it_is(bind: Bind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = bind(InheritedAddress(server.fileno())).listener
        assert listener.fd == server.fileno()
        assert listener.port == server.getsockname()[1]
        sockets.close(BoundSocket(listener))
        server.detach()


def test_inherited_socket_is_found_by_name(bind: Bind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        inherited = {"web": server.fileno()}
        assert bind(InheritedAddress(-1, "web"), inherited=inherited).listener.fd == server.detach()
        with pytest.raises(BindError, match="LISTEN_FDNAMES: web"):
            bind(InheritedAddress(-1, "admin"), inherited=inherited)


def test_descriptor_that_does_not_listen_is_refused(bind: Bind) -> None:
    with socket.socket() as plain, Path(os.devnull).open() as file:
        for fd in (plain.fileno(), file.fileno(), 9999):
            with pytest.raises(BindError, match=f"descriptor {fd}"):
                bind(InheritedAddress(fd))
