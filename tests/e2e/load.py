"""Load for tests: strict clients that count what fails, and wrk for great numbers."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.e2e.harness import PATIENCE, RunningServer, ServerError


@dataclass
class Tally:
    """What became of the requests of one load.

    Attributes:
        served: whole answers with the expected status and body.
        failures: one line for each request that was not served so.
    """

    served: int = 0
    failures: list[str] = field(default_factory=list)


class StrictLoad:
    """Clients that send one request after the other and take no excuse.

    Each keeps its connection until the server's answer says `Connection: close`. A refused connection, one that ends
    where an answer is due, an answer that is not the expected one: each is a failure. No request is sent twice.
    """

    def __init__(self, server: RunningServer, path: str, body: bytes, clients: int) -> None:
        self._server = server
        self._request = f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        self._body = body
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._tally = Tally()
        self._threads = [threading.Thread(target=self._run, name=f"client-{n}", daemon=True) for n in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def wait_served(self, more: int, timeout: float = PATIENCE) -> None:
        """Wait until `more` requests have been served from now on."""
        with self._changed:
            wanted = self._tally.served + more
            if not self._changed.wait_for(lambda: self._tally.served >= wanted, timeout):
                raise ServerError(f"{self._tally.served} of {wanted} requests served; {self._tally.failures[:5]}")

    def finish(self) -> Tally:
        """End after the requests that are under way; return what became of all."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a request is still under way"
        return self._tally

    def stop_sending(self) -> None:
        """Send no further requests; those under way go on."""
        self._stop.set()

    def _run(self) -> None:
        stream: socket.socket | None = None
        while not self._stop.is_set():
            is_fresh = stream is None
            try:
                stream = stream or self._server.connect()
                stream.sendall(self._request)
                is_kept = self._read_answer(stream)
            except (OSError, ValueError) as error:
                self._note(f"{type(error).__name__} on a {'fresh' if is_fresh else 'kept'} connection: {error}")
                is_kept = False
                self._stop.wait(0.01)  # a server that is gone is not asked without end
            else:
                self._note(None)
            if stream is not None and not is_kept:
                stream.close()
                stream = None
        if stream is not None:
            stream.close()

    def _read_answer(self, stream: socket.socket) -> bool:
        """Read one answer; return whether the connection may be used again."""
        received = b""
        while b"\r\n\r\n" not in received:
            piece = stream.recv(65536)
            if not piece:
                raise ValueError(f"the connection ended where an answer is due, after {received!r}")
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        while len(body) < len(self._body):
            piece = stream.recv(65536)
            if not piece:
                raise ValueError(f"the connection ended within an answer, after {received!r}")
            body += piece
        if not head.startswith(b"HTTP/1.1 200 ") or body != self._body:
            raise ValueError(f"not the expected answer: {head!r} {body[:100]!r}")
        return b"connection: close" not in head.lower()

    def _note(self, failure: str | None) -> None:
        with self._changed:
            if failure is None:
                self._tally.served += 1
            else:
                self._tally.failures.append(failure)
            self._changed.notify_all()


@dataclass(frozen=True)
class WrkReport:
    """What wrk says.

    Attributes:
        requests: answers of any status.
        unexpected: answers other than 2xx and 3xx.
        errors: connections that could not be made, reads and writes that failed, timeouts.
    """

    requests: int
    unexpected: int
    errors: int


class Wrk:
    """One run of wrk beside the test."""

    def __init__(self, program: str, url: str, seconds: int, options: Sequence[str] = ()) -> None:
        command = [program, "-t1", "-c16", f"-d{seconds}s", "--timeout", "20s", *options, url]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._patience = seconds + PATIENCE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def report(self) -> WrkReport:
        """Wait for its end and read what it says."""
        text, _ = self._process.communicate(timeout=self._patience)
        requests = re.search(r"(\d+) requests in", text)
        unexpected = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        assert requests, text
        return WrkReport(
            int(requests[1]),
            int(unexpected[1]) if unexpected else 0,
            sum(map(int, errors.groups())) if errors else 0,
        )


def run_wrk(program: str, url: str, at_least: int, options: Sequence[str] = ()) -> WrkReport:
    """Run wrk again and again until that many requests have been answered; return the sums."""
    reports: list[WrkReport] = []
    deadline = time.monotonic() + 10 * PATIENCE
    while sum(report.requests for report in reports) < at_least:
        assert time.monotonic() < deadline, reports
        with Wrk(program, url, 1, options) as wrk:
            reports.append(wrk.report())
    return WrkReport(*(sum(getattr(each, name) for each in reports) for name in WrkReport.__annotations__))
