"""What workers are left by the operating system: asked of the kernel, about real workers."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, free_port, start_group, wait_until
from tests.e2e.supervised import Site, site

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights away")
HUMAN = 54321


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


def status_of(pid: int) -> dict[str, str]:
    """Read what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("preload", [False, True])
def test_workers_are_limited_and_ranked_and_the_supervisor_is_not(made: Site, preload: bool) -> None:
    made.configure(
        app={"target": "shop:app", "chdir": str(made.directory), "preload": preload},
        process={
            "limits": {"core": "0", "nofile": "300:400"},
            "nice": 2,
            "cpus": "each",
            "oom_score": 500,
            "no_new_privileges": True,
        },
        workers={"count": 2},
    )
    made.start()
    pids: set[int] = set()

    def both_seen() -> bool:
        pids.add(made.facts()["pid"])
        return len(pids) == 2

    made.wait_for(both_seen, "an answer of each worker")
    nice = os.getpriority(os.PRIO_PROCESS, made.server.pid)
    usable = sorted(os.sched_getaffinity(made.server.pid))
    cores = set()
    for pid in pids:
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) in ((300, 400), (400, 400))
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, nice + 2)
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
        assert status_of(pid)["NoNewPrivs"] == "1"
        (core,) = os.sched_getaffinity(pid)
        cores.add(core)
    assert cores == set(usable[:2])
    assert status_of(made.server.pid)["NoNewPrivs"] == "0"
    assert Path(f"/proc/{made.server.pid}/oom_score_adj").read_text() != "500\n"


@AS_ROOT
def test_worker_of_another_user_has_its_groups_and_capabilities(made: Site) -> None:
    made.directory.chmod(0o755)
    for parent in made.directory.parents[:2]:
        parent.chmod(0o755)
    made.configure(
        server={"bind": [made.address], "user": str(HUMAN), "group": str(HUMAN)},
        process={"groups": ["7", "8"], "capabilities": ["net_bind_service"]},
    )
    made.start()
    facts = made.facts()
    assert (facts["uid"], facts["groups"]) == (HUMAN, [7, 8])
    found = status_of(facts["pid"])
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 1 << 10


def test_limit_that_cannot_be_raised_refuses_the_start_and_says_why(made: Site) -> None:
    if os.geteuid() == 0:
        made.configure(process={"cpus": "4000"})
        wanted = "process.cpus is '4000'"
    else:
        made.configure(process={"nice": -5})
        wanted = "process.nice is -5"
    made.start(is_ready=False)
    assert made.server.wait() == 5
    assert wanted in made.server.log()


def test_reload_to_limits_that_cannot_be_keeps_the_old_workers(made: Site) -> None:
    made.start()
    before = made.facts()["pid"]
    made.configure(process={"cpus": "4000"})
    made.reload()
    made.server.stderr.wait_for("reload abandoned")
    assert made.facts()["pid"] == before


CONTROL_GROUP = Path("/sys/fs/cgroup/unified") if Path("/sys/fs/cgroup/unified").is_dir() else Path("/sys/fs/cgroup")


@AS_ROOT
def test_workers_live_in_a_control_group_with_their_limits(made: Site) -> None:
    base = CONTROL_GROUP / f"hostler-test-{os.getpid()}"
    if not (CONTROL_GROUP / "cgroup.procs").exists() or not os.access(CONTROL_GROUP, os.W_OK):
        pytest.skip("cgroup v2 is not mounted here, or not ours to write to")
    base.mkdir()
    try:
        made.configure(process={"cgroup": {"cgroup.max.depth": "3"}}, workers={"count": 2})
        config = made.directory / "hostler.toml"
        enter = f"echo $$ > {base}/cgroup.procs && exec {sys.executable} -B -m tests.fakes.serve {config}"
        made.server = start_group(["sh", "-c", enter], made.address, env={"PYTHONPATH": f"{ROOT}/src:{ROOT}"})
        made.server.wait_ready()
        workers = base / "hostler-workers"
        assert (workers / "cgroup.max.depth").read_text() == "3\n"
        assert str(made.facts()["pid"]) in (workers / "cgroup.procs").read_text().split()
        assert (base / "hostler-supervisor" / "cgroup.procs").read_text().split() == [str(made.server.pid)]
        made.configure(process={"cgroup": {"cgroup.max.depth": "4"}}, workers={"count": 2})
        made.reload()
        assert (workers / "cgroup.max.depth").read_text() == "4\n"
        made.server.stop()
        assert not workers.exists()
    finally:
        made.server.close()
        for each in (base / "hostler-workers", base / "hostler-supervisor", base):
            wait_until(partial(_removed, each), f"{each} to be empty")


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@AS_ROOT
def test_worker_sees_its_root_directory_only(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not there")
    jail, address = tmp_path / "jail", f"127.0.0.1:{free_port()}"
    jail.mkdir()
    config = tmp_path / "hostler.toml"
    (tmp_path / "shop.py").write_text(
        "import json, os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    found = {'pid': os.getpid(), 'top': sorted(os.listdir('/')), 'uid': os.getuid()}\n"
        "    return [json.dumps(found).encode()]\n"
    )
    config.write_text(
        f'[app]\ntarget = "shop:app"\nchdir = "/site"\n[server]\nbind = ["{address}"]\nuser = "{HUMAN}"\n'
        f'[process]\nchroot = "{jail}"\n'
    )
    # The interpreter, its libraries and ours are mounted where they are outside; mounts of a namespace end with it.
    needed = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1], ROOT}
    tops = {Path("/") / path.parts[1] for path in needed} | {Path("/usr"), Path("/lib"), Path("/lib64")}
    script = [f"mkdir -p {jail}{top} && mount --rbind {top} {jail}{top}" for top in sorted(tops) if top.exists()]
    script += [f"mkdir -p {jail}/site && cp {tmp_path}/shop.py {jail}/site", f"chmod 755 {jail} {jail}/site"]
    script.append(f"exec {sys.executable} -B -m tests.fakes.serve {config}")
    arguments = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(script)]
    with start_group(arguments, address, env={"PYTHONPATH": f"{ROOT}/src:{ROOT}"}) as server:
        server.wait_ready()
        found = json.loads(server.get("/").text)
        assert found["uid"] == HUMAN
        assert set(found["top"]) == {top.parts[1] for top in tops if top.exists()} | {"site"}
        assert Path(f"/proc/{found['pid']}/root").readlink() == jail
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_chroot_of_a_directory_that_is_not_there_is_told(made: Site) -> None:
    made.configure(process={"chroot": str(made.directory / "nowhere")})
    made.start(is_ready=False)
    made.server.wait()
    assert "nowhere" in made.server.log()


def test_check_tells_limits_that_cannot_be(tmp_path: Path) -> None:
    config = tmp_path / "hostler.toml"
    config.write_text(
        '[process]\ncapabilities = ["fly"]\ncpus = "x"\nlimits = { files = "3" }\ncgroup = { "../a" = "1" }\n'
    )
    found = subprocess.run(
        [sys.executable, "-m", "hostler", "config", "show", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    for wanted in (
        "there is no capability 'fly'",
        "a list of cores",
        "there is no limit 'files'",
        "a control of cgroup",
    ):
        assert wanted in found.stderr
