"""`hostler config show`: the effective configuration, and where each value came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hostler.cli.arguments import load_with_application, parse_arguments
from hostler.config import Loaded
from hostler.config.option import Option
from hostler.config.origin import suggest
from hostler.config.schema import list_options
from hostler.errors import ConfigurationError


def execute(arguments: Sequence[str]) -> int:
    """Print the configuration as lines, or with `--json` as one object."""
    words = list(arguments)
    if not words or words[0].startswith("-"):
        if not {"-h", "--help", "--help-all"} & set(words):
            raise ConfigurationError('say what to do with the configuration: "hostler config show"')
    else:
        action = words.pop(0)
        if action != "show":
            hint = suggest(action, ["show"], otherwise="; the only action is show")
            raise ConfigurationError(f'unknown action "{action}"{hint}')
    parsed = parse_arguments("config", words)
    loaded, found = load_with_application(parsed.sources)
    recognised = f"(recognised by {found.reason})" if found else ""
    if parsed.namespace.json:
        print(write_json(loaded, recognised))
    else:
        print(write_lines(loaded, recognised))
    return 0


def write_lines(loaded: Loaded, recognised: str) -> str:
    """Write one line per option: `workers.count = 4   (hostler.toml:7)`."""
    rows = [
        (f"{option.path} = {option.kind.format(read_value(loaded, option))}", read_origin(loaded, option, recognised))
        for option in list_options()
    ]
    width = min(max(len(text) for text, _ in rows), 60)
    return "\n".join(f"{text:<{width}}   {origin}" for text, origin in rows)


def write_json(loaded: Loaded, recognised: str) -> str:
    """Write an object: for each option its value, its origin in words, and its source."""
    values = {
        option.path: {
            "value": _simplify(read_value(loaded, option)),
            "source": loaded.origins[option.path].source,
            "where": loaded.origins[option.path].where,
            "origin": read_origin(loaded, option, recognised).strip("()"),
        }
        for option in list_options()
    }
    document = {"file": _simplify(loaded.file), "environment": loaded.environment, "options": values}
    return json.dumps(document, indent=2, ensure_ascii=False)


def read_value(loaded: Loaded, option: Option) -> object:
    """Give the effective value of an option."""
    return getattr(getattr(loaded.config, option.section), option.name)


def read_origin(loaded: Loaded, option: Option, recognised: str) -> str:
    """Give the origin of an option's value in words; the application may have been recognised by its files."""
    if option.path == "app.target" and recognised:
        return recognised
    return str(loaded.origins[option.path])


def _simplify(value: object) -> object:
    """Turn a value into what JSON has."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value
