"""The text that names an application, and its parts; nothing is imported or run here."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from hostler.errors import ApplicationError

FORMS = "module:attr, module, module:factory('x', debug=True), or a path to a .py or .wsgi file"


@dataclass(frozen=True, slots=True)
class Call:
    """The literal arguments that a factory is called with."""

    arguments: tuple[object, ...] = ()
    keywords: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """An application's name, taken apart. Exactly one of `module` and `path` is not empty.

    Attributes:
        text: the whole, as it was written.
        module: the dotted name of the module to import.
        path: the path of the file to load.
        attributes: the names that lead from the module to the object; empty when the usual ones are to be tried.
        call: the arguments when the object is a factory; None when it is the application itself.
    """

    text: str
    module: str = ""
    path: str = ""
    attributes: tuple[str, ...] = ()
    call: Call | None = None

    def __str__(self) -> str:
        return self.text


def parse_target(text: str) -> Target:
    """Take the name of an application apart.

    Args:
        text: `module:attr`, `module`, `module:factory('x', debug=True)`, `path/to/file.py[:attr]` or
            `path/to/file.wsgi`. A factory's arguments are literals: nothing is evaluated. A path has no colon.
            `mysite.wsgi` is a module, as Django spells it; the file of that name is `./mysite.wsgi`.

    Raises:
        ApplicationError: `text` has none of these forms.
    """
    text = text.strip()
    place, colon, expression = text.partition(":")
    attributes: tuple[str, ...] = ()
    call: Call | None = None
    if colon:
        attributes, call = _parse_expression(expression, text)
    is_dotted_name = all(part.isidentifier() for part in place.split("."))
    if "/" in place or place.endswith(".py") or (place.endswith(".wsgi") and not is_dotted_name):
        return Target(text, path=place, attributes=attributes, call=call)
    if not is_dotted_name:
        raise ApplicationError(f'"{text}" does not name an application; write {FORMS}')
    return Target(text, module=place, attributes=attributes, call=call)


def _parse_expression(expression: str, text: str) -> tuple[tuple[str, ...], Call | None]:
    """Read what stands behind the colon: names joined by dots, perhaps with a call at the end."""
    try:
        node = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the parser's own limits on depth and NULs
        node = None
    if isinstance(node, ast.Call):
        names, call = _read_names(node.func), _read_call(node, text)
    else:
        names, call = _read_names(node), None
    if not names:
        raise ApplicationError(f'"{text}" does not name an application: "{expression}" is no attribute; write {FORMS}')
    return names, call


def _read_names(node: ast.expr | None) -> tuple[str, ...]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    return (node.id, *reversed(names))


def _read_call(node: ast.Call, text: str) -> Call:
    try:
        arguments = tuple(ast.literal_eval(argument) for argument in node.args)
        keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        arguments, keywords = (), None
    if keywords is None or len(keywords) != len(node.keywords):
        raise ApplicationError(
            f"\"{text}\": a factory's arguments must be literals, such as 'text', 1, True or [1, 2]; "
            "for anything else write a small module that makes the application"
        )
    return Call(arguments, keywords)
