"""The room: who is in it, what was said lately, and who is told.

Theory of operation: each member has a queue of its own, which one task empties into one WebSocket. Nobody waits for
anybody: what is said is put into all queues at once, and a member whose queue is full is dropped. All of it happens in
one thread, between two `await`s, so that nothing needs a lock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# Arbitrary: a screenful, and what a client may fall behind.
KEPT_LINES = 50
QUEUE_SIZE = 64

Event = Mapping[str, Any]


def read_clock() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


@dataclass(eq=False, slots=True)
class Member:
    """Somebody in the room.

    Attributes:
        name: as shown to all.
        queue: events for that one; None says that it has fallen behind and is to go.
    """

    name: str
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_SIZE))


class Room:
    """One room. Belongs to one event loop."""

    def __init__(self, now: Callable[[], datetime] = read_clock) -> None:
        self._now = now
        self._members: list[Member] = []
        self._lines: deque[Event] = deque(maxlen=KEPT_LINES)
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """Is set when somebody comes or goes; take it anew after each time."""
        return self._changed

    @property
    def names(self) -> list[str]:
        """Who is there, in the order of arrival."""
        return [member.name for member in self._members]

    def join(self, name: str) -> Member:
        """Let somebody in, under a name that nobody else has."""
        member = Member(self._find_free_name(name))
        self._members.append(member)
        member.queue.put_nowait({"kind": "welcome", "name": member.name, "lines": list(self._lines)})
        self._tell({"kind": "joined", "name": member.name, "at": self._stamp()}, but=member)
        self._note_change()
        return member

    def leave(self, member: Member) -> None:
        """See somebody off."""
        self._members.remove(member)
        self._tell({"kind": "left", "name": member.name, "at": self._stamp()})
        self._note_change()

    def say(self, member: Member, text: str) -> None:
        """Tell all what somebody says."""
        line = {"kind": "said", "name": member.name, "text": text, "at": self._stamp()}
        self._lines.append(line)
        self._tell(line)

    def _tell(self, event: Event, but: Member | None = None) -> None:
        for member in self._members:
            if member is but:
                continue
            if member.queue.full():
                # What it missed it would miss anyway; room for the word to go.
                member.queue.get_nowait()
                member.queue.put_nowait(None)
            else:
                member.queue.put_nowait(event)

    def _find_free_name(self, name: str) -> str:
        taken = set(self.names)
        number = 1
        free = name
        while free in taken:
            number += 1
            free = f"{name} {number}"
        return free

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _stamp(self) -> str:
        return self._now().isoformat(timespec="milliseconds")
