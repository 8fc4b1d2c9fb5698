"""What a percent sign stands for in uWSGI's files: facts of the machine, and parts of the file's own name.

The text of a file is replaced before it is read. A letter that means nothing is taken out with its sign, as by uWSGI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The version whose options and meanings these are.
VERSION = "2.0.30"
# Facts of a file that have a second letter, for the first file, whatever is included there.
_LASTING = {"o": "O", "d": "D", "s": "S", "p": "P", "c": "C", "e": "E", "n": "N", "x": "X", "i": "I", "j": "J"}
_SIGN = re.compile(r"%(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Machine:
    """What does not depend on a file.

    Attributes:
        directory: where the server is started, absolute.
        program: the path of the program.
        host: the machine's name.
        cores: how many cores there are.
        user: the user's number and name.
        group: the group's number and name.
        now: seconds since the epoch.
    """

    directory: Path
    program: str = "hostler"
    host: str = "localhost"
    cores: int = 1
    user: tuple[int, str] = (0, "root")
    group: tuple[int, str] = (0, "root")
    now: float = 0.0


class MagicTable:
    """The letters, and what they stand for now."""

    def __init__(self, machine: Machine) -> None:
        """Begin with the machine's facts, before any file."""
        self._machine = machine
        self._is_first_known = False
        self._letters: dict[str, str] = {
            "%": "%",
            "(": "%(",
            "[": "\033",
            "v": str(machine.directory),
            "V": VERSION,
            "h": machine.host,
            "k": str(machine.cores),
            "t": str(int(machine.now)),
            "T": str(int(machine.now * 1_000_000)),
            "u": str(machine.user[0]),
            "U": machine.user[1],
            "g": str(machine.group[0]),
            "G": machine.group[1],
        }

    def replace(self, text: str) -> str:
        """Replace every sign in a text."""
        return _SIGN.sub(lambda match: self._letters.get(match[1], ""), text)

    def enter(self, name: str, *, is_template: bool) -> None:
        """Take on the facts of a file that is about to be read.

        Args:
            name: as it was given, with its section.
            is_template: whether it is read for another, whose own letters stay.
        """
        self._letters["o"] = name
        if name == "-" or "://" in name:
            return
        path, colon, section = name.rpartition(":")
        path = path if colon else name
        if path or not colon:
            self._letters |= self._describe(path)
        self._letters["x"] = section if colon else ""
        if not is_template and not self._is_first_known:
            self._letters |= {second: self._letters.get(first, "") for first, second in _LASTING.items()}
            self._is_first_known = True

    def _describe(self, path: str) -> Mapping[str, str]:
        whole = self._machine.directory / path
        # A link keeps its own name.
        whole = whole if whole.is_symlink() else whole.resolve()
        directory = str(whole.parent)
        parts = directory.strip("/").split("/")
        stem, dot, ending = whole.name.rpartition(".")
        numbered = {str(at): parts[at] if at < len(parts) else "" for at in range(10)}
        return numbered | {
            "b": self._machine.program,
            "p": str(whole),
            "s": whole.name,
            "d": directory.rstrip("/") + "/",
            "c": parts[-1],
            "e": ending if dot else "",
            "n": stem if dot else whole.name,
            "i": _find_inode(whole),
            "j": hash_path(str(whole)),
        }


def _find_inode(path: Path) -> str:
    try:
        return str(path.lstat().st_ino)
    except OSError:
        return ""


def hash_path(path: str) -> str:
    """Give uWSGI's hash of a path (djb33x, little endian, in hexadecimal)."""
    number = 5381
    for byte in path.encode("utf-8", "surrogateescape"):
        number = (number * 33 & 0xFFFFFFFF) ^ byte
    return number.to_bytes(4, "little").hex().upper()
