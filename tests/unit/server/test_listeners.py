"""The listeners of one server over its reloads."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.errors import BindError
from hostler.server.listeners import ListenerPool
from hostler.system.address import InheritedAddress
from hostler.system.systemd import PassedSockets


@pytest.fixture(name="pool")
def fixture_pool() -> Iterator[ListenerPool]:
    pool = ListenerPool(PassedSockets(), reuse_port=False)
    yield pool
    pool.close()


@pytest.fixture(name="own")
def fixture_own() -> Iterator[ListenerPool]:
    pool = ListenerPool(PassedSockets(), reuse_port=True)
    yield pool
    pool.close()


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_all_workers_share_a_listener(pool: ListenerPool) -> None:
    addresses = pool.resolve(["127.0.0.1:0"])
    pool.open(addresses, 3, 16)
    assert pool.listeners(addresses, 1, 16) == pool.listeners(addresses, 3, 16)
    assert len(pool.descriptors()) == 1


def test_listener_that_stays_configured_stays_open(pool: ListenerPool, tmp_path: Path) -> None:
    first = pool.resolve(["127.0.0.1:0", f"unix:{tmp_path}/a"])
    pool.open(first, 1, 16)
    kept, dropped = pool.listeners(first, 1, 16)
    second = pool.resolve(["127.0.0.1:0", f"unix:{tmp_path}/b"])
    pool.open(second, 1, 16)
    pool.keep(second, 1)
    assert pool.listeners(second, 1, 16)[0] == kept
    assert not is_open(dropped.fd)
    assert not (tmp_path / "a").exists()


def test_failure_opens_nothing(pool: ListenerPool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BindError):
        pool.open(pool.resolve([f"unix:{tmp_path}/a", f"unix:{tmp_path}/file"]), 1, 16)
    assert pool.descriptors() == []
    assert not (tmp_path / "a").exists()


def test_slots_have_sockets_of_their_own_on_one_port(own: ListenerPool) -> None:
    addresses = own.resolve(["127.0.0.1:0"])
    own.open(addresses, 2, 16)
    (first,), (second,) = own.listeners(addresses, 1, 16), own.listeners(addresses, 2, 16)
    assert first.fd != second.fd
    assert first.port == second.port
    assert own.addresses() == [first.address]


def test_successor_in_a_slot_takes_over_its_socket(own: ListenerPool) -> None:
    addresses = own.resolve(["127.0.0.1:0"])
    assert own.listeners(addresses, 1, 16) == own.listeners(addresses, 1, 16)


def test_vacated_slot_leaves_its_port_to_the_others(own: ListenerPool) -> None:
    addresses = own.resolve(["127.0.0.1:0"])
    own.open(addresses, 2, 16)
    (first,), (second,) = own.listeners(addresses, 1, 16), own.listeners(addresses, 2, 16)
    own.vacate(2)
    assert is_open(first.fd)
    assert not is_open(second.fd)


def test_unix_sockets_are_shared_all_the_same(own: ListenerPool, tmp_path: Path) -> None:
    addresses = own.resolve([f"unix:{tmp_path}/a"])
    own.open(addresses, 2, 16)
    assert len(own.descriptors()) == 1


def test_sockets_of_the_service_manager_replace_the_configured_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        passed = PassedSockets((server.fileno(),), ("web",), {"web": server.fileno()})
        pool = ListenerPool(passed, reuse_port=False)
        assert pool.resolve(["127.0.0.1:8000"]) == (InheritedAddress(server.fileno()),)
        assert pool.resolve(["fd://web", "127.0.0.1:8000"])[0] == InheritedAddress(-1, "web")
