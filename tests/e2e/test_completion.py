"""Completion in real shells: what the tabulator makes of a line that was begun."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import FindPeer
from tests.e2e.harness import PATIENCE

# For each shell: how to start it without anybody's settings, and how to teach it the script.
INTERACTIVE = {
    "bash": (["--norc", "--noprofile", "-i"], "source ./script"),
    "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -D -u; source ./script"),
}
LINES = [
    ("hostler chec\t", "<check>"),
    ("hostler compl\tf\t", "<completion><fish>"),
    ("hostler config sch\t", "<config><schema>"),
    ("hostler help opt\t", "<help><options>"),
    ("hostler stab\tapp", "<stable:app>"),
    ("hostler stac\t--nat\t", "<stacks><--native>"),
    ("hostler logs --fol\t", "<logs><--follow>"),
    ("hostler dev barn\tapplication", "<dev><barn.wsgi:application>"),
    ("hostler --graceful-t\t5", "<--graceful-timeout><5>"),
    ("hostler run --log-level deb\t", "<run><--log-level><debug>"),
    ("hostler --log-level=deb\t", "<--log-level=debug>"),
    ("hostler -w a\t", "<-w><auto>"),
    ("hostler check --config oth\t", "<check><--config><other.toml>"),
    ("hostler run --no-prel\t", "<run><--no-preload>"),
    ("hostler run --env l\t", "<run><--env><live>"),
    ("hostler version --log-l\t", "<version><--log-l>"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("stable.py", "barn/wsgi.py", "other.toml", "$(touch bad).py", "not-a-module.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    (tmp_path / "hostler.toml").write_text("[env.live.workers]\n[env.live.log]\n[env.test]\n")
    return tmp_path


def write_script(shell: str, directory: Path) -> None:
    command = [sys.executable, "-m", "hostler", "completion", shell]
    (directory / "script").write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)


def type_line(program: str, shell: str, directory: Path, line: str) -> str:
    """Type a line into an interactive shell in which `hostler` prints its arguments; return what it printed."""
    arguments, teach = INTERACTIVE[shell]
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(directory)
            os.execve(program, [program, *arguments], {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": "."})
        finally:
            os._exit(127)
    try:
        show = "hostler() { printf '<%s>' \"$@\"; echo ' the end'; }"
        os.write(terminal, f"{teach}; {show}\n{line}\n".encode())
        # The echo of what was typed has a quote before "the end", never a bracket.
        shown: list[str] = re.findall(r"((?:<[^<>]*>)+) the end", read_until(terminal, "> the end"))
        return shown[-1]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(pid, 0)


def read_until(terminal: int, wanted: str) -> str:
    output = ""
    deadline = time.monotonic() + PATIENCE
    while wanted not in output:
        if not select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0]:
            pytest.fail(f"no {wanted!r} within {PATIENCE:g} s; the terminal shows:\n{output}")
        output += os.read(terminal, 65536).decode(errors="replace")
    return output


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_tabulator_completes_the_line(find_peer: FindPeer, project: Path, shell: str) -> None:
    program = find_peer(shell)
    write_script(shell, project)
    found = {line: type_line(program, shell, project, line) for line, _ in LINES}
    assert found == dict(LINES)
    # The name of a file is never run.
    assert not (project / "bad").exists()


CANDIDATES = [
    (["hostler", ""], {"run", "check", "stable:", "barn.wsgi:"}, {"not-a-module:", "other.toml"}),
    (["hostler", "config", ""], {"show", "schema"}, {"stable:"}),
    (["hostler", "completion", ""], {"bash", "zsh", "fish"}, {"run"}),
    (["hostler", "run", "--log-level", ""], {"debug", "critical"}, {"stable:"}),
    (["hostler", "run", "--lo"], {"--log-level", "--loop"}, {"--bind"}),
    (["hostler", "config", "show", "--js"], {"--json"}, {"--bind"}),
    (["hostler", "run", "--js"], set(), {"--json"}),
    (["hostler", "run", "--pid-file", "oth"], {"other.toml"}, {"stable.py"}),
    (["hostler", "check", "--env", ""], {"live", "test"}, {"stable:", "other.toml", "env"}),
    (["hostler", "check", ""], {"stable:"}, {"run", "other.toml"}),
    (["hostler", "version", ""], set(), {"stable:", "other.toml"}),
]


@pytest.mark.parametrize("words, wanted, unwanted", CANDIDATES, ids=[" ".join(words) for words, *_ in CANDIDATES])
def test_bash_offers_what_fits(
    find_peer: FindPeer, project: Path, words: list[str], wanted: set[str], unwanted: set[str]
) -> None:
    write_script("bash", project)
    drive = (
        'set -u; source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hostler; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = [find_peer("bash"), "--norc", "-c", drive, "bash", *words]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stderr == ""
    offered = set(done.stdout.split("\n"))
    assert wanted <= offered
    assert not unwanted & offered


@pytest.mark.parametrize("words, wanted, unwanted", CANDIDATES, ids=[" ".join(words) for words, *_ in CANDIDATES])
def test_fish_offers_what_fits(
    find_peer: FindPeer, project: Path, words: list[str], wanted: set[str], unwanted: set[str]
) -> None:
    program = find_peer("fish")
    write_script("fish", project)
    command = [program, "--no-config", "-c", "source ./script; complete -C $argv[1]", " ".join(words)]
    env = {"PATH": os.environ["PATH"], "HOME": str(project)}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    offered = {line.partition("\t")[0] for line in done.stdout.splitlines()}
    assert wanted <= offered
    assert not unwanted & offered
