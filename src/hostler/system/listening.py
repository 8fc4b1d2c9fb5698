"""Who listens where on this machine, as /proc tells it; Linux only, elsewhere nothing is known."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# include/net/tcp_states.h; include/uapi/linux/net.h: SO_ACCEPTCON.
_LISTEN = "0A"
_ACCEPTS = 0x10000


@dataclass(frozen=True, slots=True)
class Owner:
    """A process.

    Attributes:
        pid: its number.
        name: what the kernel calls it, such as "nginx".
        command: its command line; a program may have rewritten it.
        uid: its effective user.
        directory: where it works; empty where that may not be seen.
    """

    pid: int
    name: str
    command: tuple[str, ...]
    uid: int
    directory: str = ""

    @property
    def is_hostler(self) -> bool:
        """Whether it is one of ours, by its title or by how it was started."""
        line = " ".join(self.command)
        return line.startswith("hostler: ") or " -m hostler" in line or Path(line.partition(" ")[0]).name == "hostler"

    def __str__(self) -> str:
        """Name and number: "nginx (pid 812)"."""
        return f"{'hostler' if self.is_hostler else self.name} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket.

    Attributes:
        host: its address; empty for a unix socket.
        port: its port; 0 for a unix socket.
        path: of a unix socket; an abstract one begins with "@".
        uid: who made it.
        owners: the processes that hold it, as far as we may see them.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    uid: int = -1
    owners: tuple[Owner, ...] = ()

    @property
    def place(self) -> str:
        """The address as Hostler writes it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def list_listening(proc: Path = PROC) -> tuple[Listening, ...]:
    """List all listening TCP and unix sockets with their owners."""
    found = [*_read_tcp(proc, "tcp"), *_read_tcp(proc, "tcp6"), *_read_unix(proc)]
    owners = _map_owners(proc, {inode for inode, _ in found})
    return tuple(
        Listening(each.host, each.port, each.path, each.uid, tuple(owners.get(inode, ()))) for inode, each in found
    )


def read_owner(pid: int, proc: Path = PROC) -> Owner | None:
    """Tell who a process is; None when it is gone."""
    place = proc / str(pid)
    try:
        command = tuple(
            part for part in (place / "cmdline").read_bytes().decode("utf-8", "replace").split("\0") if part
        )
        name = (place / "comm").read_text().strip()
        status = (place / "status").read_text()
    except OSError:
        return None
    uid = next((int(line.split()[2]) for line in status.splitlines() if line.startswith("Uid:")), -1)
    return Owner(pid, name, command, uid, _read_link(place / "cwd"))


def list_processes(proc: Path = PROC) -> Iterator[int]:
    """List the numbers of all processes."""
    try:
        yield from (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    except OSError:
        return


def read_descriptor_limit(pid: int, proc: Path = PROC) -> int | None:
    """Tell how many descriptors a process may have open; None where that may not be seen."""
    try:
        text = (proc / str(pid) / "limits").read_text()
    except OSError:
        return None
    line = next((each for each in text.splitlines() if each.startswith("Max open files")), "")
    word = line.removeprefix("Max open files").split()[:1]
    return int(word[0]) if word and word[0].isdigit() else None


def _read_lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text().splitlines()[1:]]
    except OSError:
        return []


def _read_tcp(proc: Path, name: str) -> Iterator[tuple[str, Listening]]:
    for words in _read_lines(proc / "net" / name):
        if len(words) > 9 and words[3] == _LISTEN:
            host, _, port = words[1].partition(":")
            yield words[9], Listening(_decode_host(host), int(port, 16), uid=int(words[7]))


def _decode_host(text: str) -> str:
    """Decode an address as the kernel prints it: words of 32 bits in the machine's order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return str(ipaddress.ip_address(packed))


def _read_unix(proc: Path) -> Iterator[tuple[str, Listening]]:
    for words in _read_lines(proc / "net" / "unix"):
        if len(words) > 7 and int(words[3], 16) & _ACCEPTS:
            yield words[6], Listening(path=" ".join(words[7:]))


def _map_owners(proc: Path, inodes: set[str]) -> Mapping[str, list[Owner]]:
    owners: dict[str, list[Owner]] = {}
    for pid in sorted(list_processes(proc)):
        held = {inode for inode in _list_sockets(proc / str(pid) / "fd") if inode in inodes}
        owner = read_owner(pid, proc) if held else None
        if owner is not None:
            for inode in held:
                owners.setdefault(inode, []).append(owner)
    return owners


def _list_sockets(directory: Path) -> Iterator[str]:
    try:
        entries = list(directory.iterdir())
    except OSError:
        return
    for entry in entries:
        target = _read_link(entry)
        if target.startswith("socket:["):
            yield target[8:-1]


def _read_link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def is_own_address(host: str) -> bool:
    """Tell whether an IP address is one of this machine's: the kernel lets only those be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def resolve_name(name: str) -> tuple[str, ...]:
    """Give the addresses of a host name; none when it has none.

    Raises:
        OSError: the name cannot be looked up now.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            return ()
        raise
    except UnicodeError:
        return ()
    return tuple(dict.fromkeys(str(target[0]) for *_, target in found))
