"""What stands on the way to a file: each component of its path with owner and mode, as `namei -l` shows it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# As path_resolution(7) says.
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Component:
    """One step on the way.

    Attributes:
        path: up to here.
        mode: kind and permissions; 0 when it is missing.
        uid: its owner.
        gid: its group.
        problem: why there is nothing to see here; empty when there is.
        has_acl: whether an access list says more than the mode.
    """

    path: Path
    mode: int = 0
    uid: int = -1
    gid: int = -1
    problem: str = ""
    has_acl: bool = False

    def __str__(self) -> str:
        """Write it like `namei -l`."""
        if self.problem:
            return f"{'?':<10} {'':<19} {self.path}  ({self.problem})"
        owner = f"{user_name(self.uid)} {group_name(self.gid)}"
        return f"{stat.filemode(self.mode)} {owner:<19} {self.path}{' +acl' if self.has_acl else ''}"


def walk_path(path: Path, *, root: Path = Path("/")) -> tuple[Component, ...]:
    """Look at each component from the root on, through symbolic links, up to the first that cannot be seen.

    Args:
        path: where to; absolute.
        root: what stands for "/": another process's root, as in /proc/PID/root.
    """
    steps: list[Component] = []
    for step in _walk(path, root, _MOST_LINKS):
        if step.problem or all(step.path != each.path for each in steps):
            steps.append(step)
    return tuple(steps)


def _walk(path: Path, root: Path, links: int) -> Iterator[Component]:
    current = Path("/")
    for part in path.parts:
        current = current / part
        step = _look(current, root)
        yield step
        if step.problem:
            return
        if stat.S_ISLNK(step.mode):
            target = current.parent / (root / current.relative_to("/")).readlink()
            if links == 0:
                yield Component(current, problem="symbolic links go in a circle")
                return
            rest = path.parts[len(current.parts) :]
            yield from _walk(Path(os.path.normpath(target)).joinpath(*rest), root, links - 1)
            return


def _look(path: Path, root: Path) -> Component:
    place = root / path.relative_to("/")
    try:
        # A root is what is behind the link that stands for it (/proc/PID/root).
        found = place.stat() if path == path.parent else place.lstat()
    except OSError as error:
        return Component(path, problem=error.strerror or str(error))
    return Component(path, found.st_mode, found.st_uid, found.st_gid, has_acl=_has_acl(place, found.st_mode))


def _has_acl(place: Path, mode: int) -> bool:
    if stat.S_ISLNK(mode):
        return False
    try:
        return bool(os.getxattr(place, "system.posix_acl_access", follow_symlinks=False))
    except (OSError, AttributeError):
        return False


def user_name(uid: int) -> str:
    """Give a user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Give a group's name, or the number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def list_groups(uid: int) -> frozenset[int]:
    """List the groups of a user, as a program that becomes it has them."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    return frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))


def list_process_groups(pid: int) -> frozenset[int]:
    """List the groups that a running process has; none where that may not be seen."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return frozenset()
    words = [line.split() for line in lines if line.startswith(("Gid:", "Groups:"))]
    return frozenset(int(word) for each in words for word in each[1:])
