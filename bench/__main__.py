"""Entry of `python -m bench`."""

import sys

from bench.cli import main
from bench.command import end_politely

if __name__ == "__main__":
    end_politely()
    sys.exit(main())
