"""`$(ENV)`, `@(file)` and `%(name)` in values: what they name is looked up and put in their place."""

from __future__ import annotations

import re
from collections.abc import Callable

from hostler.errors import ConfigurationError

# How often one value may be replaced: one that names itself would be without end (arbitrary).
MOST_REPLACEMENTS = 1000
# The largest value (arbitrary).
LARGEST_VALUE = 1_048_576
_NUMBER = re.compile(r"\s*([-+]?\d+)")

# Gives what a name stands for, or None to leave the text as it is.
LookUp = Callable[[str], str | None]


def replace_all(value: str, symbol: str, look_up: LookUp, where: str) -> str:
    """Replace every `symbol(name)` in a value, from the left, also in what was put in.

    Raises:
        ConfigurationError: there is no end to it.
    """
    start = 0
    for _ in range(MOST_REPLACEMENTS):
        found = _find(value, symbol, start)
        if found is None:
            return value
        begin, end = found
        text = look_up(value[begin + 2 : end])
        if text is None:
            start = end + 1
            continue
        value = value[:begin] + text + value[end + 1 :]
        if len(value) > LARGEST_VALUE:
            break
        # uWSGI begins again, but for the first character.
        start = 1
    raise ConfigurationError(f"{where}: {symbol}(...) has no end, as it leads to itself")


def _find(value: str, symbol: str, start: int) -> tuple[int, int] | None:
    """Find the next one that is closed and not empty: where it begins, and its closing parenthesis."""
    begin = value.find(f"{symbol}(", start)
    while begin >= 0:
        end = _find_end(value, begin + 2)
        if end < 0:
            return None
        if end > begin + 2:
            return begin, end
        begin = value.find(f"{symbol}(", end + 1)
    return None


def _find_end(value: str, place: int) -> int:
    depth = 0
    for at in range(place, len(value)):
        if value[at] == "(":
            depth += 1
        elif value[at] == ")":
            if not depth:
                return at
            depth -= 1
    return -1


def compute(text: str, look_up: LookUp) -> str | None:
    """Give what a placeholder stands for: one name, or names and numbers with + - * / ++ -- between blanks.

    From left to right, without precedence; what has no sign between is joined.
    """
    if " " not in text:
        return look_up(text)
    result: str | None = None
    sign = ""
    for word in text.split(" "):
        if word in ("++", "--"):
            result = str(read_number(result or "") + (1 if word == "++" else -1)) if result is not None else None
            sign = ""
        elif word in ("+", "-", "*", "/"):
            sign = word
        elif word:
            value = word if word.isdecimal() else look_up(word) or ""
            result = _combine(result or "", sign, value)
            sign = ""
    return result


def _combine(left: str, sign: str, right: str) -> str:
    if not sign:
        return left + right
    first, second = read_number(left), read_number(right)
    if sign == "/":
        # Towards zero; uWSGI makes 0 of what is divided by zero.
        return str(int(first / second)) if second else "0"
    return str({"+": first + second, "-": first - second, "*": first * second}[sign])


def read_number(text: str) -> int:
    """Read the number that a text begins with, as C does; 0 if it begins with none."""
    match = _NUMBER.match(text)
    return int(match[1]) if match else 0
