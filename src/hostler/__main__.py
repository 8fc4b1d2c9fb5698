"""`python -m hostler` is `hostler`."""

import sys

from hostler.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
