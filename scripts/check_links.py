"""Checks that the links between the repository's Markdown files lead to files and headings that exist.

Usage: check_links.py

Links to other sites are not followed: the check needs no network.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:")


def list_documents(root: Path) -> list[Path]:
    """List the Markdown files that belong to the project."""
    folders = ("docs", "examples", "bench", "tests")
    nested = [path for folder in folders for path in (root / folder).rglob("*.md")]
    return sorted([*root.glob("*.md"), *nested])


def build_anchors(text: str) -> frozenset[str]:
    """Derive the anchors of a document's headings by the rule that GitHub uses."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings)
    return frozenset(heading.strip().lower().replace(" ", "-") for heading in plain)


def find_broken(document: Path) -> Iterator[str]:
    """Yield a line for each link of a document that leads nowhere."""
    text = document.read_text()
    for target in _LINK.findall(_CODE.sub("", _FENCE.sub("", text))):
        if _ELSEWHERE.match(target):
            continue
        name, _, anchor = target.partition("#")
        path = document if not name else document.parent / name
        if not path.exists():
            yield f"{document}: {target} does not exist"
        elif anchor and path.suffix == ".md" and anchor not in build_anchors(path.read_text()):
            yield f"{document}: {target}: no such heading"


def main() -> int:
    """Check every document; return the exit status."""
    broken = [line for document in list_documents(ROOT) for line in find_broken(document)]
    for line in broken:
        print(line)
    print(f"links of the documentation: {len(broken)} broken" if broken else "links of the documentation: good")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
