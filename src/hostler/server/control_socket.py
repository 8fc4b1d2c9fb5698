"""The control socket of this server: where it is made, and who may use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hostler.config import Config
from hostler.control.instance import derive_name, find_whereabouts, open_named
from hostler.system.local_socket import LocalListener, Peer
from hostler.system.user import effective_user, resolve_group

# Behind the path of the socket that is to be replaced: commands do not find it there.
UPGRADE_SUFFIX = ".new"


def open_listener(config: Config, target: str, environment: Mapping[str, str], former: str = "") -> LocalListener:
    """Make the socket.

    Args:
        config: the configuration.
        target: the application.
        environment: says where sockets of this user are.
        former: the socket of the server whose place this one is about to take, or "": then it is made beside that.

    Raises:
        HostlerError: it cannot be made.
    """
    control = config.control
    if former:
        return LocalListener(Path(f"{former}{UPGRADE_SUFFIX}"), control.group)
    if control.socket is not None:
        return LocalListener(control.socket, control.group)
    name = derive_name(config.server.name, target, Path(config.app.chdir).resolve())
    return open_named(find_whereabouts(control.directory, environment, effective_user()), name, control.group)


def build_permission(group: str | None) -> Callable[[Peer], bool]:
    """Build what says who may use it: our own user, root, and members of a group.

    The mode of the file says the same, but a mode can be changed, and a connection can be handed on.

    Raises:
        PrivilegeError: there is no such group.
    """
    users = {0, effective_user()}
    number = resolve_group(group) if group is not None else None
    return lambda peer: peer.uid in users or number in peer.groups
