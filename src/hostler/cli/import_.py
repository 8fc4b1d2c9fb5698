"""`hostler import FILE`: write a hostler.toml from the configuration of another server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hostler.compat.gunicorn.document import import_file
from hostler.config.parser import Parser
from hostler.errors import ConfigurationError


def execute(arguments: Sequence[str]) -> int:
    """Print the file, or write it to `--output`; the report goes to standard error."""
    parser = Parser(
        prog="hostler import",
        description="Write a hostler.toml from gunicorn.conf.py (which is run), or from a Gunicorn command line in a "
        "Procfile, systemd unit, Dockerfile or script. A report of every setting goes to standard error.",
    )
    parser.add_argument("file", metavar="FILE", help="the file to read")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file, which must not exist")
    parsed = parser.parse(arguments)
    imported = import_file(Path(parsed.file))
    if parsed.output:
        write_new(Path(parsed.output), imported.toml)
    else:
        print(imported.toml, end="")
    for line in imported.report:
        print(line, file=sys.stderr)
    return 0


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet.

    Raises:
        ConfigurationError: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists; remove it, or name another with --output") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
