"""A look at one answer before it is timed: a fast wrong answer is worth nothing."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import time
from collections.abc import Callable

from websockets.exceptions import InvalidMessage, WebSocketException
from websockets.sync.client import connect

from bench.errors import BenchError
from bench.load import Load
from bench.streams import StreamLoad

START_SECONDS = 20.0
PAUSE_SECONDS = 0.05
# What curl ends with where nobody listens yet, and what becomes of a connection in the backlog of a server that ends:
# no connection, no handshake, no answer, nothing received.
AWAY_STATUSES = {7, 35, 52, 56}


def check_answer(port: int, load: Load, expected: bytes, timeout: float = 10.0) -> None:
    """Send one request of `load` and compare status, declared length and body.

    Errors:
        BenchError: the answer is not the expected one.
        OSError: there is no answer.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    if load.tls:
        # Whose certificate it is does not matter here.
        context = ssl._create_unverified_context()  # noqa: SLF001 - no public name
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)
    try:
        connection.request(load.method, load.path, body=b"x" * load.body_size or None)
        response = connection.getresponse()
        length = response.getheader("Content-Length")
        body = response.read()
    except ConnectionError:
        raise  # closed without an answer: not up yet
    except http.client.HTTPException as error:
        raise BenchError(f"the answer is not HTTP: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise BenchError(f"answered {response.status} {response.reason}, not 200")
    if length not in (None, str(len(expected))) or body != expected:
        raise BenchError(f"answered {len(body)} bytes (Content-Length {length}), not the expected {len(expected)}")


def check_stream(port: int, load: StreamLoad, expected: bytes, timeout: float = 10.0) -> None:
    """Send one request with another client than the one that is timed; compare version, status and body.

    Errors:
        BenchError: the answer is not the expected one, or not by HTTP/2.
        OSError: there is no answer.
    """
    # Whose certificate it is does not matter here.
    version = ["--http2", "--insecure"] if load.tls else ["--http2-prior-knowledge"]
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", f"{timeout:.0f}", *version),
            *("--write-out", "\n%{http_version} %{http_code}", load.build_url(port)),
        ],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise (ConnectionError if done.returncode in AWAY_STATUSES else BenchError)(reason)
    body, _, outcome = done.stdout.rpartition(b"\n")
    if outcome != b"2 200":
        raise BenchError(f"answered by HTTP version and status {outcome.decode()!r}, not '2 200'")
    if body != expected:
        raise BenchError(f"answered {len(body)} bytes, not the expected {len(expected)}")


def check_echo(port: int, size: int, *, deflate: bool, timeout: float = 10.0) -> None:
    """Send one message with another client than the one that is timed, and compare what comes back.

    Errors:
        BenchError: it is not what was sent, or the protocol is violated.
        OSError: there is no answer.
    """
    message = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    compression = "deflate" if deflate else None
    try:
        with connect(
            f"ws://127.0.0.1:{port}/", compression=compression, proxy=None, open_timeout=timeout, close_timeout=1
        ) as client:
            client.send(message)
            answer = client.recv(timeout=timeout)
    except InvalidMessage as error:
        # Also what becomes of a connection that a dying server leaves in its backlog.
        raise ConnectionError(f"the handshake has no HTTP response: {error}") from error
    except WebSocketException as error:
        raise BenchError(f"no WebSocket: {error}") from error
    if answer != message:
        raise BenchError(f"echoed {len(answer)} units of {type(answer).__name__}, not the {size} bytes that were sent")


def wait_until_served(process: subprocess.Popen[bytes], check: Callable[[], None]) -> None:
    """Wait until a new server gives the right answer.

    Args:
        process: the server.
        check: looks at an answer; OSError means that there is none yet.

    Errors:
        BenchError: it ended, gave a wrong answer, or took longer than `START_SECONDS`.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return check()
        except OSError as error:
            if time.monotonic() > deadline:
                raise BenchError(f"gave no answer within {START_SECONDS:.0f} s: {error}") from error
        try:
            status = process.wait(PAUSE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        raise BenchError(f"ended with status {status} before it answered")
