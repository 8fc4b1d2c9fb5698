"""Files that exist in memory only, for processes that inherit them."""

from __future__ import annotations

import os
import tempfile


def open_memory_file(name: str) -> int:
    """Make an empty file without a path that children inherit and programs they start do not; give its descriptor.

    Args:
        name: what it is called in `/proc`.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    with tempfile.TemporaryFile(prefix=name) as file:
        return os.dup(file.fileno())
