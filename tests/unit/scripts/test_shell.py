"""The shell scripts behind the Makefile choose, refuse and explain as they should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT

TOOLS = ("bash", "cut", "dirname", "env", "head", "id", "sed", "sort")


class Machine:
    """A PATH of its own, with the basic tools and whatever programs a test puts there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (directory / tool).symlink_to(found)

    def put(self, program: str, script: str = "exit 0") -> None:
        path = self._directory / program
        path.unlink(missing_ok=True)  # never write through the link to the real tool
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / script, *arguments],
            env={"PATH": str(self._directory)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_python_that_works_is_chosen(machine: Machine, tmp_path: Path) -> None:
    machine.put("python3.13", "exit 1")  # on PATH, but leads nowhere
    machine.put("python3.12")
    machine.put("python3.11")
    assert machine.run("find-python").stdout == f"{tmp_path}/python3.12\n"


def test_a_machine_without_python_is_told_what_to_install(machine: Machine) -> None:
    done = machine.run("find-python")
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


@pytest.mark.parametrize("version, status", [("1.85.0", 0), ("1.100.2", 0), ("2.0.0", 0), ("1.84.1", 1), ("1.9.0", 1)])
def test_a_compiler_that_is_too_old_is_refused(machine: Machine, version: str, status: int) -> None:
    machine.put("cargo")
    machine.put("rustc", f'echo "rustc {version} (abcdef 2026-01-01)"')
    done = machine.run("require-cargo")
    assert done.returncode == status
    assert (version in done.stderr) == bool(status)


def test_a_machine_without_rust_is_told_where_to_get_it(machine: Machine) -> None:
    done = machine.run("require-cargo")
    assert done.returncode == 1
    assert "rustup" in done.stderr


def test_without_root_nothing_is_installed_and_the_missing_is_named(machine: Machine, tmp_path: Path) -> None:
    machine.put("apt-get", f"echo called >{tmp_path}/calls")
    machine.put("id", "echo 1000")
    done = machine.run("packages", "test")
    assert done.returncode == 0
    assert "wrk" in done.stderr
    assert not (tmp_path / "calls").exists()


def test_an_unknown_set_of_packages_is_refused(machine: Machine) -> None:
    done = machine.run("packages", "everything")
    assert done.returncode == 2
    assert "usage" in done.stderr
