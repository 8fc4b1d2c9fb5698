"""What the completion scripts hold; that shells understand them is tested with real ones."""

from __future__ import annotations

import pytest

from hostler.cli.command import COMMANDS, WITH_OPTIONS
from hostler.cli.completion import WORDS, WRITERS, Values, describe_values, list_switches, shorten
from hostler.cli.config import ACTIONS
from hostler.cli.main import main
from hostler.config.schema import list_options

SHELLS = pytest.mark.parametrize("shell", WRITERS)


@SHELLS
def test_script_knows_every_command_and_flag(shell: str) -> None:
    script = WRITERS[shell]()
    words = set(
        script.replace("'", " ").replace('"', " ").replace(":", " ").replace("|", " ").replace(")", " ").split()
    )
    assert set(COMMANDS) <= words
    for option in list_options():
        for flag in option.flags:
            assert flag in words or (shell == "fish" and flag.lstrip("-") in words), flag


@SHELLS
def test_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == WRITERS[shell]()


def test_help_names_the_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: hostler completion bash|zsh|fish\n")


def test_words_are_those_that_commands_understand() -> None:
    assert list(WORDS["completion"]) == list(WRITERS)
    assert WORDS["config"] == ACTIONS
    assert not set(WORDS) - set(COMMANDS)
    assert not set(WITH_OPTIONS) - set(COMMANDS)


@pytest.mark.parametrize(
    "flag, values",
    [
        ("--log-level", Values(("debug", "info", "warning", "error", "critical"))),
        ("--workers", Values(("auto",))),
        ("--pid-file", Values(has_files=True)),
        ("--access-log", Values(has_files=True)),
        ("--python-path", Values(has_files=True)),
        ("--config", Values(has_files=True)),
        ("--app-target", Values(has_applications=True)),
        ("--graceful-timeout", Values()),
        ("--env", Values(has_overlays=True)),
    ],
)
def test_values_follow_from_the_declaration(flag: str, values: Values) -> None:
    (switch,) = (switch for switch in list_switches("run") if flag in switch.spellings)
    assert describe_values(switch) == values


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Where to listen: `[IPV6]`. More. [8000]", "Where to listen: `[IPV6]`"),
        ("apply the overlay [env.NAME] of the file [$HOSTLER_ENV]", "apply the overlay [env.NAME] of the file"),
        ("One; two.", "One"),
        ("word " * 20, "word word word word word word word word word word word word word ..."),
    ],
)
def test_description_is_cut_to_a_line(text: str, expected: str) -> None:
    assert shorten(text) == expected
