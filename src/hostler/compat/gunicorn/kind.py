"""Kinds of Gunicorn's values: what a configuration file or a flag may give, and the value that comes of it.

A kind is a function that takes a raw value, typed by Python or a text from the command line, and raises a ValueError
that says what was expected. They accept what Gunicorn 27 accepts.
"""

from __future__ import annotations

import inspect
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

Kind = Callable[[Any], Any]


def take_text(raw: object) -> str | None:
    """A text, or None."""
    if raw is None:
        return None
    if not isinstance(raw, str):
        raise ValueError("a text")
    return raw.strip()


def take_integer(raw: object) -> int:
    """A whole number that is not negative; texts may be hexadecimal or octal, as in Python's source."""
    try:
        number = int(raw, 0) if isinstance(raw, str) else int(raw)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a whole number") from None
    if number < 0:
        raise ValueError("a whole number of at least 0")
    return int(number)


def take_mask(raw: object) -> int:
    """As `take_integer`; a leading zero means octal, "022"."""
    if isinstance(raw, str) and re.fullmatch(r"0[0-9]+", raw.strip()):
        raw = f"0o{raw.strip()[1:]}"
    return take_integer(raw)


def take_switch(raw: object) -> bool | None:
    """True or False, also as texts; or None."""
    if raw is None or isinstance(raw, bool):
        return raw
    known = {"true": True, "false": False}
    if not isinstance(raw, str) or raw.strip().lower() not in known:
        raise ValueError("True or False")
    return known[raw.strip().lower()]


def take_list(raw: object) -> list[str]:
    """A list of texts, or one text."""
    if not raw:
        return []
    items = [raw] if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple | set) or not all(isinstance(item, str) for item in items):
        raise ValueError("a list of texts")
    return [item.strip() for item in items]


def take_words(raw: object) -> list[str]:
    """A text with items separated by commas."""
    return [item.strip() for item in (take_text(raw) or "").split(",") if item.strip()]


def take_networks(raw: object) -> list[str]:
    """Addresses, networks or `*`, separated by commas."""
    items = take_words(raw)
    for item in items:
        if item != "*":
            try:
                ipaddress.ip_network(item)
            except ValueError as error:
                raise ValueError(f'addresses, networks or "*", separated by commas ({error})') from None
    return items


def take_table(raw: object) -> dict[Any, Any]:
    """A dictionary."""
    if not isinstance(raw, Mapping):
        raise ValueError("a dictionary")
    return dict(raw)


def take_class(raw: object) -> object:
    """A class, its name as a text, or a function that gives it."""
    if inspect.isfunction(raw):
        try:
            raw = raw()
        except Exception as error:  # the border of the operator's code
            raise ValueError(f"a function that gives a class ({type(error).__name__}: {error})") from error
    return raw if inspect.isclass(raw) else take_text(raw)


def take_function(raw: object) -> object:
    """Something that can be called, or its name as "module.function"."""
    if isinstance(raw, str) and "." in raw:
        return raw
    if not callable(raw):
        raise ValueError('a function, or its name as "module.function"')
    return raw


def take_account(raw: object) -> str | None:
    """A user or group by name or number."""
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise ValueError("a name or a number")
    return str(raw)


def take_anything(raw: object) -> object:
    """Whatever is given."""
    return raw


def take_proxy_protocol(raw: object) -> str:
    """off, v1, v2 or auto; True and False stand for auto and off."""
    if raw is None or isinstance(raw, bool):
        return "auto" if raw else "off"
    return _choose(raw, {"false": "off", "true": "auto", "none": "off"}, ("off", "v1", "v2", "auto"))


def take_protocols(raw: object) -> list[str]:
    """h1 and h2, separated by commas."""
    words = take_words(raw) or ["h1"]
    for word in words:
        _choose(word, {}, ("h1", "h2"))
    return [word.lower() for word in words]


def one_of(*choices: str) -> Kind:
    """Make the kind of a text that is one of several; None stands for the first."""

    def take_choice(raw: object) -> str:
        return choices[0] if raw is None else _choose(raw, {}, choices)

    return take_choice


def take_cleartext(raw: object) -> str:
    """off, prior-knowledge, upgrade or both; True and False stand for prior-knowledge and off."""
    if raw is None or isinstance(raw, bool):
        return "prior-knowledge" if raw else "off"
    return _choose(raw, {}, ("off", "prior-knowledge", "upgrade", "both"))


def _choose(raw: object, also: Mapping[str, str], choices: tuple[str, ...]) -> str:
    text = raw.strip().lower() if isinstance(raw, str) else ""
    text = also.get(text, text)
    if text not in choices:
        raise ValueError(f"one of {', '.join(choices)}")
    return text
