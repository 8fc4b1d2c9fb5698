"""The server of the control socket: many clients in one thread that has better things to do; nothing here blocks.

Theory: whoever runs the loop asks what to wait for (`watched`, `deadline`) and gives a turn. In a turn each client's
bytes are read once, a bounded number of calls are made, and what sockets take is written. A call is answered at once or
later; until then its client is not read from, only its going away is noticed. Every client has a deadline: for the head
of a request, for taking an answer, for idling. When there is no room for one more, who has idled longest leaves.

Invariants: at most MAX_CLIENTS descriptors beside the listener; what a client makes us hold is bounded by the parser's
limits and the size of one answer; no client but one whose call is pending has no deadline.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from hostler.control.answer import Answer, refuse, write_answer
from hostler.control.request import Request, RequestError, RequestParser
from hostler.system.local_socket import LocalConnection, LocalListener, Peer

if TYPE_CHECKING:
    from hostler.control.operation import Operation

# Bounds, arbitrary: a few people, a monitoring agent and a `top` each are far below them.
MAX_CLIENTS = 32
MAX_ACCEPTS_PER_TURN = 16
MAX_CALLS_PER_TURN = 8
CHUNK = 16_384
# Seconds for the rest of a request once it has begun, and for a client to take some of its answer.
HEAD_TIMEOUT = 5.0
WRITE_TIMEOUT = 5.0
# Seconds between two requests; longer than `top` pauses.
IDLE_TIMEOUT = 60.0


class Clock(Protocol):
    """A monotonic clock."""

    def now(self) -> float:
        """Return seconds since an arbitrary point."""


class Call:
    """A request that waits for its answer.

    Attributes:
        operation: what was asked for.
        arguments: the values of its parameters.
        who: who has asked, for the log.
    """

    def __init__(
        self, operation: Operation, arguments: Mapping[str, Any], who: str, send: Callable[[Answer], None]
    ) -> None:
        """Begin without an answer."""
        self.operation = operation
        self.arguments = arguments
        self.who = who
        self._send: Callable[[Answer], None] | None = send

    @property
    def is_open(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self._send is not None

    def answer(self, value: Mapping[str, Any]) -> None:
        """Answer; does nothing when nobody waits any more."""
        self._finish(Answer(self.operation.status, value))

    def refuse(self, status: int, message: str, details: str = "", *, outcome: str = "") -> None:
        """Say why it was not done; does nothing when nobody waits any more."""
        self._finish(refuse(status, message, details, outcome=outcome))

    def abandon(self) -> None:
        """Note that nobody waits any more."""
        self._send = None

    def _finish(self, answer: Answer) -> None:
        send, self._send = self._send, None
        if send is not None:
            send(answer)


Handler = Callable[[Call], None]


class Stage(Enum):
    """What a client is waited for."""

    IDLE = "idle"
    SENDING = "sending"  # a request
    CALLING = "calling"  # nothing: it waits for us
    TAKING = "taking"  # an answer


class _Client:
    """One connection."""

    def __init__(self, connection: LocalConnection, peer: Peer | None, deadline: float) -> None:
        self.connection = connection
        self.who = f"user {peer.uid} (pid {peer.pid})" if peer is not None else "a local user"
        self.parser = RequestParser()
        self.stage = Stage.IDLE
        self.deadline: float | None = deadline
        self.call: Call | None = None
        self.out = bytearray()
        self.is_last = False

    @property
    def fd(self) -> int:
        return self.connection.fd

    def events(self) -> int:
        """Return what to wait for; that the other side is gone is always told."""
        match self.stage:
            case Stage.IDLE | Stage.SENDING:
                return select.POLLIN
            case Stage.TAKING:
                return select.POLLOUT
        return 0


class ControlServer:
    """Serves one listener."""

    def __init__(
        self,
        listener: LocalListener,
        handlers: Mapping[str, Handler],
        clock: Clock,
        is_allowed: Callable[[Peer], bool],
    ) -> None:
        """Take over the listener.

        Args:
            listener: where clients come from.
            handlers: what does each operation, by name.
            clock: tells the time.
            is_allowed: says who may ask for anything.
        """
        self._listener = listener
        self._handlers = handlers
        self._clock = clock
        self._is_allowed = is_allowed
        self._clients: dict[int, _Client] = {}

    def watched(self) -> Iterable[tuple[int, int]]:
        """Return what to wait for, as descriptors and events of `select.poll`."""
        yield self._listener.fd, select.POLLIN
        for client in self._clients.values():
            yield client.fd, client.events()

    def descriptors(self) -> list[int]:
        """Return all descriptors, for a child that has no business with them."""
        return [self._listener.fd, *self._clients]

    def deadline(self) -> float | None:
        """Return the point in time at which a turn is due in any case, or None."""
        now = self._clock.now()
        points = [now if self._is_due(each) else each.deadline for each in self._clients.values()]
        return min((point for point in points if point is not None), default=None)

    def turn(self, ready: Mapping[int, int]) -> None:
        """Do what there is to do; `ready` has the events that came, by descriptor."""
        for fd, client in list(self._clients.items()):
            if fd in ready:
                self._move(client, ready[fd])
        self._make_calls()
        if self._listener.fd in ready:
            self._accept()
        self._enforce_deadlines()

    def close(self) -> None:
        """Drop all clients and remove the socket file."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._listener.close()

    # Clients come and go.

    def _accept(self) -> None:
        for _ in range(MAX_ACCEPTS_PER_TURN):
            connection = self._listener.accept()
            if connection is None:
                return
            if len(self._clients) >= MAX_CLIENTS and not self._make_room():
                self._dismiss(connection, refuse(503, f"{MAX_CLIENTS} clients are connected; try again"))
                continue
            peer = connection.peer()
            if peer is not None and not self._is_allowed(peer):
                self._dismiss(connection, refuse(403, f"user {peer.uid} may not control this server"))
                continue
            self._clients[connection.fd] = _Client(connection, peer, self._clock.now() + HEAD_TIMEOUT)

    def _make_room(self) -> bool:
        """Let go of the client that has idled longest; returns whether there was one."""
        idle = [each for each in self._clients.values() if each.stage is Stage.IDLE]
        if not idle:
            return False
        self._drop(min(idle, key=lambda each: each.deadline or 0.0))
        return True

    def _dismiss(self, connection: LocalConnection, answer: Answer) -> None:
        """Refuse a client who has said nothing yet; a fresh socket takes that much at once."""
        connection.send(write_answer(answer, is_last=True))
        connection.close()

    def _drop(self, client: _Client) -> None:
        if self._clients.get(client.fd) is not client:
            return
        del self._clients[client.fd]
        if client.call is not None:
            client.call.abandon()
        client.connection.close()

    def _enforce_deadlines(self) -> None:
        now = self._clock.now()
        for client in list(self._clients.values()):
            if client.deadline is not None and now >= client.deadline and not self._is_due(client):
                self._drop(client)

    # What one client does.

    def _move(self, client: _Client, events: int) -> None:
        if client.stage is Stage.TAKING and events & select.POLLOUT:
            self._flush(client)
        elif client.stage in (Stage.IDLE, Stage.SENDING) and events & select.POLLIN:
            self._read(client)
        elif events & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            self._drop(client)

    def _read(self, client: _Client) -> None:
        data = client.connection.receive(CHUNK)
        if data == b"":
            self._drop(client)
        elif data is not None:
            client.parser.feed(data)
            if client.stage is Stage.IDLE:
                client.stage = Stage.SENDING
                client.deadline = self._clock.now() + HEAD_TIMEOUT

    @staticmethod
    def _is_due(client: _Client) -> bool:
        """Whether what has arrived may be a request that nobody has looked at."""
        return client.stage is Stage.SENDING and client.parser.is_fresh

    def _make_calls(self) -> None:
        """Look at what has arrived, of a bounded number of clients; who had a turn is last in the next one."""
        due = [client for client in self._clients.values() if self._is_due(client)]
        for client in due[:MAX_CALLS_PER_TURN]:
            self._clients[client.fd] = self._clients.pop(client.fd)
            self._look(client)

    def _look(self, client: _Client) -> None:
        try:
            request = client.parser.next_request()
            if request is not None:
                self._call(client, request)
        except RequestError as error:
            # Where a body or another request begins is not certain any more.
            client.is_last = True
            self._send(client, refuse(error.status, error.message))

    def _call(self, client: _Client, request: Request) -> None:
        # Not before somebody asks: a server's start, and its workers' memory, can do without the table.
        from hostler.control.operation import find_operation, parse_arguments

        client.is_last = request.is_last
        operation, found = find_operation(request)
        if operation is None:
            assert isinstance(found, str)
            message = f"{request.path} has {found} only" if found else f"there is no {request.path}; see /openapi.json"
            self._send(client, refuse(405 if found else 404, message, allow=found))
            return
        assert not isinstance(found, str)
        try:
            arguments = parse_arguments(operation, request, found)
        except RequestError as error:
            self._send(client, refuse(error.status, error.message))
            return
        client.stage, client.deadline = Stage.CALLING, None
        client.call = Call(operation, arguments, client.who, lambda answer: self._send(client, answer))
        self._handlers[operation.name](client.call)

    def _send(self, client: _Client, answer: Answer) -> None:
        client.call = None
        client.out += write_answer(answer, is_last=client.is_last)
        client.stage = Stage.TAKING
        client.deadline = self._clock.now() + WRITE_TIMEOUT
        self._flush(client)

    def _flush(self, client: _Client) -> None:
        sent = client.connection.send(client.out)
        if sent < 0:
            self._drop(client)
            return
        del client.out[:sent]
        now = self._clock.now()
        if client.out:
            if sent:
                client.deadline = now + WRITE_TIMEOUT
        elif client.is_last:
            self._drop(client)
        else:
            is_idle = client.parser.is_empty
            client.stage = Stage.IDLE if is_idle else Stage.SENDING
            client.deadline = now + (IDLE_TIMEOUT if is_idle else HEAD_TIMEOUT)
