"""Run one application under fastwsgi: `python -m bench.launch.fastwsgi MODULE:ATTRIBUTE PORT`."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def main() -> None:
    """Serve until a signal ends the process."""
    module, _, attribute = sys.argv[1].partition(":")
    # Looked up by name: the package exists only in the peers' environment.
    package: Any = importlib.import_module("fastwsgi")
    package.run(getattr(importlib.import_module(module), attribute), "127.0.0.1", int(sys.argv[2]))


if __name__ == "__main__":
    main()
