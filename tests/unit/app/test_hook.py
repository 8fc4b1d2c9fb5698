"""Actions: how they are written, and how they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hostler.app.hook import Action, build_variables, parse_action, run_action
from hostler.contracts import HookEvent
from hostler.errors import ApplicationError

EVENT = HookEvent("serving", 7, reason="start", addresses=("http://a", "http://b"))


def test_commands_are_split_as_a_shell_would() -> None:
    assert parse_action("exec:a 'b c' d") == Action("exec:a 'b c' d", command=("a", "b c", "d"))
    assert parse_action("exec:+ a").is_privileged
    assert parse_action("exec:+a").command == ("a",)


def test_functions_are_named_as_applications_are() -> None:
    assert parse_action("shop.hooks:warm") == Action("shop.hooks:warm", target="shop.hooks:warm")


@pytest.mark.parametrize(
    "text, fault",
    [
        ("exec:", "needs a program"),
        ("exec:+", "needs a program"),
        ("exec:sh 'x", "No closing quotation"),
        ("shop", 'it must be "module:function"'),
        ("shop:hook()", 'it must be "module:function"'),
        ("./shop.py:hook", 'it must be "module:function"'),
        ("a b:c", "a b"),
    ],
)
def test_what_is_no_action_is_told(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_action(text)


def test_events_become_variables_without_what_does_not_apply() -> None:
    assert build_variables(EVENT) == {
        "HOOK_PHASE": "serving",
        "HOOK_SUPERVISOR_PID": "7",
        "HOOK_REASON": "start",
        "HOOK_ADDRESSES": "http://a http://b",
    }


@pytest.mark.parametrize(
    "command, fault",
    [
        ("no-such-program", "could not be run: No such file"),
        ("sh -c 'exit 4'", "exited with status 4"),
        ("sh -c 'kill -9 $$'", "was killed by SIGKILL"),
        ("sleep 60", "took longer than 0.1 s and was killed"),
    ],
)
def test_commands_that_fail_say_how(command: str, fault: str) -> None:
    with pytest.raises(ApplicationError, match=f"{fault} \\(hooks.serving\\)|{fault}"):
        run_action(parse_action(f"exec:{command}"), EVENT, 0.1 if "sleep" in command else 20)


def test_functions_are_called_with_the_event_and_fail_with_their_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hookmodule.py").write_text(
        "seen = []\nnothing = None\ndef note(event):\n    seen.append(event)\ndef fail(event):\n    1 / 0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    run_action(parse_action("hookmodule:note"), EVENT, None)
    assert sys.modules["hookmodule"].seen == [EVENT]
    with pytest.raises(ApplicationError, match='the hook "hookmodule:fail" failed: ZeroDivisionError') as caught:
        run_action(parse_action("hookmodule:fail"), EVENT, None)
    assert "1 / 0" in (caught.value.details or "")
    with pytest.raises(ApplicationError, match="cannot be called"):
        run_action(parse_action("hookmodule:nothing"), EVENT, None)
    with pytest.raises(ApplicationError, match="did you mean"):
        run_action(parse_action("hookmodule:notes"), EVENT, None)
