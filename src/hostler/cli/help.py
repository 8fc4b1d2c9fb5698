"""`hostler help`: the overview, a command's help, or every option."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cli.command import COMMANDS, EXIT_STATUSES, WITH_INSTANCE, WITH_OPTIONS
from hostler.config.origin import suggest
from hostler.errors import ConfigurationError

OVERVIEW = """\
Hostler takes a web application from a laptop to production with one program.

  hostler app:app               serve the application "app" of the module "app", WSGI or ASGI
  hostler                       recognise the project in this directory (Django, Flask, FastAPI, ...) and serve it
  hostler dev                   the same while developing: reload on changes, errors in the browser

commands:
{commands}

common options (all of them: "hostler help options"):
  -b, --bind ADDRESS            where to listen: 8000, :8000, 10.0.0.1:80, unix:/run/app.sock [127.0.0.1:8000]
  -w, --workers N               worker processes; "auto" is one per core [1]
  --threads N                   requests that one worker runs side by side [4]
  -c, --config FILE             configuration file [hostler.toml, .yaml, .json or .ini, if it is there]
  --env NAME                    apply the overlay [env.NAME] of the file
  --access-log WHERE            access log: "-" for standard output, a path, or syslog: [none]
  --verbose                     show tracebacks and details
  --version                     print the version

Each option has three spellings: workers.count in hostler.toml, --workers-count, and HOSTLER_WORKERS_COUNT.
"""


def execute(arguments: Sequence[str]) -> int:
    """Print the help that is asked for."""
    if len(arguments) > 1:
        raise ConfigurationError(f'unexpected argument "{arguments[1]}"; write "hostler help COMMAND"')
    topic = arguments[0] if arguments else ""
    if not topic:
        print(write_overview(), end="")
    elif topic == "options":
        print(write_options("run", show_all=True), end="")
        print(f"\nexit statuses:\n{write_exit_statuses()}")
    elif topic in WITH_OPTIONS:
        print(write_options(topic, show_all=False), end="")
    elif topic in WITH_INSTANCE:
        print(write_operation(topic), end="")
    elif topic in COMMANDS:
        print(f"usage: hostler {COMMANDS[topic].usage}\n\n{COMMANDS[topic].summary}")
    else:
        hint = suggest(topic, [*COMMANDS, "options"], otherwise="; see hostler help")
        raise ConfigurationError(f'there is no help on "{topic}"{hint}')
    return 0


def write_overview() -> str:
    """Write the page that `hostler --help` prints."""
    commands = "\n".join(f"  {entry.usage:<32}{entry.summary}" for entry in COMMANDS.values())
    return OVERVIEW.format(commands=commands)


def write_options(command: str, *, show_all: bool, width: int | None = None) -> str:
    """Write the help of a command that takes the options of the schema, folded at `width` columns."""
    from hostler.cli.arguments import build_parser  # the overview needs none of it

    return build_parser(command, show_all=show_all, width=width).format_help()


def write_operation(topic: str, *, width: int | None = None) -> str:
    """Write the help of a command that talks to a running server."""
    from hostler.cli.instance import build_parser  # the overview needs none of it

    return build_parser(topic, width=width).format_help()


def write_exit_statuses() -> str:
    """Write the table of exit statuses."""
    return "\n".join(f"  {status:<5}{meaning}" for status, meaning in EXIT_STATUSES.items())
