"""The client of the control socket, for commands: blocking, one connection, bounded in what it takes."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from hostler.errors import HostlerError, PrivilegeError
from hostler.system.local_socket import Socket, connect, listener_pid

# Above what the server sends (the stacks of some hundred threads); who listens there may not be who we think.
MAX_ANSWER = 64 * 1024 * 1024
# Seconds for the server to answer what it answers at once. Its loop takes milliseconds; a stopped process never does.
TIMEOUT = 10.0


class UnreachableError(HostlerError):
    """Nobody answers at a control socket, or it is not clear who should."""

    exit_status = 6


class RefusedError(HostlerError):
    """The server has said no.

    Args:
        status: the status code.
        message: why, in one line.
        details: more of it, such as a traceback.
        value: the whole answer.
    """

    def __init__(self, status: int, message: str, details: str, value: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.details = details
        self.value = value


class ControlClient:
    """One connection to a server; use as a context manager.

    Attributes:
        path: its socket.
        pid: the process that listens there; 0 where that is not known.
    """

    def __init__(self, path: Path, timeout: float = TIMEOUT) -> None:
        """Connect.

        Raises:
            UnreachableError: nobody listens there.
            PrivilegeError: this user may not connect.
        """
        self.path = path
        self._socket = _connect(path, timeout)
        self.pid = listener_pid(self._socket)
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = self._socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._socket.close()

    def get(self, path: str, query: Mapping[str, object] | None = None, *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """Ask for something; see `request`."""
        text = urlencode({name: value for name, value in (query or {}).items() if value is not None})
        return self.request("GET", f"{path}?{text}" if text else path, None, timeout)

    def post(
        self, path: str, body: Mapping[str, object] | None = None, *, timeout: float | None = TIMEOUT
    ) -> dict[str, Any]:
        """Ask for something to be done; see `request`."""
        return self.request("POST", path, body, timeout)

    def delete(self, path: str) -> dict[str, Any]:
        """Ask for something to be taken away; see `request`."""
        return self.request("DELETE", path, None, TIMEOUT)

    def request(
        self, method: str, target: str, body: Mapping[str, object] | None, timeout: float | None
    ) -> dict[str, Any]:
        """Make one request.

        Args:
            method: its method.
            target: its path and query.
            body: what becomes its JSON.
            timeout: seconds to wait for the answer; None for as long as the server lives.

        Raises:
            RefusedError: the server has refused.
            UnreachableError: there was no answer, or none that we understand.
        """
        self._socket.settimeout(timeout)
        sent = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if sent else {}
        try:
            # A server that will not have us says so and closes before it has heard what we want.
            with contextlib.suppress(BrokenPipeError):
                self._connection.request(method, target, sent or None, headers)
            answer = self._connection.getresponse()
            raw = answer.read(MAX_ANSWER)
        except TimeoutError:
            raise UnreachableError(f"the server at {self.path} did not answer within {timeout:g} s") from None
        except (OSError, http.client.HTTPException):
            raise UnreachableError(f"the server at {self.path} ended before it answered") from None
        value = _parse(raw, self.path)
        if answer.status >= 400:
            error = str(value.get("error") or value.get("message") or f"status {answer.status}")
            raise RefusedError(answer.status, error, str(value.get("details", "")), value)
        return value

    def wait_end(self, timeout: float | None) -> bool:
        """Wait until the server closes the connection; returns False when the time (seconds) is over."""
        self._socket.settimeout(timeout)
        try:
            while self._socket.recv(4096):
                continue
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


def _connect(path: Path, timeout: float) -> Socket:
    try:
        return connect(path, timeout)
    except PermissionError:
        raise PrivilegeError(
            f"this user may not use {path}; become the user that runs the server, or see control.group"
        ) from None
    except TimeoutError:
        raise UnreachableError(f"the server at {path} does not take the connection; is it stopped?") from None
    except OSError as error:
        raise UnreachableError(f"nobody answers at {path} ({error.strerror or error})") from None


def _parse(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UnreachableError(f"what answers at {path} is no Hostler, or a version that is not understood")
    return value
