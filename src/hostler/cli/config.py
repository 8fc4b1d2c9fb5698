"""`hostler config show` and `hostler config schema`: the effective configuration, and what it may be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from hostler.cli.arguments import load_with_application, parse_arguments
from hostler.config import Loaded
from hostler.config.kind import quote, quote_key
from hostler.config.option import Option
from hostler.config.origin import suggest
from hostler.config.schema import list_options
from hostler.errors import ConfigurationError

ACTIONS = ("show", "schema")
_HELP = {"-h", "--help", "--help-all"}


def execute(arguments: Sequence[str]) -> int:
    """Print the configuration as lines, or with `--json` as one object; or print its schema."""
    words = list(arguments)
    if not words or words[0].startswith("-"):
        if not _HELP & set(words):
            raise ConfigurationError(
                'say what to do with the configuration: "hostler config show" or "hostler config schema"'
            )
        action = "show"
    else:
        action = words.pop(0)
    if action == "schema" and not _HELP & set(words):
        return print_schema(words)
    if action not in ACTIONS:
        hint = suggest(action, ACTIONS, otherwise=f"; the actions are {' and '.join(ACTIONS)}")
        raise ConfigurationError(f'unknown action "{action}"{hint}')
    parsed = parse_arguments("config", words)
    loaded, found = load_with_application(parsed.sources)
    recognised = f"(recognised by {found.reason})" if found else ""
    if parsed.namespace.json:
        print(write_json(loaded, recognised))
    else:
        print(write_lines(loaded, recognised))
    return 0


def print_schema(arguments: Sequence[str]) -> int:
    """Print the JSON Schema of the configuration file."""
    if arguments:
        raise ConfigurationError(f'unexpected argument "{arguments[0]}"; "hostler config schema" takes none')
    from hostler.config.json_schema import build_schema  # this action's alone

    print(json.dumps(build_schema(), indent=2, ensure_ascii=False))
    return 0


def write_lines(loaded: Loaded, recognised: str) -> str:
    """Write one line per option: `workers.count = 4   (hostler.toml:7)`."""
    rows = [
        (f"{option.path} = {write_value(loaded, option)}", read_origin(loaded, option, recognised))
        for option in list_options()
    ]
    width = min(max(len(text) for text, _ in rows), 60)
    return "\n".join(f"{text:<{width}}   {origin}" for text, origin in rows)


def write_json(loaded: Loaded, recognised: str) -> str:
    """Write an object: for each option its value, its origin in words, and its source."""
    values = {
        option.path: {
            "value": _simplify(mask_value(loaded, option)),
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


def mask_value(loaded: Loaded, option: Option) -> object:
    """Give the effective value of an option, with its mask in the place of what is not to be seen."""
    value = read_value(loaded, option)
    if isinstance(value, Mapping):
        return {name: loaded.masks.get(f"{option.path}.{name}", item) for name, item in value.items()}
    return loaded.masks.get(option.path, value)


def write_value(loaded: Loaded, option: Option) -> str:
    """Write a value as a TOML file has it; a mask without quotes, so that no file takes it for a value."""
    value = read_value(loaded, option)
    if option.path in loaded.masks:
        return loaded.masks[option.path]
    if not isinstance(value, Mapping) or not value:
        return option.kind.format(value)
    masks = {name: loaded.masks.get(f"{option.path}.{name}") for name in value}
    items = (f"{quote_key(name)} = {masks[name] or quote(item)}" for name, item in value.items())
    return f"{{ {', '.join(items)} }}"


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
