"""Requests to a fork server: what to fork, with the descriptors that the new child needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hostler.contracts import Listener
from hostler.system.channel import Message, receive_with_descriptors, send_with_descriptors

# Order of the descriptors in a request: status pipe, lifeline, one for each listener, and where there are any those of
# the scoreboard and of the report.
_FIXED = 2


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """A child to be forked; see `contracts.ChildContext` for the fields."""

    role: str
    slot: int
    status_fd: int
    lifeline_fd: int
    listeners: tuple[Listener, ...] = ()
    board_fd: int = -1
    board_offset: int = 0
    report_fd: int = -1


def send_fork_request(control_fd: int, request: ForkRequest) -> bool:
    """Send a request without waiting; its descriptors stay open here.

    Returns:
        False when the fork server is gone or does not keep up.
    """
    listeners = [asdict(each) for each in request.listeners]
    message: Message = {
        "role": request.role,
        "slot": request.slot,
        "listeners": listeners,
        "board_offset": request.board_offset,
        "has_board": request.board_fd >= 0,
        "has_report": request.report_fd >= 0,
    }
    optional = [fd for fd in (request.board_fd, request.report_fd) if fd >= 0]
    descriptors = [request.status_fd, request.lifeline_fd, *(each.fd for each in request.listeners), *optional]
    return send_with_descriptors(control_fd, message, descriptors)


def receive_fork_request(control_fd: int) -> ForkRequest | None:
    """Wait for the next request; its descriptors are ours from now on.

    Returns:
        The request, or None when the supervisor is gone.
    """
    received = receive_with_descriptors(control_fd)
    if received is None:
        return None
    message, descriptors = received
    status_fd, lifeline_fd = descriptors[:_FIXED]
    others = descriptors[_FIXED:]
    described = zip(message["listeners"], others, strict=False)
    listeners = tuple(Listener(**{**each, "fd": fd}) for each, fd in described)
    optional = iter(others[len(listeners) :])
    board_fd = next(optional) if message["has_board"] else -1
    report_fd = next(optional) if message["has_report"] else -1
    return ForkRequest(
        message["role"],
        message["slot"],
        status_fd,
        lifeline_fd,
        listeners,
        board_fd,
        message["board_offset"],
        report_fd,
    )
