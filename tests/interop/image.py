"""Images built for real, without a registry and without a daemon: a base by debootstrap, the rest by buildah.

Everything is below a directory of the test's own. Isolation is that of chroot, which needs no kernel features that a
sandbox may withhold: a container has the machine's network and processes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.harness import ROOT

# The stable release whose Python the base has.
SUITE, PYTHON = "bookworm", (3, 11)
MIRROR = "http://deb.debian.org/debian"
# What the official image python:3.x-slim has, too.
PACKAGES = "python3,python3-venv,python-is-python3"
WASTE = ("doc", "locale", "man", "zoneinfo", "i18n")
PATIENCE = 300
STORAGE = """\
[storage]
driver = "vfs"
runroot = "{directory}/run"
graphroot = "{directory}/graph"
"""


class Images:
    """Builds and runs images.

    Args:
        directory: where all of it is kept.
        builder: path of buildah.
        bootstrap: path of debootstrap.
    """

    def __init__(self, directory: Path, builder: str, bootstrap: str) -> None:
        self._directory = directory
        self._builder = builder
        self._bootstrap = bootstrap
        self.wheels = directory / "wheels"
        (directory / "storage.conf").write_text(STORAGE.format(directory=directory))

    def make_base(self, name: str) -> None:
        """Make an image of a small Debian with Python, which installs from `wheels` only."""
        tree = self._directory / "tree"
        run(self._bootstrap, "--variant=minbase", f"--include={PACKAGES}", SUITE, str(tree), MIRROR)
        # Each layer is a copy of the whole.
        for waste in ("var/cache/apt", "var/lib/apt/lists", *(f"usr/share/{name}" for name in WASTE)):
            shutil.rmtree(tree / waste, ignore_errors=True)
        container = self._build("from", "scratch")
        self._build("add", "--quiet", container, str(tree), "/")
        shutil.rmtree(tree)
        offline = (
            "--env",
            "PIP_NO_INDEX=1",
            "--env",
            "PIP_FIND_LINKS=/wheels",
            "--env",
            "PATH=/usr/bin:/bin:/usr/sbin",
        )
        self._build("config", *offline, container)
        self._build("commit", "--quiet", "--rm", container, name)

    def make_wheels(self) -> None:
        """Build Hostler's wheel from what is built already, and fetch those of what it needs."""
        self.wheels.mkdir()
        python = Path(sys.executable)
        env = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}", "VIRTUAL_ENV": str(python.parent.parent)}
        out = ("--out", str(self.wheels), "--interpreter", str(python), "--compatibility", "linux")
        run(str(python.with_name("maturin")), "build", "--release", "--locked", "--quiet", *out, cwd=ROOT, env=env)
        requirements = ("--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements" / "run.txt"))
        run(str(python), "-m", "pip", "download", "--quiet", "--dest", str(self.wheels), *requirements)

    def build(self, directory: Path, name: str) -> None:
        """Build the Dockerfile of a directory, as it is."""
        volume = f"{self.wheels}:/wheels:ro"
        self._build(
            "bud", "--quiet", "--format", "docker", "--pull-never", "--volume", volume, "--tag", name, str(directory)
        )

    def describe(self, name: str) -> dict[str, Any]:
        """Give what the image says of itself: user, command, health check, ..."""
        document = json.loads(self._build("inspect", "--type", "image", name))
        return dict(document["Docker"]["config"])

    def create(self, name: str) -> str:
        """Make a container; give its name."""
        return self._build("from", "--pull-never", name)

    def command(self, container: str, *words: str) -> list[str]:
        """Give the command that runs a program in a container, as the image's user."""
        return [self._builder, "run", "--isolation", "chroot", container, "--", *words]

    @property
    def env(self) -> dict[str, str]:
        """The environment that commands need."""
        conf = str(self._directory / "storage.conf")
        return {**os.environ, "CONTAINERS_STORAGE_CONF": conf, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}

    def _build(self, *arguments: str) -> str:
        return run(self._builder, *arguments, env=self.env)


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; what it says is the failure's text."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def signal_inside(pid: int, words: Sequence[str]) -> list[int]:
    """Find the processes below `pid` whose command line begins so."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, pending = [], [pid]
    while pending:
        for child in children.get(pending.pop(), []):
            pending.append(child)
            try:
                line = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if line.startswith(" ".join(words)):
                found.append(child)
    return found
