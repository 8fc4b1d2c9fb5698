"""Actions at points of the server's life: in order, with the right rights, and without harm when they fail."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.harness import wait_until
from tests.e2e.supervised import Site, site

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights away")
HUMAN = 54321

# Functions that note what they are told, and where they run.
HOOKS = """
import os
def note(event):
    with open(os.environ["DIARY"], "a") as diary:
        diary.write(f"{event.phase} {event.reason} worker={event.worker} uid={os.getuid()}\\n")
def fail(event):
    raise LookupError("no such table")
"""


class Diary:
    """What hooks have written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("")

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def words(self) -> list[str]:
        """The first words of the lines."""
        return [line.split()[0] for line in self.lines()]

    def wait_for(self, word: str, count: int = 1) -> None:
        wait_until(lambda: self.words().count(word) >= count, f"{word} in the diary, {count} times")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        (tmp_path / "lifehooks.py").write_text(HOOKS)
        yield made


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


def configure(made: Site, diary: Diary, *, preload: bool = False, hooks: Mapping[str, object]) -> None:
    made.configure(
        app={
            "target": "shop:app",
            "chdir": str(made.directory),
            "env": {"DIARY": str(diary.path)},
            "preload": preload,
        },
        hooks=dict(hooks),
    )


def command(text: str) -> str:
    """Write a command that appends a line to the diary."""
    return f"exec:sh -c 'echo {text} >> $DIARY'"


@pytest.mark.parametrize("preload", [False, True])
def test_life_of_a_server_is_told_in_order(made: Site, diary: Diary, preload: bool) -> None:
    phases = (
        "prepare", "serving", "worker_started", "worker_ended", "stopping", "ended", "loading", "worker_forked",
        "worker_loaded", "worker_leaving",
    )  # fmt: skip
    configure(made, diary, preload=preload, hooks={phase: ["lifehooks:note"] for phase in phases})
    made.start()
    diary.wait_for("serving")
    made.server.stop()
    words = diary.words()
    assert sorted(words) == sorted(phases), made.server.log()
    assert words[0] == "prepare"
    assert words.index("loading") < words.index("worker_loaded") < words.index("serving")
    assert words.index("worker_forked") < words.index("worker_loaded")
    assert words.index("stopping") < words.index("ended")
    assert words[-1] == "ended"
    assert words.index("worker_leaving") < words.index("worker_ended") < words.index("ended")
    assert "prepare start worker=0" in diary.path.read_text()
    assert "worker_ended exited with status 0 worker=1" in diary.path.read_text()
    assert "worker_loaded  worker=1" in diary.path.read_text()


def test_commands_are_told_by_variables(made: Site, diary: Diary) -> None:
    configure(
        made,
        diary,
        hooks={
            "prepare": [command("prepare $HOOK_REASON $HOOK_WORKER.")],
            "serving": [command("serving $HOOK_ADDRESSES $HOOK_SUPERVISOR_PID")],
            "worker_started": [command("worker_started $HOOK_WORKER $HOOK_WORKER_PID")],
        },
    )
    made.start()
    diary.wait_for("serving")
    assert sorted(diary.lines()) == [
        "prepare start .",
        f"serving http://{made.address} {made.server.pid}",
        f"worker_started 1 {made.facts()['pid']}",
    ]


def test_preparation_that_fails_is_a_failed_start(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"prepare": [command("first"), "exec:sh -c 'exit 7'", command("never")]})
    made.start(is_ready=False)
    assert made.server.wait() == 3
    assert "the hook \"exec:sh -c 'exit 7'\" exited with status 7 (hooks.prepare)" in made.server.log()
    assert diary.words() == ["first"]


def test_function_that_fails_shows_its_traceback(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"prepare": ["lifehooks:fail"]})
    made.start(is_ready=False)
    assert made.server.wait() == 3
    assert "LookupError: no such table" in made.server.log()
    assert 'lifehooks.py", line 7, in fail' in made.server.log()


def test_preparation_that_fails_keeps_the_old_workers_at_a_reload(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"prepare": [command("prepared")]})
    made.start()
    before = made.facts()["pid"]
    configure(made, diary, hooks={"prepare": ["exec:no-such-program"]})
    made.reload()
    assert made.facts()["pid"] == before
    made.server.stderr.wait_for("reload abandoned")
    made.server.stderr.wait_for("'exec:no-such-program' could not be run: No such file")
    configure(made, diary, hooks={"prepare": [command("prepared")], "serving": [command("again")]})
    made.reload()
    made.wait_for(lambda: made.facts()["pid"] != before, "an answer of the new worker")
    diary.wait_for("again")
    assert diary.words() == ["prepared", "prepared", "again"]


def test_preparation_that_takes_too_long_is_killed_with_all_it_started(made: Site, diary: Diary) -> None:
    pid_file = made.directory / "sleeper"
    configure(made, diary, hooks={"prepare": [f"exec:sh -c 'sleep 600 & echo $! > {pid_file}; wait'"], "timeout": "1s"})
    made.start(is_ready=False)
    assert made.server.wait() == 3
    assert "took longer than 1 s (hooks.timeout)" in made.server.log()
    assert _is_gone(int(pid_file.read_text()))


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_does_not_wait_for_a_preparation(made: Site, diary: Diary, number: signal.Signals) -> None:
    configure(made, diary, hooks={"prepare": ["exec:sh -c 'echo $$ >> $DIARY; exec sleep 600'"]})
    made.start(is_ready=False)
    wait_until(lambda: bool(diary.lines()), "the preparation to begin")
    made.server.signal(number)
    assert made.server.wait() == 0
    assert _is_gone(int(diary.lines()[0]))


def test_stop_waits_for_what_is_to_be_done_at_the_end(made: Site, diary: Diary) -> None:
    configure(
        made, diary, hooks={"ended": ["exec:sh -c 'sleep 0.3; echo late >> $DIARY'"], "stopping": [command("early")]}
    )
    made.start()
    made.server.stop()
    assert diary.words() == ["early", "late"]


def test_failures_of_what_is_only_told_change_nothing(made: Site, diary: Diary) -> None:
    configure(
        made, diary, hooks={"serving": ["lifehooks:fail", command("not reached")], "worker_leaving": ["lifehooks:fail"]}
    )
    made.start()
    made.server.stderr.wait_for("LookupError: no such table")
    assert made.facts()["pid"]
    assert made.server.stop() == 0


def test_worker_hook_that_fails_is_a_failed_start(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"worker_loaded": ["lifehooks:fail"]})
    made.start(is_ready=False)
    assert made.server.wait() == 3
    assert "no such table" in made.server.log()


def test_crash_is_told_with_its_reason(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"worker_ended": [command("$HOOK_WORKER $HOOK_REASON")]})
    made.start()
    os.kill(made.facts()["pid"], signal.SIGKILL)
    wait_until(lambda: diary.lines() == ["1 was killed by SIGKILL"], "the worker's end in the diary")


def test_hook_runner_that_is_killed_comes_back_and_prepares_nothing_again(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"prepare": [command("prepared")], "worker_started": [command("started")]})
    made.start()
    diary.wait_for("started")
    titles = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in made.server.children()}
    (runner,) = [pid for pid, title in titles.items() if title.startswith(b"hostler: hooks")]
    os.kill(runner, signal.SIGKILL)
    made.server.stderr.wait_for("hooks (pid")
    os.kill(made.facts()["pid"], signal.SIGKILL)
    diary.wait_for("started", 2)
    assert diary.words().count("prepared") == 1


def test_nothing_outlives_a_supervisor_that_is_killed(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"serving": ["exec:sh -c 'echo $$ >> $DIARY; exec sleep 600'"]})
    made.start()
    wait_until(lambda: bool(diary.lines()), "the hook to run")
    children = made.server.children()
    made.server.signal(signal.SIGKILL)
    wait_until(lambda: all(map(_is_gone, [*children, int(diary.lines()[0])])), "all to be gone")


@AS_ROOT
def test_hooks_have_the_rights_of_workers_unless_they_are_to_keep_those_of_root(made: Site, diary: Diary) -> None:
    diary.path.chmod(0o666)
    for directory in (made.directory, *made.directory.parents[:2]):
        directory.chmod(0o755)
    made.configure(
        app={"target": "shop:app", "chdir": str(made.directory), "env": {"DIARY": str(diary.path)}},
        server={"bind": [made.address], "user": str(HUMAN), "group": str(HUMAN)},
        hooks={
            "prepare": [
                "lifehooks:note",
                command("command uid=$(id -u)"),
                f"exec:+sh -c 'echo root uid=$(id -u) >> {diary.path}'",
            ],
            "worker_loaded": ["lifehooks:note"],
        },
    )
    made.start()
    assert [line.split()[-1] for line in diary.lines()] == [
        f"uid={HUMAN}",
        f"uid={HUMAN}",
        "uid=0",
        f"uid={HUMAN}",
    ]


def test_hooks_do_not_keep_the_supervisor_from_its_children(made: Site, diary: Diary) -> None:
    configure(made, diary, hooks={"serving": ["exec:sh -c 'echo begun >> $DIARY; sleep 600'"]})
    made.start()
    diary.wait_for("begun")
    os.kill(made.facts()["pid"], signal.SIGKILL)
    assert made.facts()["pid"]
    made.server.signal(signal.SIGQUIT)
    assert made.server.wait() == 0
