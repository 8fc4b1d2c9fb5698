"""Entry of `python -m bench`."""

import signal
import sys

from bench.cli import main

if __name__ == "__main__":
    # A polite end stops the servers as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
