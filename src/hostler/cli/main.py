"""The entrance of `hostler`: finds the command, runs it, and renders its error once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from hostler.cli.command import COMMANDS, INTERRUPTED, PIPE_CLOSED
from hostler.errors import ApplicationError, HostlerError
from hostler.system.bequest import report_to_former
from hostler.system.environment import environment
from hostler.system.process import own_pid


class Command(Protocol):
    """What a command's module has."""

    def execute(self, arguments: Sequence[str]) -> int:
        """Run the command with what stood behind its name; give the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Args:
        arguments: the command line without the program's name; the process's own when None.

    Returns:
        The exit status.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return find_command(arguments)
    except HostlerError as error:
        report_to_former(environment(), own_pid(), str(error), get_details(error), error.exit_status)
        render_error(error, verbose=is_verbose(arguments))
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough; keep the interpreter from flushing into the closed pipe.
        sys.stdout = None
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the process's outer edge
        return render_defect(error, verbose=is_verbose(arguments))


def find_command(arguments: Sequence[str]) -> int:
    """Run the command that the arguments begin with; without one, `run`."""
    first = arguments[0] if arguments else ""
    if first in COMMANDS:
        return load_command(first).execute(arguments[1:])
    if first in {"-V", "--version"}:
        return load_command("version").execute(arguments[1:])
    if first in {"-h", "--help"}:
        return load_command("help").execute(())
    if first == "--help-all":
        return load_command("help").execute(("options",))
    return load_command("run").execute(arguments)


def load_command(name: str) -> Command:
    """Import the module of a command; the others are left alone, for a quick start."""
    return cast("Command", importlib.import_module(COMMANDS[name].module))


def is_verbose(arguments: Sequence[str]) -> bool:
    """Tell whether tracebacks are wanted; known before the arguments are parsed, for they may be what is wrong."""
    return "--verbose" in arguments


def render_error(error: HostlerError, *, verbose: bool) -> None:
    """Print an error: the application's own traceback if it has one, then a line for each thing that is wrong."""
    sys.stdout.flush()
    details = get_details(error)
    if details:
        print(details.rstrip("\n"), file=sys.stderr)
    if verbose:
        print_traceback(error)
    for line in str(error).splitlines():
        print(line if line.startswith("  ") else f"hostler: {line}", file=sys.stderr)


def get_details(error: HostlerError) -> str:
    """Give the application's traceback, if the error has one."""
    return (error.details or "") if isinstance(error, ApplicationError) else ""


def render_defect(error: Exception, *, verbose: bool) -> int:
    """Print an error that nobody foresaw."""
    if verbose:
        print_traceback(error)
    hint = "" if verbose else "; run again with --verbose for the traceback, and please report it"
    print(f"hostler: internal error: {type(error).__name__}: {error}{hint}", file=sys.stderr)
    return HostlerError.exit_status


def print_traceback(error: BaseException) -> None:
    """Print a traceback to standard error."""
    import traceback  # only for those who ask

    traceback.print_exception(error, file=sys.stderr)
