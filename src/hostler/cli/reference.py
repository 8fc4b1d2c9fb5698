"""Write the reference documentation, or check it: `python -m hostler.cli.reference [--check] [DIRECTORY]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hostler.cli.command import COMMANDS, EXIT_STATUSES
from hostler.cli.help import write_options, write_overview
from hostler.compat.document import renew_table
from hostler.compat.gunicorn import document as gunicorn
from hostler.compat.uwsgi import document as uwsgi
from hostler.config.reference import write_configuration
from hostler.telemetry.openmetrics import write_reference

DIRECTORY = Path("docs/reference")
# Guides with generated tables in them.
GUIDES: Mapping[Path, Callable[[], str]] = {
    Path("docs/guides/coming-from-gunicorn.md"): gunicorn.write_table,
    Path("docs/guides/coming-from-uwsgi.md"): uwsgi.write_table,
}
WIDTH = 100


def write_pages() -> Mapping[str, str]:
    """Write every generated page, by file name."""
    return {
        "configuration.md": write_configuration(),
        "cli.md": write_cli(),
        "exit-statuses.md": write_statuses(),
        "metrics.md": write_reference(),
    }


def write_cli() -> str:
    """Write the page on commands and flags."""
    pipe = "\\|"  # a bare one would end the cell, even inside code
    rows = "\n".join(f"| `hostler {entry.usage.replace('|', pipe)}` | {entry.summary} |" for entry in COMMANDS.values())
    return (
        "# Command line reference\n\nGenerated (`make docs`); do not edit. Options are explained in "
        "[the configuration reference](configuration.md), exit statuses in [their own](exit-statuses.md).\n\n"
        f"| command | what it does |\n|---|---|\n{rows}\n\n"
        f"## hostler --help\n\n```text\n{write_overview()}```\n\n"
        f"## hostler help options\n\n```text\n{write_options('run', show_all=True, width=WIDTH)}```\n"
    )


def write_statuses() -> str:
    """Write the page on exit statuses."""
    rows = "\n".join(f"| {status} | {meaning} |" for status, meaning in EXIT_STATUSES.items())
    return f"# Exit statuses\n\nGenerated (`make docs`); do not edit.\n\n| status | meaning |\n|---|---|\n{rows}\n"


def main(arguments: Sequence[str]) -> int:
    """Write the pages; with `--check` compare them instead, and fail if one is out of date."""
    paths = [argument for argument in arguments if argument != "--check"]
    directory = Path(paths[0]) if paths else DIRECTORY
    stale = []
    pages = {directory / name: text for name, text in write_pages().items()}
    if not paths:
        for guide, write_table in GUIDES.items():
            pages[guide] = renew_table(guide.read_text(encoding="utf-8"), write_table())
    for path, text in pages.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            stale.append(str(path))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is out of date: run python -m hostler.cli.reference", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
