"""Files in memory through which workers get what changes while they run.

That is certificates and keys, which they may not read from disk themselves, and answers to challenges. A file begins
with a number, which is odd while the rest is being written, and the length of the rest. The engine looks at the number
for each new connection, or request that is concerned, and reads the rest when it has changed.
"""

from __future__ import annotations

import os
import struct

from hostler.system.memory import open_memory_file

_HEADER = "<QQ"


class Store:
    """One such file, inherited by workers."""

    def __init__(self, contents: bytes, name: str) -> None:
        """Make the file, with this in it.

        Args:
            contents: what is in it.
            name: what it is called in `/proc`.
        """
        self.fd = open_memory_file(name)
        self._number = 0
        self._contents: bytes | None = None
        self.write(contents)

    def write(self, contents: bytes) -> None:
        """Replace what is in it; nothing happens if it is the same."""
        if contents == self._contents:
            return
        offset = struct.calcsize(_HEADER)
        os.pwrite(self.fd, struct.pack(_HEADER, self._number + 1, 0), 0)
        written = 0
        while written < len(contents):
            written += os.pwrite(self.fd, contents[written:], offset + written)
        # What was longer before must not stay: it may be a key.
        os.ftruncate(self.fd, offset + len(contents))
        self._number += 2
        os.pwrite(self.fd, struct.pack(_HEADER, self._number, len(contents)), 0)
        self._contents = contents

    def close(self) -> None:
        """Close the file; workers have it still."""
        os.close(self.fd)
