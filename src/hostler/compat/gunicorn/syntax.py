"""What the text of a configuration file tells that running it does not: where a name is set, and to what expression."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name gets its value.

    Attributes:
        line: counted from 1.
        expression: what stands behind the equals sign; empty for a function, a class or an import.
        is_literal: whether that is the value itself, not computed.
    """

    line: int
    expression: str
    is_literal: bool


def locate_names(text: str) -> Mapping[str, Place]:
    """Map each name that a Python file sets at its top, within branches too, to the last place that does."""
    return dict(_walk(ast.parse(text).body))


def _walk(body: list[ast.stmt]) -> Iterator[tuple[str, Place]]:
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _read_target(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                yield from _read_target(target, value)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, Place(statement.lineno, "", is_literal=True)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                for alias in names:
                    yield alias.asname or alias.name, Place(statement.lineno, "", is_literal=True)
            case _:
                for part in ("body", "handlers", "orelse", "finalbody"):
                    for inner in getattr(statement, part, []):
                        yield from _walk(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _read_target(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, Place]]:
    if isinstance(target, ast.Name):
        yield target.id, Place(target.lineno, " ".join(ast.unparse(value).split()), _is_literal(value))


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
