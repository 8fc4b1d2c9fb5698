"""The listeners of one server over all its reloads: opened when first wanted, closed when no generation wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hostler.contracts import Listener
from hostler.errors import HostlerError
from hostler.system.address import (
    PROTOCOLS,
    TLS_SCHEME,
    Address,
    InheritedAddress,
    Speech,
    TcpAddress,
    parse_addresses,
)
from hostler.system.backlog import ListenQueue, name_queue
from hostler.system.bequest import LeftSocket
from hostler.system.process import close_descriptors
from hostler.system.sockets import BoundSocket, adopt, bind, close
from hostler.system.systemd import PassedSockets

# The slot of listeners that all workers share.
SHARED = 0
# The slot of listeners that are not for workers.
ASIDE = -1
Key = tuple[Address, int]


class ListenerPool:
    """Holds every listener, so that connections wait in the kernel's queue while workers come and go.

    With `reuse_port`, each worker slot has sockets of its own. They belong to the slot and not to the worker, so the
    queue of a worker that ends is served by its successor.
    """

    def __init__(self, passed: PassedSockets, *, reuse_port: bool, left: Iterable[LeftSocket] = ()) -> None:
        """Start without listeners.

        Args:
            passed: sockets that the service manager has opened.
            reuse_port: give each worker slot sockets of its own.
            left: listeners of the supervisor that has started us in an upgrade.
        """
        self._passed = passed
        self._reuse_port = reuse_port
        self._bound: dict[Key, BoundSocket] = {}
        # Socket files among them are the other's until `take_over`.
        self._left = {(each.address, each.slot): each for each in left}
        self._borrowed: dict[Key, LeftSocket] = {}

    def resolve(self, texts: Iterable[str]) -> tuple[Address, ...]:
        """Parse the configured addresses; sockets handed over by systemd take their place, unless they name some.

        Raises:
            ConfigurationError: an address is malformed.
        """
        addresses = parse_addresses(list(texts))
        if not self._passed.descriptors or any(isinstance(each, InheritedAddress) for each in addresses):
            return addresses
        return tuple(
            InheritedAddress(fd, speech=speech)
            for fd, speech in zip(
                self._passed.descriptors, _spread(addresses, len(self._passed.descriptors)), strict=True
            )
        )

    def open(self, addresses: Iterable[Address], slots: int, backlog: int) -> None:
        """Open what is not open yet, all of it or nothing.

        Args:
            addresses: where to listen.
            slots: how many workers there will be.
            backlog: length of the kernel's queue, for new listeners.

        Raises:
            HostlerError: an address cannot be had.
        """
        opened: list[Key] = []
        try:
            for key in self._keys(addresses, range(1, slots + 1)):
                if key not in self._bound:
                    self._bound[key] = self._bind(key, backlog)
                    opened.append(key)
                self._bound[key] = _speaking(self._bound[key], key[0].speech)
        except HostlerError:
            self._close(opened)
            raise

    def listeners(self, addresses: Iterable[Address], slot: int, backlog: int) -> tuple[Listener, ...]:
        """Return the listeners of one worker slot, opening its own where need be.

        Raises:
            HostlerError: an address cannot be had.
        """
        keys = list(self._keys(addresses, (slot,)))
        for key in keys:
            if key not in self._bound:
                self._bound[key] = self._bind(key, backlog)
            self._bound[key] = _speaking(self._bound[key], key[0].speech)
        return tuple(self._bound[key].listener for key in keys)

    def open_aside(self, addresses: Iterable[Address], backlog: int) -> tuple[Listener, ...]:
        """Return listeners that are not for workers, opening them where need be; all of it or nothing.

        Raises:
            HostlerError: an address cannot be had.
        """
        keys = [(address, ASIDE) for address in addresses]
        opened: list[Key] = []
        try:
            for key in keys:
                if key not in self._bound:
                    self._bound[key] = self._bind(key, backlog)
                    opened.append(key)
        except HostlerError:
            self._close(opened)
            raise
        return tuple(self._bound[key].listener for key in keys)

    def keep(self, addresses: Iterable[Address], slots: int, aside: Iterable[Address] = ()) -> None:
        """Close all but these, and those that we were started with, which an upgrade passes on."""
        kept = {*self._keys(addresses, range(1, slots + 1)), *((address, ASIDE) for address in aside)}
        self._close([key for key in self._bound if key not in kept and not isinstance(key[0], InheritedAddress)])

    def vacate(self, slot: int) -> None:
        """Close the sockets that only this slot had: nobody would serve their queue."""
        self._close([key for key in self._bound if key[1] == slot])

    def leave(self) -> tuple[LeftSocket, ...]:
        """Describe what a new supervisor inherits; what the service manager has opened it knows from there."""
        return tuple(
            LeftSocket(bound.listener.fd, str(address), slot, str(bound.path or ""), bound.inode)
            for (address, slot), bound in self._bound.items()
        )

    def take_over(self) -> None:
        """Own what was left to us, socket files included, and close what nobody wants any more."""
        for key, left in self._borrowed.items():
            if key in self._bound and left.path:
                self._bound[key] = replace(self._bound[key], path=Path(left.path), inode=left.inode)
        self._borrowed = {}
        for left in self._left.values():
            close(_adopt_left(left))
        self._left = {}

    def hand_over(self) -> None:
        """Close everything but let socket files be: they are the new supervisor's."""
        close_descriptors(bound.listener.fd for bound in self._bound.values())
        self._bound = {}

    def close(self) -> None:
        """Close everything, and remove the socket files that are still ours."""
        self._close(list(self._bound))

    def open_listeners(self) -> list[Listener]:
        """Return the open listeners of workers."""
        return [bound.listener for (_, slot), bound in self._bound.items() if slot != ASIDE]

    def descriptors(self) -> list[int]:
        """Return the descriptors of all open listeners."""
        left = [each.fd for each in self._left.values()]
        return [bound.listener.fd for bound in self._bound.values()] + left

    def addresses(self) -> list[str]:
        """Return what is open, for people, each address once."""
        return list(dict.fromkeys(_describe(bound.listener) for bound in self._for_workers()))

    def queues(self) -> list[ListenQueue]:
        """Return the names of the workers' listeners, for who looks at how many connections wait."""
        return [name_queue(bound.listener) for bound in self._for_workers()]

    def _for_workers(self) -> Iterator[BoundSocket]:
        return (bound for (_, slot), bound in self._bound.items() if slot != ASIDE)

    def _keys(self, addresses: Iterable[Address], slots: Iterable[int]) -> Iterable[Key]:
        wanted = list(slots)
        for address in addresses:
            if self._reuse_port and isinstance(address, TcpAddress):
                yield from ((address, slot) for slot in wanted)
            else:
                yield (address, SHARED)

    def _bind(self, key: Key, backlog: int) -> BoundSocket:
        address, slot = key
        left = self._left.pop((str(address), slot), None)
        if left is not None:
            self._borrowed[key] = left
            return replace(adopt(left.fd, str(address)), path=None)
        if isinstance(address, TcpAddress) and address.port == 0 and slot > SHARED:
            # The kernel has chosen a port for the first slot; the others join it.
            for (other, _), bound in self._bound.items():
                if other == address:
                    address = replace(address, port=bound.listener.port)
                    break
        return bind(address, backlog=backlog, reuse_port=slot > SHARED, inherited=self._passed.by_name)

    def _close(self, keys: Iterable[Key]) -> None:
        for key in keys:
            close(self._bound.pop(key))


def _adopt_left(left: LeftSocket) -> BoundSocket:
    bound = adopt(left.fd, left.address)
    return replace(bound, path=Path(left.path), inode=left.inode) if left.path else bound


def _spread(addresses: Sequence[Address], count: int) -> list[Speech]:
    """Say what is spoken at sockets that were handed over in place of these addresses: by order, if that is clear."""
    if len(addresses) == count:
        return [each.speech for each in addresses]
    return [addresses[0].speech] * count


def _speaking(bound: BoundSocket, speech: Speech) -> BoundSocket:
    """Give a socket what is to be spoken there, which a reload may have changed."""
    listener = bound.listener
    scheme, separator, place = listener.address.partition("://")
    is_url = bool(separator) and scheme in (*PROTOCOLS, TLS_SCHEME)
    return replace(
        bound,
        listener=replace(
            listener,
            address=f"{speech.scheme}://{place}" if is_url else listener.address,
            protocol=speech.protocol,
            proxy_protocol=speech.proxy_protocol,
        ),
    )


def _describe(listener: Listener) -> str:
    notes: list[str] = []
    if listener.protocol != "http" and "://" not in listener.address:
        notes.append(listener.protocol)
    if listener.proxy_protocol:
        notes.append("PROXY protocol")
    return f"{listener.address} ({', '.join(notes)})" if notes else listener.address
