"""The stacks of a process outside of Python, by programs that can read them."""

from __future__ import annotations

import shutil
import subprocess

# Seconds; a process with thousands of threads and debug symbols takes some.
TIMEOUT = 30
# In the order of how little they disturb; each stops the process while it looks.
_PROGRAMS = (
    ("eu-stack", ["-p", "{pid}"]),
    ("gdb", ["--nx", "--batch", "--quiet", "-ex", "set pagination off", "-ex", "thread apply all bt", "-p", "{pid}"]),
)


def read_native_stacks(pid: int) -> str:
    """Read the stacks of all threads of a process.

    Raises:
        OSError: no program is there that does it, or it failed; the text says what to do.
    """
    for name, arguments in _PROGRAMS:
        program = shutil.which(name)
        if program is not None:
            return _run([program, *(each.format(pid=pid) for each in arguments)])
    raise OSError("neither eu-stack (elfutils) nor gdb is installed, which read stacks outside of Python; install one")


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise OSError(f"{command[0]} took longer than {TIMEOUT} s and was ended") from None
    said = done.stdout.decode("utf-8", "replace").strip()
    if not said:
        why = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"exit status {done.returncode}"
        raise OSError(f"{command[0]} found nothing ({why}); it needs the rights of a debugger on that process")
    return said
