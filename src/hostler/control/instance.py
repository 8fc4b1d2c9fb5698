"""Instances: how each running server is called, and where its control socket is."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hostler.errors import BindError
from hostler.system.local_socket import LocalListener, is_living, open_private_directory

SUFFIX = ".sock"
# How many of one name are told apart (arbitrary).
MAX_NAMESAKES = 99
_UNSAFE = re.compile(r"[^0-9A-Za-z._-]+")
# So that the path of the socket fits where a directory has an ordinary length.
_LONGEST = 48


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where sockets are, for one user.

    Attributes:
        directory: where those of the user's own instances are made.
        mode: the permissions of that directory. Root's can be entered by members of a group who know the name, but
            not listed: who can open a directory can hold its lock.
        others: where further instances may be that the user can reach.
    """

    directory: Path
    mode: int
    others: tuple[Path, ...] = ()


def find_whereabouts(directory: Path | None, environment: Mapping[str, str], uid: int) -> Whereabouts:
    """Say where sockets are.

    Args:
        directory: what `control.directory` names, if anything: then there and nowhere else.
        environment: may have XDG_RUNTIME_DIR (XDG Base Directory Specification).
        uid: the user.
    """
    if directory is not None:
        return Whereabouts(directory, 0o711)
    system = Path("/run/hostler")
    if uid == 0:
        return Whereabouts(system, 0o711, tuple(_list_all_users()))
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    # Services have no such directory; tmux and others do the same.
    own = Path(runtime) / "hostler" if runtime.startswith("/") else Path(f"/tmp/hostler-{uid}")  # noqa: S108 - checked
    return Whereabouts(own, 0o700, (system,))


def _list_all_users() -> Iterator[Path]:
    """Yield the directories of all users. In /tmp anybody can make one, so it counts if it is that user's."""
    yield from sorted(Path("/run/user").glob("*/hostler"))
    for path in sorted(Path("/tmp").glob("hostler-[0-9]*")):  # noqa: S108 - only root looks there, and only connects
        if is_owned(path, path.name.removeprefix("hostler-")):
            yield path


def is_owned(path: Path, uid: str) -> bool:
    """Tell whether a directory belongs to the user whose number is in its name, and is no link."""
    try:
        facts = path.lstat()
    except OSError:
        return False
    return uid.isascii() and uid.isdecimal() and stat.S_ISDIR(facts.st_mode) and facts.st_uid == int(uid)


def clean_name(text: str) -> str:
    """Turn a text into a name that a file can have."""
    return _UNSAFE.sub("-", text).strip("-.")[:_LONGEST] or "app"


def derive_name(name: str | None, target: str, directory: Path) -> str:
    """Name an instance: as it is configured, else as the directory of its application, else as the application."""
    return clean_name(name or directory.name or target)


def list_sockets(whereabouts: Whereabouts) -> list[Path]:
    """List the sockets of instances, some of which may have no owner any more.

    Raises:
        PermissionError: none was found, and a directory cannot be listed.
    """
    found: list[Path] = []
    refused: PermissionError | None = None
    for directory in (whereabouts.directory, *whereabouts.others):
        try:
            found += sorted(each for each in directory.iterdir() if each.suffix == SUFFIX)
        except PermissionError as error:
            refused = error
        except OSError:
            continue
    if not found and refused is not None:
        raise refused
    return found


def find_socket(whereabouts: Whereabouts, name: str) -> Path | None:
    """Find the socket of an instance by its name; None when there is none."""
    for directory in (whereabouts.directory, *whereabouts.others):
        path = directory / f"{name}{SUFFIX}"
        if is_living(path):
            return path
    return None


def open_named(whereabouts: Whereabouts, name: str, group: str | None) -> LocalListener:
    """Make the socket of an instance; where another of its name lives, with a number behind it.

    Raises:
        HostlerError: it cannot be made.
    """
    open_private_directory(whereabouts.directory, whereabouts.mode)
    for number in range(1, MAX_NAMESAKES + 1):
        own = name if number == 1 else f"{name}-{number}"
        path = whereabouts.directory / f"{own}{SUFFIX}"
        if is_living(path):
            continue
        try:
            return LocalListener(path, group)
        except BindError:
            # Another one may have been quicker; anything else will not get better.
            if not is_living(path):
                raise
    raise BindError(f"{MAX_NAMESAKES} instances called {name} run already; give this one a name of its own")
