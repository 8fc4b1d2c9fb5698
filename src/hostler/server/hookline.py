"""What the supervisor tells the hook runner of a generation: a pipe, written without ever waiting."""

from __future__ import annotations

import logging

from hostler.system.channel import Message, open_pipe, send_promptly
from hostler.system.process import close_descriptors


class HookLine:
    """Both ends of the pipe; the supervisor keeps the reading end, too, for a runner that is started anew."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = open_pipe()

    def tell(self, message: Message) -> None:
        """Tell something, unless the runner is far behind."""
        if not send_promptly(self.write_fd, message):
            log = logging.getLogger("hostler")
            log.warning("the hooks of %s are left out: others before them take too long", message.get("phase"))

    def close(self) -> None:
        """Close both ends, which ends the runner once it has done what it was told."""
        close_descriptors((self.read_fd, self.write_fd))
