"""The protocol with the service manager."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostler.system.systemd import Notifier, passed_sockets


@pytest.fixture(name="manager")
def fixture_manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        yield manager


def told(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def notifier(manager: socket.socket, **variables: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.getsockname(), **variables}, 42)


def test_readiness_names_the_main_process(manager: socket.socket) -> None:
    notifier(manager).ready("Serving shop:app")
    assert told(manager) == ["READY=1", "MAINPID=42", "STATUS=Serving shop:app"]


def test_reload_carries_the_time_it_began(manager: socket.socket) -> None:
    notifier(manager).reloading()
    first, second, _ = told(manager)
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_stop_and_ping(manager: socket.socket) -> None:
    it = notifier(manager)
    it.stopping()
    it.ping()
    assert told(manager)[0] == "STOPPING=1"
    assert told(manager) == ["WATCHDOG=1"]


def test_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0hostler-notify-test")
        manager.settimeout(5)
        Notifier({"NOTIFY_SOCKET": "@hostler-notify-test"}, 42).ping()
        assert told(manager) == ["WATCHDOG=1"]


def test_manager_that_is_gone_does_not_matter(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 42).ready("")


@pytest.mark.parametrize(
    "variables,interval",
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_is_pinged_twice_as_often_as_asked(
    manager: socket.socket, variables: dict[str, str], interval: float | None
) -> None:
    assert notifier(manager, **variables).watchdog_interval == interval


def test_sockets_for_us_are_taken() -> None:
    found = passed_sockets({"LISTEN_PID": "42", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "web:web:admin"}, 42)
    assert found.descriptors == (3, 4, 5)
    assert found.by_name == {"web": 3, "admin": 5}


@pytest.mark.parametrize(
    "variables", [{}, {"LISTEN_PID": "43", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "42"}]
)
def test_sockets_for_others_are_left(variables: dict[str, str]) -> None:
    assert passed_sockets(variables, 42).descriptors == ()


def test_service_is_handed_over_and_nothing_said_after_that(manager: socket.socket) -> None:
    it = notifier(manager)
    it.hand_over(77)
    it.stopping()
    notifier(manager).ping()
    assert told(manager) == ["MAINPID=77"]
    assert told(manager) == ["WATCHDOG=1"]
