"""The hooks of a server that nobody has asked to be told about."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.contracts import Mount


class QuietHooks:
    """Implements `contracts.ServerHooks` by doing nothing; also the base of those that want a few of them."""

    def starting(self) -> None:
        """See `ServerHooks`."""

    def reloading(self) -> None:
        """See `ServerHooks`."""

    def serving(self, addresses: Sequence[str]) -> None:
        """See `ServerHooks`."""

    def worker_started(self, slot: int, pid: int) -> None:
        """See `ServerHooks`."""

    def worker_ended(self, pid: int) -> None:
        """See `ServerHooks`."""

    def scaled(self, count: int, former: int | None) -> None:
        """See `ServerHooks`."""

    def ended(self) -> None:
        """See `ServerHooks`."""

    def upgrading(self) -> None:
        """See `ServerHooks`."""

    def worker_forking(self, slot: int) -> None:
        """See `ServerHooks`."""

    def loading(self) -> None:
        """See `ServerHooks`."""

    def mount(self, mount: Mount) -> Mount:
        """See `ServerHooks`."""
        return mount

    def worker_forked(self) -> None:
        """See `ServerHooks`."""

    def worker_loaded(self) -> None:
        """See `ServerHooks`."""

    def worker_interrupted(self) -> None:
        """See `ServerHooks`."""

    def worker_leaving(self) -> None:
        """See `ServerHooks`."""
