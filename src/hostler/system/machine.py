"""What this machine and this process are called."""

from __future__ import annotations

import grp
import os
import pwd
import socket


def host_name() -> str:
    """Return the machine's name."""
    return socket.gethostname()


def own_user() -> tuple[int, str]:
    """Return the number and the name of the user that this process runs as; the number again without a name."""
    uid = os.getuid()
    try:
        return uid, pwd.getpwuid(uid).pw_name
    except KeyError:
        return uid, str(uid)


def own_group() -> tuple[int, str]:
    """Return the number and the name of this process's group; the number again without a name."""
    gid = os.getgid()
    try:
        return gid, grp.getgrgid(gid).gr_name
    except KeyError:
        return gid, str(gid)
