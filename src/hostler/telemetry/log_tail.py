"""The latest records of the server log, kept in memory for those who ask.

Theory: each process writes its records to the log itself, as one write each, so that nothing is lost when another
process is slow. Beside that it sends a copy to the supervisor, over one socket that all of them inherit and that keeps
records apart. Nobody waits for it: when the socket is full, because the supervisor has other things to do or because
records come in a flood, the copy is dropped, and the next one that fits says how many were.
"""

from __future__ import annotations

import os
import re
from collections import deque

from hostler.system.channel import open_record_pair
from hostler.system.process import close_descriptors

# What is kept (arbitrary): enough for the last reload with a traceback or ten, little beside an interpreter.
MAX_RECORDS = 2000
MAX_BYTES = 512 * 1024
# How much of one record is kept; a traceback with the deepest recursion is longer.
MAX_RECORD = 16_384
# How many records are taken over in one turn of the supervisor's loop, so that a flood does not hold it up.
MAX_PER_TURN = 256
# Colours, as `telemetry.log` writes them for terminals.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class LogTail:
    """The supervisor's end: keeps the latest records, each with a number that counts from 1.

    Attributes:
        copy_fd: where every process writes its copies.
    """

    def __init__(self) -> None:
        """Begin without records."""
        self.fd, self.copy_fd = open_record_pair()
        self._records: deque[tuple[int, str]] = deque()
        self._size = 0
        self._last = 0

    def receive(self) -> bool:
        """Take over what has arrived, in bounded number; returns whether there was anything."""
        for count in range(MAX_PER_TURN):
            try:
                data = os.read(self.fd, 2 * MAX_RECORD)
            except BlockingIOError:
                return count > 0
            self._keep(_COLOUR.sub("", data.decode("utf-8", "replace")).rstrip("\n"))
        return True

    def _keep(self, text: str) -> None:
        self._last += 1
        self._records.append((self._last, text))
        self._size += len(text)
        while len(self._records) > MAX_RECORDS or self._size > MAX_BYTES:
            self._size -= len(self._records.popleft()[1])

    @property
    def last(self) -> int:
        """The number of the latest record."""
        return self._last

    def read(self, after: int, count: int) -> tuple[list[str], int]:
        """Return records.

        Args:
            after: only those with higher numbers. A number that has not come yet is from another life of the server,
                and means 0.
            count: how many at most: the first after `after`, or the latest if that is 0.

        Returns:
            The records, oldest first, and the number to go on from.
        """
        if after > self._last:
            after = 0
        newer = [record for record in self._records if record[0] > after]
        chosen = newer[:count] if after else newer[-count:]
        return [text for _, text in chosen], chosen[-1][0] if chosen else self._last

    def missed(self, after: int) -> int:
        """Return how many records behind `after` are no longer kept."""
        if not 0 < after <= self._last:
            return 0
        first = self._records[0][0] if self._records else self._last + 1
        return max(0, first - after - 1)

    def close(self) -> None:
        """Close both ends."""
        close_descriptors((self.fd, self.copy_fd))


class LogCopy:
    """A process's end: sends copies of its records, or drops them."""

    def __init__(self, fd: int) -> None:
        """Send to `fd`, which belongs to the `LogTail`."""
        self._fd = fd
        self._dropped = 0

    def send(self, line: bytes) -> None:
        """Send a copy of a record, without waiting."""
        data = line if len(line) <= MAX_RECORD else line[:MAX_RECORD] + b" [...]\n"
        if self._dropped:
            data = b"[%d records of this process were not kept here]\n%b" % (self._dropped, data)
        try:
            os.write(self._fd, data)
        except OSError:
            self._dropped += 1
        else:
            self._dropped = 0
