"""What a supervisor leaves to the next."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hostler.system.bequest import (
    VARIABLE,
    Bequest,
    LeftSocket,
    accept_bequest,
    bequeath,
    read_bequest,
    report_to_former,
    sockets_of_manager,
)

BEQUEST = Bequest(7, (LeftSocket(3, "unix:/run/a", 0, "/run/a", (1, 2)),), "/run/pid", 5, is_paused=True)


def test_heir_reads_what_it_was_left() -> None:
    variables = bequeath(BEQUEST, {"HOME": "/"}, 10, 11)
    found = read_bequest(variables, 11)
    assert found is not None
    assert (found.status_fd, found.sockets, found.pid_file, found.pid_file_fd) == (
        BEQUEST.status_fd, BEQUEST.sockets, BEQUEST.pid_file, BEQUEST.pid_file_fd,
    )  # fmt: skip
    assert sorted(found.descriptors()) == [3, 5, 7]
    assert found.is_paused
    assert variables["HOME"] == "/"


def test_nobody_else_takes_it() -> None:
    assert read_bequest(bequeath(BEQUEST, {}, 10, 11), 12) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", json.dumps({"pid": 11, "sockets": [{}]})])
def test_what_is_no_bequest_is_none(text: str) -> None:
    assert read_bequest({VARIABLE: text}, 11) is None


def test_word_of_the_service_manager_is_addressed_to_the_heir() -> None:
    variables = {"LISTEN_PID": "10", "LISTEN_FDS": "2", "WATCHDOG_PID": "10"}
    left = bequeath(BEQUEST, variables, 10, 11)
    assert (left["LISTEN_PID"], left["WATCHDOG_PID"]) == ("11", "11")
    assert sockets_of_manager(variables, 10) == [3, 4]


def test_word_for_others_is_left_alone() -> None:
    left = bequeath(BEQUEST, {"LISTEN_PID": "9", "LISTEN_FDS": "2"}, 10, 11)
    assert left["LISTEN_PID"] == "9"
    assert sockets_of_manager({"LISTEN_PID": "9", "LISTEN_FDS": "2"}, 10) == []


def test_inherited_descriptors_are_not_passed_on_by_accident(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    accept_bequest(bequeath(Bequest(writer), {}, 10, 11), 11)
    assert not os.get_inheritable(writer)
    os.close(reader)
    os.close(writer)


def test_reason_of_the_end_is_reported_once_there_is_somebody() -> None:
    reader, writer = os.pipe()
    variables = bequeath(Bequest(writer), {}, 10, 11)
    report_to_former(variables, 11, "no shop", "Traceback", 3)
    assert json.loads(os.read(reader, 4096)) == {
        "event": "failed", "message": "no shop", "details": "Traceback", "status": 3,
    }  # fmt: skip
    os.close(reader)
    os.close(writer)
    report_to_former(variables, 11, "said too late", "", 3)
    report_to_former({}, 11, "nobody there", "", 3)
