"""The listeners of one server over its reloads."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hostler.errors import BindError
from hostler.server.listeners import ListenerPool
from hostler.system.address import InheritedAddress, Speech
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


def test_people_are_told_what_is_spoken_where_it_is_not_plain_http(pool: ListenerPool, tmp_path: Path) -> None:
    unix = f"unix:{tmp_path}"
    texts = [
        "127.0.0.1:0", f"{unix}/http", f"{unix}/uwsgi?protocol=uwsgi", f"{unix}/scgi?protocol=scgi&proxy_protocol=on",
        f"{unix}/proxy?proxy_protocol=on",
    ]  # fmt: skip
    addresses = pool.resolve(texts)
    pool.open(addresses, 1, 16)
    port = pool.listeners(addresses, 1, 16)[0].port
    assert pool.addresses() == [
        f"http://127.0.0.1:{port}", f"{unix}/http", f"{unix}/uwsgi (uwsgi)", f"{unix}/scgi (scgi, PROXY protocol)",
        f"{unix}/proxy (PROXY protocol)",
    ]  # fmt: skip


def test_scheme_of_an_address_says_what_is_spoken(pool: ListenerPool) -> None:
    addresses = pool.resolve(["uwsgi://127.0.0.1:0?proxy_protocol=on"])
    pool.open(addresses, 1, 16)
    (listener,) = pool.listeners(addresses, 1, 16)
    assert listener.address == f"uwsgi://127.0.0.1:{listener.port}"
    assert (listener.protocol, listener.proxy_protocol) == ("uwsgi", True)
    assert pool.addresses() == [f"uwsgi://127.0.0.1:{listener.port} (PROXY protocol)"]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_reload_changes_the_protocol_of_a_socket_and_keeps_the_socket(
    pool: ListenerPool, tmp_path: Path, kind: str
) -> None:
    place = {"tcp": "127.0.0.1:0", "unix": f"unix:{tmp_path}/a"}[kind]
    seen = []
    for query in ("", "?protocol=uwsgi", "?protocol=scgi&proxy_protocol=on", ""):
        addresses = pool.resolve([place + query])
        pool.open(addresses, 1, 16)
        pool.keep(addresses, 1)
        (listener,) = pool.listeners(addresses, 1, 16)
        seen.append((listener.protocol, listener.proxy_protocol, listener.fd))
        if kind == "tcp":
            assert listener.address == f"{listener.protocol}://127.0.0.1:{listener.port}"
    fd = seen[0][2]
    assert seen == [("http", False, fd), ("uwsgi", False, fd), ("scgi", True, fd), ("http", False, fd)]
    assert is_open(fd)


def test_every_slot_speaks_what_its_address_says(own: ListenerPool) -> None:
    own.open(own.resolve(["127.0.0.1:0"]), 1, 16)
    addresses = own.resolve(["uwsgi://127.0.0.1:0"])
    own.open(addresses, 2, 16)
    for slot in (1, 2, 3):
        assert [each.protocol for each in own.listeners(addresses, slot, 16)] == ["uwsgi"]
    assert len(own.addresses()) == 1


def passed_pool(*servers: socket.socket) -> ListenerPool:
    descriptors = tuple(each.fileno() for each in servers)
    names = tuple(f"s{index}" for index in range(len(servers)))
    return ListenerPool(PassedSockets(descriptors, names, dict(zip(names, descriptors, strict=True))), reuse_port=False)


def test_sockets_of_the_service_manager_speak_what_their_addresses_would() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        pool = passed_pool(one, other)
        # As many as there are addresses: by order.
        by_order = pool.resolve(["uwsgi://:1", ":2?proxy_protocol=on"])
        assert [each.speech for each in by_order] == [Speech("uwsgi"), Speech("http", True)]
        # Otherwise all of them as the first.
        assert [each.speech for each in pool.resolve(["scgi://:1"])] == [Speech("scgi")] * 2
        assert [each.speech for each in pool.resolve(["scgi://:1", ":2", ":3"])] == [Speech("scgi")] * 2
        # By name, each says so itself.
        named = pool.resolve(["fd://s1?protocol=uwsgi", "fd://s0"])
        assert [(str(each), each.speech.protocol) for each in named] == [("fd://s1", "uwsgi"), ("fd://s0", "http")]


def test_socket_of_the_service_manager_is_opened_with_its_protocol() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = passed_pool(server)
        addresses = pool.resolve(["uwsgi://127.0.0.1:8000"])
        pool.open(addresses, 1, 16)
        (listener,) = pool.listeners(addresses, 1, 16)
        assert (listener.protocol, listener.fd) == ("uwsgi", server.fileno())
        assert listener.address == f"uwsgi://127.0.0.1:{server.getsockname()[1]}"


def test_heir_has_the_sockets_and_later_their_files(tmp_path: Path) -> None:
    texts = [f"unix:{tmp_path}/a", f"unix:{tmp_path}/b", "127.0.0.1:0"]
    former = ListenerPool(PassedSockets(), reuse_port=False)
    former.open(former.resolve(texts), 1, 16)
    left = [replace(each, fd=os.dup(each.fd)) for each in former.leave()]
    heir = ListenerPool(PassedSockets(), reuse_port=False, left=left)
    wanted = heir.resolve([texts[0], texts[2]])
    heir.open(wanted, 1, 16)
    assert [each.address for each in heir.listeners(wanted, 1, 16)] == [former.addresses()[0], former.addresses()[2]]
    former.hand_over()
    heir.take_over()
    assert (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists(), "nobody listens there any more"
    heir.close()
    assert not (tmp_path / "a").exists()


def test_heir_that_does_not_come_up_leaves_the_files(tmp_path: Path) -> None:
    former = ListenerPool(PassedSockets(), reuse_port=False)
    former.open(former.resolve([f"unix:{tmp_path}/a"]), 1, 16)
    left = [replace(each, fd=os.dup(each.fd)) for each in former.leave()]
    heir = ListenerPool(PassedSockets(), reuse_port=False, left=left)
    heir.open(heir.resolve([f"unix:{tmp_path}/a", f"unix:{tmp_path}/new"]), 1, 16)
    heir.close()
    assert (tmp_path / "a").exists()
    assert not (tmp_path / "new").exists()
    former.close()


def test_listeners_aside_are_not_for_workers(own: ListenerPool) -> None:
    addresses, aside = own.resolve(["127.0.0.1:0"]), own.resolve(["127.0.0.1:0", "[::1]:0"])
    own.open(addresses, 2, 16)
    first = own.open_aside(aside, 16)
    assert first == own.open_aside(aside, 16)
    assert len(own.descriptors()) == 4
    assert len(own.addresses()) == 1
    assert {queue.address for queue in own.queues()} == set(own.addresses())
    own.vacate(2)
    own.keep(addresses, 1, aside)
    assert all(is_open(listener.fd) for listener in first)
    own.keep(addresses, 1)
    assert not any(is_open(listener.fd) for listener in first)


def test_listener_aside_that_cannot_be_had_opens_none(pool: ListenerPool, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        aside = pool.resolve([f"unix:{tmp_path}/m", f"127.0.0.1:{taken.getsockname()[1]}"])
        with pytest.raises(BindError):
            pool.open_aside(aside, 16)
    assert pool.descriptors() == []
    assert not (tmp_path / "m").exists()


def test_listener_aside_is_left_to_a_new_supervisor(pool: ListenerPool, tmp_path: Path) -> None:
    aside = pool.resolve([f"unix:{tmp_path}/m"])
    (listener,) = pool.open_aside(aside, 16)
    heir = ListenerPool(
        PassedSockets(), reuse_port=False, left=[replace(each, fd=os.dup(each.fd)) for each in pool.leave()]
    )
    (inherited,) = heir.open_aside(aside, 16)
    assert os.fstat(inherited.fd).st_ino == os.fstat(listener.fd).st_ino
    heir.take_over()
    pool.hand_over()
    assert (tmp_path / "m").exists()
    heir.close()
    assert not (tmp_path / "m").exists()
