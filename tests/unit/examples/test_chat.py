"""The room of the chat, without a server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.harness import ROOT

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(ROOT / "examples" / "chat")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "chat"]:
        del sys.modules[name]


def drain(queue: asyncio.Queue[Any]) -> list[Any]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def test_names_are_made_unique() -> None:
    from chat.room import Room

    room = Room()
    for _ in range(3):
        room.join("Ada")
    assert room.names == ["Ada", "Ada 2", "Ada 3"]


def test_everybody_hears_what_is_said_and_who_comes_and_goes() -> None:
    from chat.room import Room

    room = Room(lambda: NOON)
    ada, bodil = room.join("Ada"), room.join("Bodil")
    room.say(ada, "Hello")
    room.leave(ada)
    at = "2026-01-02T12:00:00.000+00:00"
    assert drain(bodil.queue) == [
        {"kind": "welcome", "name": "Bodil", "lines": []},
        {"kind": "said", "name": "Ada", "text": "Hello", "at": at},
        {"kind": "left", "name": "Ada", "at": at},
    ]


def test_member_that_falls_behind_is_told_to_go_and_holds_nobody_up() -> None:
    from chat.room import QUEUE_SIZE, Room

    room = Room()
    slow, quick = room.join("Slow"), room.join("Quick")
    for number in range(2 * QUEUE_SIZE):
        room.say(quick, str(number))
        drain(quick.queue)
    assert None in drain(slow.queue)


def test_change_is_seen_by_all_who_wait() -> None:
    from chat.room import Room

    room = Room()
    waited = [room.changed, room.changed]
    room.join("Ada")
    assert all(event.is_set() for event in waited)
    assert not room.changed.is_set()


@pytest.mark.parametrize("text, read", [('{"text": " a "}', "a"), ('{"text": 1}', None), ("{", None), (b"\xff", None)])
def test_messages_are_read_with_care(text: str | bytes, read: str | None) -> None:
    from chat.app import read_text

    assert read_text(text) == read
