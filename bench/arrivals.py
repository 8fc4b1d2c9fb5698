"""An open load: requests that arrive at a constant rate, whether earlier ones were answered or not."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

REQUEST = b"GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n"
# What a person might wait; a request that takes longer has failed.
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    Attributes:
        seconds: from the moment it was due to the end of its answer.
        status: of the answer; 0 for none.
        retry_after: whether the answer tells when to come again.
    """

    seconds: float
    status: int
    retry_after: bool = False


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What became of all requests of one load, in the order in which they were due.

    Attributes:
        answers: one for each request.
        seconds: how long requests arrived.
    """

    answers: Sequence[Answer]
    seconds: float

    def count(self, status: int) -> int:
        """Count the answers with a status; 0 counts the requests that got none."""
        return sum(answer.status == status for answer in self.answers)

    def count_useful(self, patience: float) -> int:
        """Count the answers 200 that came within `patience` seconds."""
        return sum(answer.status == 200 and answer.seconds <= patience for answer in self.answers)

    def percentile(self, share: float) -> float:
        """Give the time within which a share of the answers 200 came, in seconds; infinite where there are none."""
        times = sorted(answer.seconds for answer in self.answers if answer.status == 200)
        return times[min(len(times) - 1, math.ceil(share * len(times)) - 1)] if times else math.inf


def run_arrivals(host: str, port: int, rate: float, seconds: float) -> Arrivals:
    """Have requests arrive at `rate` per second for so many seconds, and wait for what becomes of them.

    Each has a connection of its own, as if it were another client's.
    """
    return asyncio.run(_run(host, port, rate, seconds))


async def _run(host: str, port: int, rate: float, seconds: float) -> Arrivals:
    start = time.monotonic()
    tasks = []
    for number in range(round(rate * seconds)):
        due = start + number / rate
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(_ask(host, port, due)))
    return Arrivals(await asyncio.gather(*tasks), seconds)


async def _ask(host: str, port: int, due: float) -> Answer:
    try:
        async with asyncio.timeout(TIMEOUT):
            head = await _exchange(host, port)
    except (OSError, TimeoutError):
        head = b""
    return Answer(time.monotonic() - due, _parse_status(head), b"\r\nretry-after:" in head.lower())


async def _exchange(host: str, port: int) -> bytes:
    """Send the request on a connection of its own; give all that comes back."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(REQUEST)
        return await reader.read(-1)
    finally:
        writer.close()


def _parse_status(answer: bytes) -> int:
    status = answer.partition(b" ")[2][:3]
    return int(status) if answer.startswith(b"HTTP/1.") and status.isdigit() else 0
