"""The command line: dispatch, exit statuses, and how errors are rendered."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hostler.cli import main as program
from hostler.cli.command import COMMANDS, EXIT_STATUSES, INTERRUPTED
from hostler.cli.main import main
from hostler.cli.reference import main as write_reference
from hostler.errors import BindError, ConfigurationError, HostlerError, PrivilegeError

GOOD = "def app(environ, start_response):\n    return []\n"
Output = pytest.CaptureFixture[str]
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "WEB_CONCURRENCY", "FLASK_APP", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_version_is_one_line(capsys: Output) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"hostler \d+\.\d+\.\d+ \(engine .*; .*\)\n", capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["help"], ["--help"], ["-h"]])
def test_overview_names_every_command(capsys: Output, arguments: list[str]) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert all(entry.usage in text and entry.summary in text for entry in COMMANDS.values())
    assert max(map(len, text.splitlines())) <= 120


def test_help_on_options_lists_all_and_the_statuses(capsys: Output) -> None:
    assert main(["--help-all"]) == 0
    text = capsys.readouterr().out
    assert "--limits-header-size" in text
    assert "The application could not be found" in text


@pytest.mark.parametrize("command", ["run", "dev", "check", "config", "generate"])
def test_command_explains_itself(capsys: Output, command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    first = capsys.readouterr().out
    assert main(["help", command]) == 0
    shared = first.splitlines()[:8]
    assert capsys.readouterr().out.splitlines()[:8] == shared


@pytest.mark.parametrize(
    "arguments,status,expected",
    [
        (["chekc"], 2, 'hostler: "chekc" is no command and no application here; did you mean "hostler check"?\n'),
        (["run", "check"], 2, 'hostler: the command comes first: write "hostler check ..."\n'),
        (["help", "chekc"], 2, 'hostler: there is no help on "chekc"; did you mean check?\n'),
        (
            ["config"],
            2,
            'hostler: say what to do with the configuration: "hostler config show" or "hostler config schema"\n',
        ),
        (["config", "shwo"], 2, 'hostler: unknown action "shwo"; did you mean show?\n'),
        (["config", "schmea"], 2, 'hostler: unknown action "schmea"; did you mean schema?\n'),
        (["config", "schema", "x"], 2, 'hostler: unexpected argument "x"; "hostler config schema" takes none\n'),
        (["completion"], 2, 'hostler: say for which shell: "hostler completion SHELL"; there are bash, zsh, fish\n'),
        (["completion", "bsh"], 2, 'hostler: there is no completion for "bsh"; did you mean bash?\n'),
        (["completion", "fish", "x"], 2, 'hostler: unexpected argument "x"; write "hostler completion fish"\n'),
        (["version", "x"], 2, 'hostler: unexpected argument "x"; "hostler version" takes none\n'),
        (["--wrokers", "3"], 2, "hostler: unknown option --wrokers; did you mean --workers?\n"),
        (["a:b", "-w", "x"], 2, 'hostler: -w is "x"; it must be "auto" or a whole number from 1 to 1024\n'),
        (["check", "none:app"], 3, None),
    ],
)
def test_error_is_a_line_and_a_status(capsys: Output, arguments: list[str], status: int, expected: str | None) -> None:
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert error.startswith("hostler: ")
    assert error.count("\n") == 1
    if expected is not None:
        assert error == expected


def test_mistyped_command_is_told_even_where_the_file_is_wrong(project: Path, capsys: Output) -> None:
    (project / "hostler.toml").write_text("x = 1", encoding="utf-8")
    assert main(["chekc"]) == 2
    assert 'did you mean "hostler check"?' in capsys.readouterr().err


def test_start_with_nothing_explains_how_in_four_lines(capsys: Output, project: Path) -> None:
    assert main([]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0] == f"hostler: no application was named, and none was recognised in {project}"


def test_verbose_adds_the_traceback(capsys: Output) -> None:
    assert main(["check", "-w", "0", "--verbose"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.splitlines()[-1].startswith("hostler: -w is")


def test_each_mistake_has_its_line(project: Path, capsys: Output) -> None:
    (project / "hostler.toml").write_text("[workers]\ncount = 0\nthreads = 0\n", encoding="utf-8")
    assert main(["check"]) == 2
    assert [line.partition(" is ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "hostler: hostler.toml:2: workers.count",
        "hostler: hostler.toml:3: workers.threads",
    ]


def test_check_tells_what_it_found(project: Path, capsys: Output) -> None:
    (project / "app.py").write_text("print('noise')\n" + GOOD, encoding="utf-8")
    (project / "hostler.toml").write_text("[env.live]\n", encoding="utf-8")
    assert main(["check", "--env", "live"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"configuration  fine ({project}/hostler.toml, overlay live)",
        "application    fine (app:app: app.app, WSGI, recognised by app.py)",
    ]


def test_check_names_interfaces_mounts_and_the_loop(project: Path, capsys: Output) -> None:
    (project / "app.py").write_text(GOOD + "async def live(scope, receive, send): pass\n", encoding="utf-8")
    assert main(["check", "app:app", "--app-mounts", "/live=app:live", "--loop", "asyncio"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "configuration  fine (no file, defaults)",
        "application    fine (app:app: app.app, WSGI)",
        "mount          fine (/live is app:live: app.live, ASGI)",
        "event loop     fine (asyncio)",
    ]
    assert main(["check", "app:live", "--interface", "asgi2"]) == 3
    assert "cannot be called with the one argument of --interface asgi2" in capsys.readouterr().err


def test_check_shows_the_traceback_of_the_application(project: Path, capsys: Output) -> None:
    (project / "app.py").write_text("1 / 0\n", encoding="utf-8")
    assert main(["check", "app"]) == 3
    error = capsys.readouterr().err.splitlines()
    assert error[0] == "Traceback (most recent call last):"
    assert error[-1] == 'hostler: "app" could not be loaded: ZeroDivisionError: division by zero (app.py:1)'


def test_check_loads_with_the_configured_directory_path_and_environment(project: Path, capsys: Output) -> None:
    (project / "site").mkdir()
    (project / "site" / "lib").mkdir()
    (project / "site" / "web.py").write_text(
        "import os, extra\nassert os.environ['A'] == '1'\n" + GOOD, encoding="utf-8"
    )
    (project / "site" / "lib" / "extra.py").write_text("", encoding="utf-8")
    assert main(["check", "web:app", "--chdir", "site", "--python-path", "lib", "--app-env", "A=1"]) == 0
    assert "web:app" in capsys.readouterr().out


def test_config_show_prints_values_and_origins(project: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "hostler.toml").write_text("[workers]\n\ncount = 4\n", encoding="utf-8")
    monkeypatch.setenv("HOSTLER_LOG_LEVEL", "debug")
    assert main(["config", "show", "--threads", "2"]) == 0
    rows = {re.sub(r"\s{2,}", "  ", line) for line in capsys.readouterr().out.splitlines()}
    assert {
        "workers.count = 4  (hostler.toml:3)",
        "workers.threads = 2  (flag --threads)",
        'log.level = "debug"  (environment HOSTLER_LOG_LEVEL)',
        'http.head_timeout = "30s"  (default)',
    } <= rows


def test_config_show_tells_a_recognised_application(project: Path, capsys: Output) -> None:
    (project / "app.py").write_text(GOOD, encoding="utf-8")
    assert main(["config", "show"]) == 0
    assert re.search(r'^app\.target = "app:app" +\(recognised by app\.py\)$', capsys.readouterr().out, re.MULTILINE)


def test_config_show_as_json_is_one_object(project: Path, capsys: Output) -> None:
    (project / "hostler.toml").write_text("[env.live.workers]\ncount = 4\n", encoding="utf-8")
    assert main(["config", "show", "--json", "--env", "live"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(project / "hostler.toml")
    assert document["environment"] == "live"
    assert document["options"]["workers.count"] == {
        "value": 4,
        "source": "file",
        "where": "hostler.toml:2",
        "origin": "hostler.toml:2",
    }


def test_config_show_hides_secrets(project: Path, capsys: Output) -> None:
    (project / "secret").write_text("hunter2\n", encoding="utf-8")
    lines = ["[app.env]", 'A = { file = "secret" }', 'API_KEY = "hunter2"', 'DEBUG = "1"', "[server]"]
    (project / "hostler.toml").write_text("\n".join([*lines, 'name = { file = "secret" }']), encoding="utf-8")
    assert main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert 'app.env = { A = *** (from file secret), API_KEY = ***, DEBUG = "1" } ' in shown
    assert re.search(r"^server\.name = \*\*\* \(from file secret\) +\(hostler\.toml:6\)$", shown, re.MULTILINE)
    assert main(["config", "show", "--json"]) == 0
    options = json.loads(capsys.readouterr().out)["options"]
    assert options["app.env"]["value"] == {"A": "*** (from file secret)", "API_KEY": "***", "DEBUG": "1"}
    assert options["server.name"]["value"] == "*** (from file secret)"


def test_config_schema_is_one_object(capsys: Output) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_check_names_the_missing_variables(project: Path, capsys: Output) -> None:
    assert main(["check", "x:y", "--require", "FIRST_OF_TWO", "--require", "SECOND_OF_TWO"]) == 2
    assert capsys.readouterr().err == (
        "hostler: --require: app.require: FIRST_OF_TWO and SECOND_OF_TWO are not set, or empty; "
        "set them in the environment or in app.env\n"
    )


class Failing:
    """A command that raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def execute(self, arguments: object) -> int:
        raise self.error


@pytest.mark.parametrize(
    "error,status",
    [
        (HostlerError("x"), 1),
        (ConfigurationError("x"), 2),
        (BindError("x"), 4),
        (PrivilegeError("x"), 5),
        (KeyboardInterrupt(), INTERRUPTED),
        (RuntimeError("x"), 1),
    ],
)
def test_every_error_has_its_documented_status(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
) -> None:
    monkeypatch.setattr(program, "load_command", lambda _name: Failing(error))
    assert main(["version"]) == status
    assert status in EXIT_STATUSES


def test_defect_is_told_as_ours(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(program, "load_command", lambda _name: Failing(RuntimeError("oops")))
    main(["version"])
    assert capsys.readouterr().err == (
        "hostler: internal error: RuntimeError: oops; "
        "run again with --verbose for the traceback, and please report it\n"
    )


def test_closed_pipe_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(program, "load_command", lambda _name: Failing(BrokenPipeError()))
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert main(["version"]) == 141
    assert capsys.readouterr().err == ""


def test_committed_reference_is_up_to_date() -> None:
    assert write_reference(["--check", str(REPOSITORY / "docs" / "reference")]) == 0


def test_stale_reference_is_found_and_renewed(tmp_path: Path, capsys: Output) -> None:
    assert write_reference([str(tmp_path)]) == 0
    assert write_reference(["--check", str(tmp_path)]) == 0
    (tmp_path / "cli.md").write_text("old", encoding="utf-8")
    assert write_reference(["--check", str(tmp_path)]) == 1
    assert "cli.md is out of date" in capsys.readouterr().err
    write_reference([str(tmp_path)])
    assert write_reference(["--check", str(tmp_path)]) == 0


def test_other_commands_are_not_imported_for_the_overview(run_python: Callable[[str], str]) -> None:
    code = (
        "import sys; from hostler.cli.main import main; main(['version']);"
        "print([name for name in sys.modules if name in ('hostler.server', 'hostler.config', 'watchfiles')])"
    )
    assert run_python(code).splitlines()[-1] == "[]"


@pytest.fixture
def run_python() -> Callable[[str], str]:
    import subprocess

    def run(code: str) -> str:
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    return run
