"""The configuration as a whole: files of each syntax, secrets from elsewhere, and variables that must be there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.e2e.harness import PATIENCE, RunningServer, ServerError, StartServer

# Answers with the variable that the path names.
APP = """\
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get(environ["PATH_INFO"][1:], "none").encode()]
"""
SECRET = "correct horse battery staple"
FILES = {
    "hostler.toml": '[app]\ntarget = "stable"\n[app.env]\nA = { file = "secret" }\n[env.live.workers]\ncount = 2\n',
    "hostler.yaml": "app:\n  target: stable\n  env: {A: {file: secret}}\nenv:\n  live:\n    workers: {count: 2}\n",
    "hostler.json": json.dumps(
        {
            "app": {"target": "stable", "env": {"A": {"file": "secret"}}},
            "env": {"live": {"workers": {"count": 2}}},
        }
    ),
    "hostler.ini": "[app]\ntarget = stable\n[app.env]\nA = @file:secret\n[env.live.workers]\ncount = 2\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "stable.py").write_text(APP)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return tmp_path


def reload_server(server: RunningServer, answer: str) -> None:
    """Order a reload, and wait until the service manager is told the n-th time of how it ended."""
    count = server.notifications.text.count("READY=1") + 1
    server.signal(signal.SIGHUP)
    server.notifications.wait_for("READY=1", count=count)
    server.stderr.wait_for(answer)


@pytest.mark.parametrize("name", FILES)
def test_file_of_each_syntax_is_served(hostler_server: StartServer, project: Path, name: str) -> None:
    (project / name).write_text(FILES[name])
    server = hostler_server(None, "--env", "live", command=(), cwd=project)
    server.stderr.wait_for("  application  stable\n")
    server.stderr.wait_for("  workers      2 x 4 threads\n")
    assert server.get("/A").text == SECRET


def test_two_files_stop_the_start(hostler_server: StartServer, project: Path) -> None:
    for name in ("hostler.json", "hostler.ini"):
        (project / name).write_text(FILES[name])
    with pytest.raises(ServerError, match=r"hostler\.json and hostler\.ini are here together"):
        hostler_server(None, command=(), cwd=project)


def test_reload_reads_secrets_again(hostler_server: StartServer, project: Path) -> None:
    (project / "hostler.toml").write_text(FILES["hostler.toml"])
    server = hostler_server(None, command=(), cwd=project)
    assert server.get("/A").text == SECRET
    (project / "secret").write_text("another\n")
    reload_server(server, "")
    assert server.get("/A").text == "another"
    (project / "secret").unlink()
    reload_server(server, "hostler.toml:4: app.env.A: file secret cannot be read: No such file or directory")
    assert server.get("/A").text == "another"
    assert server.stop() == 0
    assert SECRET not in server.log()
    assert "another" not in server.log()


@pytest.mark.parametrize(
    "arguments",
    [["config", "show"], ["config", "show", "--json"], ["check"], ["check", "--log-level", "x", "--verbose"]],
    ids=" ".join,
)
def test_secret_is_not_shown_by_any_command(project: Path, arguments: list[str]) -> None:
    (project / "hostler.toml").write_text(FILES["hostler.toml"])
    command = [
        sys.executable,
        "-m",
        "hostler",
        *arguments,
        "--app-env",
        f"MY_KEY={SECRET}",
        "--app-env",
        "B=@file:secret",
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_missing_variables_stop_the_start_before_anything_is_bound(hostler_server: StartServer, project: Path) -> None:
    (project / "hostler.toml").write_text('[app]\ntarget = "stable"\nrequire = ["FIRST", "SECOND", "THIRD"]\n')
    path = project / "web.sock"
    with pytest.raises(ServerError) as caught:
        hostler_server(None, command=(), cwd=project, bind=f"unix:{path}", env={"SECOND": "2"})
    assert "status 2" in str(caught.value)
    assert "hostler.toml:3: app.require: FIRST and THIRD are not set, or empty" in str(caught.value)
    assert not path.exists()


def test_required_variables_let_the_server_start_and_reload(hostler_server: StartServer, project: Path) -> None:
    text = '[app]\ntarget = "stable"\nrequire = ["FIRST"]\n'
    (project / "hostler.toml").write_text(text)
    server = hostler_server(None, command=(), cwd=project, env={"FIRST": "here"})
    assert server.get("/FIRST").text == "here"
    (project / "hostler.toml").write_text(text.replace('"FIRST"', '"FIRST", "LATER"'))
    reload_server(server, "app.require: LATER is not set, or empty")
    assert server.get("/FIRST").text == "here"


def test_printed_schema_describes_what_the_program_reads(project: Path) -> None:
    command = [sys.executable, "-m", "hostler", "config", "schema"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=True)
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(FILES["hostler.json"]))
