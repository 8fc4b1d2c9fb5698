"""Load an application in a process of its own and tell what came of it: `python -m hostler.app.probe`.

What an application does while it is loaded (threads, prints, changes of directory) then stays in that process. The
report is one JSON object on a pipe, apart from the standard streams, to which the application may write.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

from hostler.app.interface import Choice, DoubleCallable
from hostler.app.loading import LoadedApplication, load_application
from hostler.errors import ApplicationError


@dataclass(frozen=True, slots=True)
class Report:
    """What came of loading an application.

    Attributes:
        kind: the type of the application, such as "flask.app.Flask"; empty when it could not be loaded.
        error: why it could not be loaded, in one line.
        details: the application's traceback.
        versions: the versions of the frameworks that were imported, by name.
        interface: how it is called: "wsgi" or "asgi".
        facts: what `ask` gave.
    """

    kind: str = ""
    error: str = ""
    details: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    interface: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


# What is worth naming, by the module that tells that it was imported and the distribution that knows the version.
_FRAMEWORKS = {
    "django": "Django",
    "channels": "channels",
    "flask": "Flask",
    "quart": "Quart",
    "falcon": "falcon",
    "bottle": "bottle",
    "pyramid": "pyramid",
    "fastapi": "FastAPI",
    "starlette": "Starlette",
    "litestar": "Litestar",
    "sanic": "Sanic",
    "blacksheep": "BlackSheep",
}


def probe_application(
    target: str,
    *,
    directory: str,
    python_path: Sequence[str],
    environ: Mapping[str, str],
    timeout: float,
    interface: Choice = "auto",
    ask: str = "",
) -> Report:
    """Load an application in a child process.

    Args:
        target: what to load.
        directory: the directory to do it in.
        python_path: further directories for the import path.
        environ: the child's whole environment.
        timeout: after how many seconds to give up.
        interface: how it is called, or "auto" to find out.
        ask: a function as "module:name" that is called in the child once the application is loaded, and gives an object
            that JSON can hold.

    Raises:
        ApplicationError: it could not be loaded, or not in time; or the directory is not there.
    """
    reader, writer = os.pipe()
    command = [sys.executable, "-m", __name__, str(writer), target, interface, ask, directory, *python_path]
    try:
        # Standard output becomes standard error: the output of `hostler check` is its own.
        process = subprocess.Popen(command, env=dict(environ), pass_fds=(writer,), stdin=subprocess.DEVNULL, stdout=2)
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        report = _receive(process, pipe.fileno(), timeout)
    if report is None:
        raise ApplicationError(f'"{target}" was not loaded within {timeout:g} seconds; see workers.boot_timeout')
    if not report:
        status = process.returncode
        raise ApplicationError(f'"{target}" ended the process that loaded it (status {status})')
    found = Report(**json.loads(report))
    if found.error:
        raise ApplicationError(found.error, found.details)
    return found


def _receive(process: subprocess.Popen[bytes], fd: int, timeout: float) -> bytes | None:
    """Read the report until the child has closed its end, then end the child; None when time is up."""
    import select  # the probed side has no use for it

    chunks: list[bytes] = []
    try:
        while select.select([fd], [], [], timeout)[0]:
            chunk = os.read(fd, 65536)
            if not chunk:
                return b"".join(chunks) if chunks else _await_end(process, timeout)
            chunks.append(chunk)
        return None
    finally:
        # It has said all it will; threads that the application started must not keep it.
        process.kill()
        process.wait()


def _await_end(process: subprocess.Popen[bytes], timeout: float) -> bytes:
    """Wait for a child that said nothing, so that its own exit status is known."""
    # A child that closed the pipe and lives on is killed after this, and has that as its status.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout)
    return b""


def describe_application(loaded: LoadedApplication) -> Report:
    """Describe an application that was loaded."""
    application: object = loaded.application
    if isinstance(application, DoubleCallable):
        application = application.application
    found = application if isinstance(application, type) or hasattr(application, "__qualname__") else type(application)
    kind = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}".strip(".")
    versions = {}
    for module, distribution in _FRAMEWORKS.items():
        if module in sys.modules:
            version = _find_version(distribution)
            if version:
                versions[distribution] = version
    return Report(kind=kind, versions=versions, interface=loaded.interface)


def _find_version(distribution: str) -> str | None:
    from importlib import metadata  # slow to import, and only for frameworks that are there

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _call(name: str) -> Mapping[str, Any]:
    module, _, function = name.partition(":")
    found: Mapping[str, Any] = getattr(importlib.import_module(module), function)()
    return found


def main(arguments: Sequence[str]) -> int:
    """Be the child: FD TARGET INTERFACE ASK DIRECTORY [PATH ...]."""
    descriptor, target, interface, ask, directory, *python_path = arguments
    try:
        os.chdir(directory)
        sys.path[:0] = [directory, *python_path]
        report = describe_application(load_application(target, cast("Choice", interface)))
        if ask:
            report = replace(report, facts=_call(ask))
    except OSError as error:
        report = Report(error=f"cannot change to the directory {directory}: {error.strerror}; check app.chdir")
    except ApplicationError as error:
        report = Report(error=str(error), details=error.details)
    with os.fdopen(int(descriptor), "w", encoding="utf-8") as pipe:
        json.dump(asdict(report), pipe)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        # The terminal tells the whole foreground; what there is to say, the one who waits for us says.
        sys.exit(130)
