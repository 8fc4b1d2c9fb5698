"""Users and groups, and how a child becomes an unprivileged one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from hostler.errors import PrivilegeError
from hostler.system.capability import SETUID, keep_over_user_change, limit_capabilities, shrink_bounding_set


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a child runs as.

    Attributes:
        uid: numeric user, or None to stay.
        gid: numeric primary group, or None to stay.
        user_name: the user's name, for its supplementary groups; None when the user has no name.
        groups: the supplementary groups, in place of the user's own; None for those.
        capabilities: the capabilities to keep, and no others; None to have what the change of user leaves.
    """

    uid: int | None
    gid: int | None
    user_name: str | None
    groups: tuple[int, ...] | None = None
    capabilities: frozenset[int] | None = None


def effective_user() -> int:
    """Return the number of the user that we act as."""
    return os.geteuid()


def resolve_user(user: str) -> int:
    """Return the number of a user given by name or number.

    Raises:
        PrivilegeError: no such user exists.
    """
    if user.isdecimal():
        return int(user)
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise PrivilegeError(f"there is no user {user!r} on this machine; name one or its number") from None


def resolve_group(group: str) -> int:
    """Return the number of a group given by name or number.

    Raises:
        PrivilegeError: no such group exists.
    """
    if group.isdecimal():
        return int(group)
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise PrivilegeError(f"there is no group {group!r} on this machine; name one or its number") from None


def resolve_identity(
    user: str | None,
    group: str | None,
    groups: Sequence[str] = (),
    capabilities: frozenset[int] | None = None,
) -> Identity | None:
    """Turn the options into numbers: a user without a group takes the user's own primary group.

    Args:
        user: the user, by name or number.
        group: the primary group, by name or number.
        groups: the supplementary groups; none for the user's own.
        capabilities: see `Identity`.

    Returns:
        The identity, or None when neither is asked for.

    Raises:
        PrivilegeError: the user or group does not exist.
    """
    if user is None and group is None and not groups and capabilities is None:
        return None
    gid = resolve_group(group) if group is not None else None
    numbers = tuple(resolve_group(each) for each in groups) or None
    if user is None:
        return Identity(None, gid, None, numbers, capabilities)
    import pwd

    uid = resolve_user(user)
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Identity(uid, gid, None, numbers, capabilities)
    return Identity(uid, entry.pw_gid if gid is None else gid, entry.pw_name, numbers, capabilities)


def drop_privileges(identity: Identity) -> None:
    """Become `identity` for good: supplementary groups, group, user, capabilities, in that order, and verify it.

    Changes no user nor group where the process already runs as that identity, so that an unprivileged start with
    `user` set to oneself works.

    Raises:
        PrivilegeError: the kernel refused, or the privileges could be taken back.
    """
    kept = identity.capabilities
    if kept is not None:
        shrink_bounding_set(kept)
        keep_over_user_change()
    is_change = not _is_current(identity)
    if is_change:
        _change_user(identity)
    if kept is not None:
        limit_capabilities(kept)
    if is_change and (kept is None or SETUID not in kept):
        _verify(identity)


def _is_current(identity: Identity) -> bool:
    same_user = identity.uid is None or (os.getuid() == os.geteuid() == identity.uid)
    same_group = identity.gid is None or (os.getgid() == os.getegid() == identity.gid)
    same_groups = identity.groups is None or set(os.getgroups()) == set(identity.groups)
    return same_user and same_group and same_groups and os.geteuid() != 0


def _change_user(identity: Identity) -> None:
    try:
        _set_groups(identity)
        if identity.gid is not None:
            os.setresgid(identity.gid, identity.gid, identity.gid)
        if identity.uid is not None:
            os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        raise PrivilegeError(
            f"cannot become user {identity.uid} and group {identity.gid}: {error.strerror}; "
            "start as root, or leave out user, group and groups"
        ) from None


def _set_groups(identity: Identity) -> None:
    if identity.groups is not None:
        os.setgroups(identity.groups)
        return
    if os.geteuid() != 0:
        return
    gid = os.getgid() if identity.gid is None else identity.gid
    if identity.user_name is not None:
        os.initgroups(identity.user_name, gid)
    elif identity.uid is not None:
        os.setgroups([gid])


def _verify(identity: Identity) -> None:
    if identity.uid is None or identity.uid == 0:
        return
    try:
        os.setuid(0)
    except OSError:
        return
    raise PrivilegeError(f"user {identity.uid} could become root again; refusing to run the application like this")


def own_uid() -> int:
    """Return the user that we are."""
    return os.getuid()


def own_gid() -> int:
    """Return the group that we are."""
    return os.getgid()
