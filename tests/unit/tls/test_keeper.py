"""Certificates that change: what workers are given, and when."""

from __future__ import annotations

import itertools
import logging
import os
import struct
from pathlib import Path

import pytest

from hostler.errors import ConfigurationError
from hostler.tls.attendant import CertificateAttendant
from hostler.tls.keeper import INTERVAL, Keeper
from hostler.tls.plan import Plan
from hostler.tls.tickets import LIFETIME, TicketKeys
from tests.fakes.clock import FakeClock


def counted() -> TicketKeys:
    numbers = itertools.count(1)
    return TicketKeys(lambda length: bytes([next(numbers)]) * length, 0.0)


def given(keeper: Keeper) -> tuple[int, dict[str, list[bytes]]]:
    """What a worker reads: the number, and values by letter."""
    number, length = struct.unpack("<QQ", os.pread(keeper.fd, 16, 0))
    rest, records = os.pread(keeper.fd, length, 16), dict[str, list[bytes]]()
    assert len(rest) == length == os.fstat(keeper.fd).st_size - 16
    while rest:
        (size,) = struct.unpack("<I", rest[1:5])
        records.setdefault(chr(rest[0]), []).append(rest[5 : 5 + size])
        rest = rest[5 + size :]
    return number, records


class Files:
    """A certificate on disk, in which "bad" cannot be used."""

    def __init__(self, directory: Path) -> None:
        self.chain = directory / "a.pem"
        self.write("one")
        (directory / "a.key").write_text("-----BEGIN PRIVATE KEY-----\n")
        self.plan = Plan((str(self.chain),))

    def write(self, text: str) -> None:
        self.chain.write_text(f"-----BEGIN CERTIFICATE-----\n{text}")

    @staticmethod
    def check(contents: bytes) -> list[str]:
        if b"bad" in contents:
            raise ValueError("a.pem is bad")
        return ["a.pem is old"] if b"old" in contents else []


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_change_is_taken_up_when_it_has_come_to_rest(files: Files) -> None:
    keeper = Keeper([files.plan], counted(), files.check)
    first, records = given(keeper)
    assert (first % 2, records["C"], records["P"]) == (0, [files.chain.read_bytes()], [b"\2\0"])
    files.write("two, at last")
    keeper.look()
    assert given(keeper)[0] == first
    keeper.look()
    second, records = given(keeper)
    assert (second, records["C"]) == (first + 2, [files.chain.read_bytes()])
    keeper.look()
    assert given(keeper)[0] == second


def test_what_cannot_be_used_is_told_once_and_changes_nothing(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper([files.plan], counted(), files.check)
    before = given(keeper)
    files.write("bad, alas")
    with caplog.at_level(logging.ERROR, "hostler"):
        for _ in range(4):
            keeper.look()
    assert [record.message for record in caplog.records] == [
        "going on with the certificates there were, as the new ones cannot be used: a.pem is bad"
    ]
    assert given(keeper) == before
    files.write("three, and good again")
    for _ in range(2):
        keeper.look()
    assert given(keeper)[1]["C"] == [files.chain.read_bytes()]


def test_start_with_what_cannot_be_used_fails(files: Files) -> None:
    files.write("bad from the start")
    with pytest.raises(ConfigurationError, match=r"a\.pem is bad"):
        Keeper([files.plan], counted(), files.check)


def test_warnings_are_passed_on(files: Files) -> None:
    files.write("old")
    assert Keeper([files.plan], counted(), files.check).warnings == ["a.pem is old"]


def test_ticket_keys_are_renewed_and_the_one_before_is_kept(files: Files) -> None:
    clock, keys = FakeClock(), counted()
    keys.due = clock.now() + LIFETIME
    keeper = Keeper([files.plan], keys, files.check)
    attendant = CertificateAttendant(clock, keys, lambda: [keeper])
    assert attendant.deadline() == clock.now() + INTERVAL
    files.write("bad meanwhile")
    held = []
    for _ in range(3):
        attendant.turn({})
        held.append([key[0] for key in given(keeper)[1]["K"]])
        clock.advance(LIFETIME)
    assert held == [[1], [2, 1], [3, 2]]


def test_attendant_looks_now_and_then_where_there_is_tls(files: Files) -> None:
    clock, keys = FakeClock(), counted()
    keepers: list[Keeper] = []
    attendant = CertificateAttendant(clock, keys, lambda: keepers)
    assert attendant.deadline() is None
    keepers.append(Keeper([files.plan], keys, files.check))
    files.write("two, at last")
    for _ in range(2):
        clock.advance(INTERVAL)
        attendant.turn({})
    assert given(keepers[0])[1]["C"] == [files.chain.read_bytes()]
