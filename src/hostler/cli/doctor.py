"""`hostler doctor [URL|PATH]`: find out why a page does not come."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hostler.cli.arguments import Arguments, load_with_application, parse_arguments
from hostler.doctor import Case, Renderer, choose_page, diagnose, is_healthy, parse_page, write_json
from hostler.telemetry.log import is_colour_wanted


def execute(arguments: Sequence[str]) -> int:
    """Look at everything on the page's way; 0 when nothing keeps it away, else 1."""
    words = list(arguments)
    asked = words.pop(0) if words and _is_page(words[0]) else ""
    parsed = parse_arguments("doctor", words)
    case = build_case(parsed, asked, words)
    page = choose_page(case)
    if parsed.namespace.json:
        findings = list(diagnose(case))
        print(write_json(str(page), findings))
        return 0 if is_healthy(findings) else 1
    renderer = Renderer(
        width=shutil.get_terminal_size().columns,
        is_coloured=is_colour_wanted(1, parsed.sources.environ),
        is_plain=not _can_write("✓·✗"),
    )
    print(renderer.write_heading(str(page)))
    findings = []
    for finding in diagnose(case):
        findings.append(finding)
        # At once: some steps take seconds.
        print(renderer.write(finding), flush=True)
    print(renderer.write_summary(findings))
    return 0 if is_healthy(findings) else 1


def _is_page(word: str) -> bool:
    """Tell a URL or a URL's path from an application; a file of that name is an application."""
    return "://" in word or (word.startswith("/") and not Path(word).is_file())


def build_case(parsed: Arguments, asked: str, words: Sequence[str]) -> Case:
    """Put together what the doctor is called to."""
    loaded, _ = load_with_application(parsed.sources)
    config = loaded.config
    rest = [word for word in words if word != "--json"]
    return Case(
        config=config,
        target=config.app.target,
        environ=parsed.sources.environ,
        page=parse_page(asked) if "://" in asked else None,
        path=asked if asked.startswith("/") else "/",
        start=shlex.join(["hostler", *rest]) + "    # or: systemctl start, if it is a service",
    )


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
