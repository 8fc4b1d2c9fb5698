"""Checks the order of the crate's modules: each may name only modules of lower layers, and only the top two name pyo3.

Usage: check_rust_modules.py SOURCE_DIRECTORY

A module is a file or directory directly under src/. A reference is a path that starts with `crate::`, in an import or
in code; comments and strings are left out. `super::` stays inside a module and is not looked at, except from a file
directly under src/, where it would mean the crate. Tests count like code. A module that has no layer is an error, so
that a new one must take a place here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Top to bottom. Modules of one layer do not name each other.
LAYERS: Sequence[frozenset[str]] = (
    frozenset({"lib"}),
    frozenset({"python"}),
    frozenset({"worker"}),
    frozenset({"routes", "proxy"}),
    frozenset({"conn"}),
    frozenset({"net", "files", "cache", "shm", "access_log", "trust"}),
    frozenset({"tls"}),
    frozenset({"reactor"}),
    frozenset({"codec"}),
    frozenset({"time", "error", "request_id"}),
)

# The only modules that may touch the interpreter; the rest builds and tests without one.
PYO3_MODULES = frozenset({"lib", "python"})

_NOISE = re.compile(
    r"""
      //[^\n]*                          # a line comment
    | /\*.*?\*/                         # a block comment (nested ones do not occur)
    | b?r(?P<hashes>\#*)".*?"(?P=hashes)  # a raw string
    | b?"(?:\\.|[^"\\])*"               # a string
    | b?'(?:\\[^\n]{1,9}?|[^'\\\n])'    # a character; a lifetime has no closing quote
    """,
    re.VERBOSE | re.DOTALL,
)
_CRATE_PATH = re.compile(r"\bcrate::\s*(\{|[A-Za-z_]\w*)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_PYO3 = re.compile(r"\bpyo3\s*(?:::|;|as\b)|\bextern\s+crate\s+pyo3\b")


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where (file, line) and what."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def blank_noise(source: str) -> str:
    """Replace comments and strings by spaces, keeping every line where it is."""
    return _NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)


def find_references(source: str) -> Iterator[tuple[int, str]]:
    """Find the top-level modules that a source file names through `crate::`, with their lines.

    A group such as `crate::{codec::http1, time}` yields one reference per member.
    """
    clean = blank_noise(source)
    for match in _CRATE_PATH.finditer(clean):
        line = clean.count("\n", 0, match.start()) + 1
        if match[1] != "{":
            yield line, match[1]
            continue
        yield from ((line, name) for name in _split_group(clean, match.end()))


def _split_group(source: str, start: int) -> Iterator[str]:
    """Yield the first name of each member of a brace group, whose inside begins at `start`."""
    depth = 1
    is_expected = True
    position = start
    while position < len(source) and depth:
        character = source[position]
        name = _NAME.match(source, position)
        if name:
            if depth == 1 and is_expected:
                yield name[0]
            is_expected = False
            position = name.end()
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        is_expected = is_expected or (character == "," and depth == 1)
        position += 1


def module_of(path: Path) -> str:
    """Name the top-level module that a file (relative to the source directory) belongs to."""
    return path.parts[0].removesuffix(".rs")


def rank_modules(layers: Sequence[frozenset[str]]) -> Mapping[str, int]:
    """Map each module to its layer, 0 for the top."""
    return {module: rank for rank, layer in enumerate(layers) for module in layer}


def check_file(path: Path, source: str, present: frozenset[str]) -> Iterator[Violation]:
    """Check one file.

    Args:
        path: relative to the source directory.
        source: its text.
        present: the top-level modules that exist; other names after `crate::` are items of lib.rs.
    """
    ranks = rank_modules(LAYERS)
    module = module_of(path)
    if module not in ranks:
        yield Violation(path, 1, f"module `{module}` has no layer: give it one in scripts/check_rust_modules.py")
        return
    for line, name in find_references(source):
        target = name if name in present or name in ranks else "lib"
        if target != module and target in ranks and ranks[target] <= ranks[module]:
            yield Violation(path, line, f"`{module}` names `{name}`, which is not below it")
    if module not in PYO3_MODULES:
        clean = blank_noise(source)
        for match in _PYO3.finditer(clean):
            line = clean.count("\n", 0, match.start()) + 1
            yield Violation(path, line, f"`{module}` names pyo3: only {' and '.join(sorted(PYO3_MODULES))} may")


def check_tree(directory: Path) -> list[Violation]:
    """Check all files of a crate's source directory."""
    paths = sorted(path.relative_to(directory) for path in directory.rglob("*.rs"))
    present = frozenset(map(module_of, paths)) - {"lib"}
    return [violation for path in paths for violation in check_file(path, (directory / path).read_text(), present)]


def main(arguments: Sequence[str]) -> int:
    """Check the directory named on the command line; return the exit status."""
    if len(arguments) != 1 or not (directory := Path(arguments[0])).is_dir():
        print("usage: check_rust_modules.py SOURCE_DIRECTORY", file=sys.stderr)
        return 2
    violations = check_tree(directory)
    for violation in violations:
        print(violation)
    print(f"order of Rust modules: {len(violations)} violations" if violations else "order of Rust modules: kept")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
