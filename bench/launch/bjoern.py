"""Run one application under bjoern: `python -m bench.launch.bjoern MODULE:ATTRIBUTE PORT`."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main() -> None:
    """Serve until a signal ends the process."""
    module, _, attribute = sys.argv[1].partition(":")
    # Looked up by name: the package exists only in the peers' environment.
    server: Any = importlib.import_module("bjoern")
    server.run(getattr(importlib.import_module(module), attribute), "127.0.0.1", int(sys.argv[2]))


if __name__ == "__main__":
    main()
