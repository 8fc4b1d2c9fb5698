"""Whether a user gets to a socket: the permissions along its path. Pure."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hostler.doctor.model import Finding
from hostler.system.pathwalk import Component


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who wants to get there.

    Attributes:
        name: of the user.
        uid: its number.
        groups: the numbers of its groups.
        program: what runs as that user, for people.
    """

    name: str
    uid: int
    groups: frozenset[int]
    program: str


def may(visitor: Visitor, component: Component, want: int) -> bool:
    """Tell whether a mode lets a visitor do what `want` (bits of `stat.S_IRWXO`) says (path_resolution(7))."""
    if visitor.uid == 0:
        return True
    if visitor.uid == component.uid:
        return (component.mode >> 6) & want == want
    if component.gid in visitor.groups:
        return (component.mode >> 3) & want == want
    return component.mode & want == want


def check_path(steps: Sequence[Component], visitor: Visitor) -> Iterator[Finding]:
    """Check the way to a socket, which the last of `steps` is."""
    *_, last = steps
    stopped = [each for each in steps if not each.problem and not may(visitor, each, _want(each))]
    table = _draw(steps, stopped, visitor)
    if last.problem:
        return
    if not stat.S_ISSOCK(last.mode):
        yield Finding("fault", "socket", f"{last.path} is no socket", remedies=(f"rm {last.path}",), details=table)
        return
    if not stopped:
        yield Finding("fine", "socket", f"{visitor.name} ({visitor.program}) may connect to {last.path}")
        return
    where = "and ".join(f"{'write to' if each is last else 'enter'} {each.path} " for each in stopped).strip()
    yield Finding(
        "warning" if any(each.has_acl for each in stopped) else "fault",
        "socket",
        f"{visitor.name} ({visitor.program}) may not {where}"
        + (", unless its access list says otherwise" if any(each.has_acl for each in stopped) else ""),
        remedies=tuple(line for each in stopped for line in _mend(each, visitor, is_socket=each is last)),
        details=table,
    )


def _want(step: Component) -> int:
    if stat.S_ISDIR(step.mode):
        return stat.S_IXOTH
    return stat.S_IWOTH if stat.S_ISSOCK(step.mode) else 0


def _mend(step: Component, visitor: Visitor, *, is_socket: bool) -> Iterator[str]:
    if is_socket:
        yield f"hostler ... --bind 'unix:{step.path}?mode=660&group={visitor.name}'    # and restart it"
        return
    if step.gid in visitor.groups:
        yield f"chmod g+x {step.path}"
        return
    yield f"setfacl -m u:{visitor.name}:x {step.path}    # or, for everybody: chmod o+x {step.path}"


def _draw(steps: Sequence[Component], stopped: Sequence[Component], visitor: Visitor) -> str:
    lines = [str(each) for each in steps]
    width = max(len(line) for line in lines)
    return "\n".join(
        f"{line:<{width}}   <- {visitor.name} stops here" if each in stopped[:1] else line
        for line, each in zip(lines, steps, strict=True)
    )
