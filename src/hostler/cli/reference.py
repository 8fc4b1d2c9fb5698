"""Write the reference documentation, or check it: `python -m hostler.cli.reference [--check] [DIRECTORY]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hostler.cli.command import COMMANDS, EXIT_STATUSES, WITH_INSTANCE
from hostler.cli.help import write_operation, write_options, write_overview
from hostler.compat.document import renew_table
from hostler.compat.gunicorn import document as gunicorn
from hostler.compat.uwsgi import document as uwsgi
from hostler.config.reference import write_configuration
from hostler.control.openapi import build_document
from hostler.control.operation import OPERATIONS, Operation, Parameter
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
        "control.md": write_control(),
        "control.openapi.json": json.dumps(build_document(), indent=2, ensure_ascii=False) + "\n",
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
        + "".join(
            f"\n## hostler {each} --help\n\n```text\n{write_operation(each, width=WIDTH)}```\n"
            for each in WITH_INSTANCE
        )
    )


def write_control() -> str:
    """Write the page on the control socket's operations."""
    head = (
        "# Control socket reference\n\nGenerated (`make docs`); do not edit. HTTP/1.1 and JSON over a unix socket; how "
        "it is\nfound, and who may use it, is in [Operating a server](../guides/operating.md). The same as an OpenAPI\n"
        "3.1 document: [control.openapi.json](control.openapi.json), which a server also gives at `/openapi.json`.\n"
    )
    return "\n".join([head, *(_write_operation(each) for each in OPERATIONS)])


def _write_operation(operation: Operation) -> str:
    parts = [f"## {operation.method} {operation.path}\n\n{operation.summary} {operation.doc}".rstrip() + "\n"]
    if operation.parameters:
        rows = "\n".join(_write_parameter(each) for each in operation.parameters)
        parts.append(f"| parameter | in | type | default | what it is |\n|---|---|---|---|---|\n{rows}\n")
    refusals = "".join(f"- {status}: {when}\n" for status, when in (operation.refusals or {}).items())
    parts.append(f"Answered with {operation.status}" + (f", or:\n\n{refusals}" if refusals else ".\n"))
    if operation.answer.get("properties"):
        parts.append("\n".join(["The answer has:\n", *_write_fields(operation.answer, "")]) + "\n")
    return "\n".join(parts)


def _write_parameter(parameter: Parameter) -> str:
    bounds = [f"{bound:g}" for bound in (parameter.minimum, parameter.maximum) if bound is not None]
    kind = f"{parameter.kind}, {' to '.join(bounds)}" if bounds else parameter.kind
    default = "" if parameter.default is None else f"`{json.dumps(parameter.default)}`"
    return f"| `{parameter.name}` | {parameter.place} | {kind} | {default} | {parameter.doc} |"


def _write_fields(schema: Mapping[str, Any], indent: str) -> Iterator[str]:
    """Write the fields of an answer as a list, those of an object within it below it."""
    for name, field in schema.get("properties", {}).items():
        text = f": {field['description']}" if "description" in field else ""
        yield f"{indent}- `{name}`{text}"
        for inner in (field, field.get("items", {}), *field.get("oneOf", ())):
            yield from _write_fields(inner, f"{indent}  ")


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
