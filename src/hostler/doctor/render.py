"""Findings as text for people and as JSON for machines. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from hostler.doctor.model import Finding, Level

# Mark, the same in ASCII, and colour (SGR) of each level.
_MARKS: dict[Level, tuple[str, str, str]] = {
    "fine": ("✓", "+", "32"),
    "note": ("·", "-", "2"),
    "warning": ("!", "!", "33"),
    "fault": ("✗", "x", "1;31"),
}
_INDENT = " " * 17


class Renderer:
    """Writes findings as lines.

    Args:
        width: the columns of the terminal.
        is_coloured: whether colours are understood.
        is_plain: whether only ASCII can be shown.
    """

    def __init__(self, *, width: int, is_coloured: bool, is_plain: bool) -> None:
        self._width = max(60, min(width, 120))
        self._is_coloured = is_coloured
        self._is_plain = is_plain

    def write_heading(self, page: str) -> str:
        """Write what is being looked at."""
        return f"\n  {self._paint(page, '1')}\n"

    def write(self, finding: Finding) -> str:
        """Write one finding."""
        mark, plain, colour = _MARKS[finding.level]
        shown = self._paint(plain if self._is_plain else mark, colour)
        text = finding.found
        lines = textwrap.wrap(text, self._width - len(_INDENT), break_long_words=False, break_on_hyphens=False) or [""]
        if finding.level == "fault":
            lines = [self._paint(line, "1") for line in lines]
        head = f"  {shown} {finding.step:<13}{lines[0]}"
        rest = [f"{_INDENT}{line}" for line in lines[1:]]
        if finding.where and finding.level != "fine":
            rest.append(f"{_INDENT}{self._paint(finding.where, '2')}")
        if finding.details:
            rest += ["", *self._fold(finding.details)]
        if finding.remedies:
            rest += ["", *(f"{_INDENT}  {self._paint(line, '36')}" for line in finding.remedies)]
        if finding.details or finding.remedies:
            rest.append("")
        return "\n".join([head, *rest])

    def write_summary(self, findings: Sequence[Finding]) -> str:
        """Write the outcome."""
        faults = [each for each in findings if each.level == "fault"]
        warnings = sum(each.level == "warning" for each in findings)
        others = f", {warnings} warning{'s' if warnings != 1 else ''}" if warnings else ""
        if not faults:
            return f"\n  {self._paint(f'The page comes{others}.', '32')}\n"
        first = faults[0]
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}{others}"
        text = f"{count}. Begin with the first: {first.step}."
        return f"\n  {self._paint(text, '1;31')}\n"

    def _fold(self, details: str) -> Iterator[str]:
        for line in details.splitlines():
            # The block's own indentation stays.
            inside = line[: len(line) - len(line.lstrip())]
            indent = f"{_INDENT}  {inside}"
            folded = textwrap.wrap(
                line.strip(), max(40, self._width - len(indent)), break_long_words=False, break_on_hyphens=False
            )
            yield from (f"{indent}{'  ' if number else ''}{part}" for number, part in enumerate(folded))

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._is_coloured else text


def write_json(page: str, findings: Sequence[Finding]) -> str:
    """Write one object: the page, whether it comes, and all findings."""
    document = {
        "page": page,
        "is_healthy": is_healthy(findings),
        "findings": [asdict(each) for each in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing keeps the page away."""
    return all(each.level != "fault" for each in findings)
