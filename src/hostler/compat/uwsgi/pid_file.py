"""`--stop`, `--reload`, `--pause` and `--resume`: a signal to the process whose number a file has."""

from __future__ import annotations

import signal
from pathlib import Path

from hostler.errors import ConfigurationError
from hostler.system.process import signal_process

# As with uWSGI, SIGTSTP resumes what is paused, whichever option it comes from.
SIGNALS = {
    "stop": signal.SIGINT,
    "reload": signal.SIGHUP,
    "pause": signal.SIGTSTP,
    "suspend": signal.SIGTSTP,
    "resume": signal.SIGTSTP,
}


def follow_pid_file(name: str, path: Path) -> int:
    """Send the signal that a command stands for; give the exit status.

    Raises:
        ConfigurationError: the file has no number, or there is no such process.
    """
    try:
        pid = int(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        raise ConfigurationError(f"--{name}: {path} holds no process id; is the server running?") from None
    try:
        signal_process(pid, SIGNALS[name])
    except OSError as error:
        raise ConfigurationError(f"--{name}: process {pid} of {path}: {error.strerror}") from None
    return 0
