"""`hostler import FILE`: write a hostler.toml from the configuration of another server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hostler.compat.document import Imported
from hostler.config.parser import Parser
from hostler.errors import ConfigurationError

# The endings of uWSGI's files; everything else is Gunicorn's, or has its command line in it.
UWSGI_SUFFIXES = frozenset({".ini", ".xml", ".yaml", ".yml", ".json", ".js"})


def execute(arguments: Sequence[str]) -> int:
    """Print the file, or write it to `--output`; the report goes to standard error."""
    parser = Parser(
        prog="hostler import",
        description="Write a hostler.toml from gunicorn.conf.py (which is run), from a Gunicorn command line in a "
        "Procfile, systemd unit, Dockerfile or script, or from a uWSGI configuration (.ini, .xml, .yaml, .json; with "
        "a section as in app.ini:staging). A report of every setting goes to standard error.",
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


def import_file(path: Path) -> Imported:
    """Import a file of the server whose it is, by its ending.

    Raises:
        ConfigurationError: it cannot be read, or its values cannot be.
    """
    suffix = Path(path.name.partition(":")[0]).suffix
    if suffix in UWSGI_SUFFIXES and not _is_compose(path):
        from hostler.compat.uwsgi.document import import_file as import_uwsgi  # the one that is needed

        return import_uwsgi(path)
    from hostler.compat.gunicorn.document import import_file as import_gunicorn

    return import_gunicorn(path)


def _is_compose(path: Path) -> bool:
    """Tell whether a YAML file is one of Compose, which may have a command line of Gunicorn in it."""
    return path.name.startswith(("docker-compose", "compose"))


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
