"""The examples of the guide are what the commands above them print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import hostler
from hostler.cli.main import main
from hostler.generate import KINDS

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "generate.md"
EXAMPLE = re.compile(r"^```\nhostler (generate [^\n]*)\n```\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_examples_are_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    directory = tmp_path / "shop"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("DATABASE_URL", "anything")
    for name in ("PORT", "WEB_CONCURRENCY", "HOSTLER_ENV", "HOSTLER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    configuration = text.partition("```toml\n")[2].partition("```")[0]
    (directory / "hostler.toml").write_text(configuration, encoding="utf-8")
    (directory / "requirements.txt").write_text("starlette\n", encoding="utf-8")
    examples = EXAMPLE.findall(text)
    assert [shlex.split(command)[1] for command, _ in examples] == list(KINDS)
    for command, expected in examples:
        assert main(shlex.split(command)) == 0
        printed = capsys.readouterr().out
        assert re.sub(r"hostler==\S+", "hostler==X", expected) == printed.replace(
            f"hostler=={hostler.__version__}", "hostler==X"
        ), f"renew what stands under: hostler {command}"
