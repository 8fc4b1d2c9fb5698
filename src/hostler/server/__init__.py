"""One server from one configuration: the composition root."""

from hostler.server.run import Companion, Options, run

__all__ = ["Companion", "Options", "run"]
