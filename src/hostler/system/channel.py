"""Messages between processes: JSON lines over pipes, and JSON with descriptors over a socket pair."""

from __future__ import annotations

import array
import json
import os
import select
import socket
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

_CHUNK = 65_536
# SCM_MAX_FD of the Linux kernel.
MAX_DESCRIPTORS = 253


class MessageReader:
    """The supervisor's end of a status pipe; never blocks."""

    def __init__(self, fd: int) -> None:
        """Take over `fd`, which becomes non-blocking."""
        self.fd = fd
        self.is_closed = False
        self._pending = b""
        os.set_blocking(fd, False)

    def receive(self) -> list[Message]:
        """Return the complete messages that have arrived; sets `is_closed` at end of file.

        A line that is not a JSON object is dropped: the sender may be application code that found the descriptor.
        """
        while not self.is_closed:
            try:
                data = os.read(self.fd, _CHUNK)
            except BlockingIOError:
                break
            self.is_closed = data == b""
            self._pending += data
        *lines, self._pending = self._pending.split(b"\n")
        return [message for line in lines if (message := _parse_message(line)) is not None]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.fd)


def _parse_message(line: bytes) -> Message | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def send_message(fd: int, message: Message) -> bool:
    """Write one message to a status pipe, blocking until it is written.

    Returns:
        False when the reader is gone.
    """
    data = json.dumps(message).encode() + b"\n"
    try:
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        return False
    return True


def send_promptly(fd: int, message: Message) -> bool:
    """Write one message to a pipe whole, or not at all.

    Returns:
        False when there is no room for it, or the reader is gone.
    """
    data = json.dumps(message).encode() + b"\n"
    # POSIX write(2): up to so many bytes go in whole or not at all, where the pipe does not block.
    if len(data) > select.PIPE_BUF:
        return False
    os.set_blocking(fd, False)
    try:
        return os.write(fd, data) == len(data)
    except (BlockingIOError, BrokenPipeError):
        return False


def open_pipe() -> tuple[int, int]:
    """Return the read and the write end of a new pipe, both closed on exec."""
    return os.pipe()


def write_byte(fd: int, value: int) -> None:
    """Write one byte to a pipe."""
    os.write(fd, bytes((value,)))


def open_control_pair() -> tuple[int, int]:
    """Return two connected descriptors for `send_with_descriptors`: ours and the child's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours.detach(), theirs.detach()


def open_record_pair() -> tuple[int, int]:
    """Return the read and the write end of a socket that keeps what is written apart; neither blocks."""
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader.setblocking(False)
    writer.setblocking(False)
    return reader.detach(), writer.detach()


def send_with_descriptors(fd: int, message: Message, descriptors: Sequence[int]) -> bool:
    """Send one message with descriptors, which stay open here.

    Returns:
        False when the other side is gone or does not keep up.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd)
    rights = array.array("i", descriptors)
    try:
        sock.sendmsg([json.dumps(message).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    except (BrokenPipeError, ConnectionError, BlockingIOError):
        return False
    finally:
        sock.detach()
    return True


def receive_with_descriptors(fd: int) -> tuple[Message, list[int]] | None:
    """Wait for one message with its descriptors, which are ours from now on and closed on exec.

    Returns:
        The message and descriptors, or None when the sender is gone.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd)
    try:
        data, descriptors, _, _ = socket.recv_fds(sock, _CHUNK, MAX_DESCRIPTORS)
    except ConnectionError:
        return None
    finally:
        sock.detach()
    for each in descriptors:
        os.set_inheritable(each, False)
    message = _parse_message(data)
    return None if message is None else (message, list(descriptors))
