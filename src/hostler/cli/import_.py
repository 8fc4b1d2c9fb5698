"""`hostler import FILE`: write a hostler.toml from the configuration of another server."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hostler.compat.command import find_words
from hostler.compat.document import Imported
from hostler.config.parser import Parser
from hostler.errors import ConfigurationError

# The endings of uWSGI's files; everything else is Gunicorn's, or has its command line in it.
UWSGI_SUFFIXES = frozenset({".ini", ".xml", ".yaml", ".yml", ".json", ".js"})


def execute(arguments: Sequence[str]) -> int:
    """Print the file, or write it to `--output`; the report goes to standard error."""
    parser = Parser(
        prog="hostler import",
        description="Write a hostler.toml from gunicorn.conf.py (which is run), from a uWSGI configuration (.ini, "
        ".xml, .yaml, .json; with a section as in app.ini:staging), or from a command line of either in a Procfile, "
        "systemd unit, Dockerfile or script. A report of every setting goes to standard error.",
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
    """Import a file of the server whose it is, by its ending, or by the command line in it.

    Raises:
        ConfigurationError: it cannot be read, or its values cannot be.
    """
    suffix = Path(path.name.partition(":")[0]).suffix
    if suffix in UWSGI_SUFFIXES and not _is_compose(path):
        from hostler.compat.uwsgi.document import import_file as import_uwsgi  # the one that is needed

        return import_uwsgi(path)
    return _import_uwsgi_command(path) or _import_gunicorn(path)


def _import_uwsgi_command(path: Path) -> Imported | None:
    """Import a command line of uWSGI; None if there is none, or one of Gunicorn's too."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if path.suffix == ".py" or find_words(text, "gunicorn") is not None:
        return None
    from hostler.compat.uwsgi.command import find_command
    from hostler.compat.uwsgi.document import import_words

    command = find_command(text)
    return import_words(command.words, path, command.remarks) if command is not None else None


def _import_gunicorn(path: Path) -> Imported:
    from hostler.compat.gunicorn.document import import_file as import_gunicorn

    return import_gunicorn(path)


def _is_compose(path: Path) -> bool:
    """Tell whether a YAML file is one of Compose, which has a command line in it."""
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
