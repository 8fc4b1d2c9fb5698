"""Links between documents are checked, headings included."""

from pathlib import Path

import pytest

from scripts.check_links import build_anchors, find_broken


@pytest.fixture
def document(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text("# Signals & what they do\n\n```\n# not a heading\n```\n## `fd://` sockets\n")
    return tmp_path / "index.md"


@pytest.mark.parametrize(
    "text",
    [
        "[other](other.md)",
        "[part](other.md#signals--what-they-do)",
        '[titled](other.md "a title")',
        "# Here\n[self](#here)",
        "[site](https://example.org/none)",
        "`[code](none.md)`",
        "```\n[fenced](none.md)\n```",
    ],
)
def test_good_links_pass(document: Path, text: str) -> None:
    document.write_text(text)
    assert list(find_broken(document)) == []


@pytest.mark.parametrize("text", ["[x](none.md)", "[x](other.md#not-a-heading)", "[x](#nowhere)", "![image](none.png)"])
def test_broken_links_are_named(document: Path, text: str) -> None:
    document.write_text(text)
    (line,) = find_broken(document)
    assert text.partition("(")[2].rstrip(")") in line


def test_anchors_follow_the_rule_of_the_forge() -> None:
    assert build_anchors("## A `fd://` and [link](x.md), twice\n") == {"a-fd-and-link-twice"}
