"""Pushing to statsd or DogStatsD."""

from __future__ import annotations

from hostler.config.schema import Metrics
from hostler.system.address import TcpAddress, parse_target
from hostler.system.datagram import DatagramSender
from hostler.telemetry.snapshot import Snapshot
from hostler.telemetry.statsd import UDP_SIZE, UNIX_SIZE, StatsdForm, StatsdWriter


class StatsdTarget:
    """Implements `pusher.Target`."""

    def __init__(self, options: Metrics) -> None:
        """Send as the options say."""
        address = parse_target(options.statsd)
        self.name = options.statsd
        self._sender = DatagramSender(address)
        self._writer = StatsdWriter(
            StatsdForm(
                prefix=options.statsd_prefix,
                has_tags=options.statsd_format == "dogstatsd",
                tags=options.statsd_tags,
                size=UDP_SIZE if isinstance(address, TcpAddress) else UNIX_SIZE,
            )
        )

    def push(self, snapshot: Snapshot) -> str:
        """Send a snapshot; see `pusher.Target`."""
        error = self._sender.send(self._writer.write(snapshot))
        return "" if error is None else error.strerror or str(error)
