"""Generate the reference documentation of the configuration from the schema.

The text is a pure function of the schema, so that lint can compare it with the files that are committed.
"""

from __future__ import annotations

from collections.abc import Iterator

from hostler.config.kind import Integer, Text
from hostler.config.option import Option
from hostler.config.parser import describe_default
from hostler.config.schema import SECTIONS, list_options

_INTRODUCTION = """\
# Configuration reference

Generated from the schema (`make docs`); do not edit. For explanations see [the guide](../guides/configuration.md).

Every option has one name in three spellings: `workers.count` in `hostler.toml`, `--workers-count` on the command line,
`HOSTLER_WORKERS_COUNT` in the environment. Some have a shorter flag, too. The strongest source wins:

1. a flag,
2. a variable `HOSTLER_SECTION_NAME`,
3. the overlay `[env.NAME]` of the file, chosen with `--env NAME` or `HOSTLER_ENV`,
4. the file named with `--config` or `HOSTLER_CONFIG`, or else the one called `hostler.toml`, `hostler.yaml`,
   `hostler.yml`, `hostler.json` or `hostler.ini` in the directory Hostler was started in,
5. the variables `PORT` and `WEB_CONCURRENCY`, which platforms set for any server,
6. the default.

## Values

In the file means TOML; YAML and JSON have the same values, INI those of variables.

| kind | in the file | as a flag or variable |
|---|---|---|
| duration | `"30s"`, `"500ms"`, `"2m"`, `"1h"`, `"1d"`, or a number of seconds | the same without quotes |
| size | `"64KiB"`, `"10MB"`, `"1GiB"`, or a number of bytes | the same without quotes |
| boolean | `true`, `false` | flag: `--name` or `--no-name`; variable: `true`, `yes`, `on`, `1` or their opposites |
| list of texts | `["a", "b"]`, or `"a"` for a list of one | flag: repeated; variable: separated by commas |
| table | `{ KEY = "value" }` or a table of its own | flag: `KEY=VALUE`, repeated; variable: separated by commas |
| octal | `"027"` or `0o027` | `027` |
| text, path, choice | `"text"` | the same without quotes; empty where the option can be left out |
| one of these, or a table's item, elsewhere | `{ file = "PATH" }`, `{ env = "NAME" }` | `@file:PATH`, `@env:NAME` |

A list or table from a stronger source replaces that of a weaker one. Paths are relative to the directory Hostler was
started in, except `app.python_path`, which is relative to `app.chdir`.

A reload (SIGHUP) reads file and overlay again, and the files that values are taken from. Options marked *restart* keep
the value that they had at the start.
"""


def write_configuration() -> str:
    """Write `configuration.md`."""
    parts = [_INTRODUCTION]
    for section, declaration in SECTIONS.items():
        parts.append(f"\n## [{section}]\n\n{(declaration.__doc__ or '').strip()}\n")
        parts += [_write_option(option) for option in list_options() if option.section == section]
    parts.append(_write_variables())
    return "".join(parts)


def _write_option(option: Option) -> str:
    facts = "\n".join(f"| {name} | {value} |" for name, value in _list_facts(option))
    return f"\n### {option.path}\n\n{option.doc}\n\n| | |\n|---|---|\n{facts}\n"


def _list_facts(option: Option) -> Iterator[tuple[str, str]]:
    yield "kind", describe_kind(option)
    yield "default", f"`{describe_default(option)}`"
    flags = ", ".join(f"`{flag}`" for flag in option.flags)
    yield "flag", f"{flags}, or the argument `APP`" if option.path == "app.target" else flags
    fallback = f" (then `{option.fallback}`)" if option.fallback else ""
    yield "variable", f"`{option.variable}`{fallback}"
    yield "changed by", "reload" if option.reloadable else "*restart*"


def describe_kind(option: Option) -> str:
    """Describe the values of an option: its kind, unit, choices and bounds."""
    kind = option.kind
    text = kind.name
    if isinstance(kind, Text) and kind.choices:
        return "one of " + ", ".join(f"`{choice}`" for choice in kind.choices)
    if option.unit and option.unit not in {"seconds", "bytes"}:
        text += f", {option.unit}"
    if isinstance(kind, Integer):
        most = "" if kind.maximum == Integer().maximum else f" to {kind.maximum}"
        text += f", from {kind.minimum}{most}"
    return text


def _write_variables() -> str:
    rows = [f"| `{option.variable}` | `{option.path}` |" for option in list_options()]
    rows += [
        "| `HOSTLER_ENV` | `--env`: the overlay |",
        "| `HOSTLER_CONFIG` | `--config`: the file |",
        "| `PORT` | `server.bind`, as `0.0.0.0:$PORT` |",
        "| `WEB_CONCURRENCY` | `workers.count` |",
    ]
    return "\n## Environment variables\n\n| variable | option |\n|---|---|\n" + "\n".join(rows) + "\n"
