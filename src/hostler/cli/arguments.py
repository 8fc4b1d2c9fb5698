"""What the commands that read a configuration have in common: their arguments, and the sources made of them."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hostler.app import Discovery, discover
from hostler.app.hook import parse_action
from hostler.cli.command import COMMANDS
from hostler.config import Loaded, Sources, Surroundings, load_config
from hostler.config.parser import FLAGS, Parser, add_options, add_target
from hostler.system.environment import environment

# Before the name of each choice of `generate` in its namespace.
CHOICE_PREFIX = "choice_"

# What a command has beside the options of the schema, with its help.
OWN_SWITCHES: Mapping[str, Mapping[str, str]] = {
    "config": {"--json": "print one JSON object: values and origins by option"},
    "doctor": {"--json": "print one JSON object: the page, whether it comes, and all findings"},
}


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command line, parsed.

    Attributes:
        sources: where the configuration's values come from.
        verbose: whether tracebacks and details are wanted.
        namespace: the command's own arguments.
    """

    sources: Sources
    verbose: bool
    namespace: argparse.Namespace


def build_parser(command: str, *, show_all: bool = False, width: int | None = None) -> Parser:
    """Build the parser of a command that takes the options of the schema.

    Args:
        command: its name.
        show_all: whether its help lists every option, or the common ones only.
        width: the columns of its help; as the terminal has when None.
    """
    entry = COMMANDS[command]
    parser = Parser(
        prog=f"hostler {command}",
        usage=f"hostler {entry.usage}",
        description=f"{entry.summary[0].upper()}{entry.summary[1:]}.",
        epilog="" if show_all else 'More options: "hostler help options".',
        allow_abbrev=False,
        add_help=False,
        formatter_class=functools.partial(Formatter, width=width),
        # What `generate` asks goes before an option of the same spelling: --server-name is the site's there.
        conflict_handler="resolve" if command == "generate" else "error",
    )
    add_target(parser)
    general = parser.add_argument_group("general")
    general.add_argument("-h", "--help", action="help", help="show the common options and exit")
    general.add_argument("--help-all", action=_HelpAll, nargs=0, help="show every option and exit")
    general.add_argument(
        "-c", "--config", metavar="FILE", help="read this file [hostler.toml, .yaml, .json or .ini, if it is there]"
    )
    general.add_argument("--env", metavar="NAME", help="apply the overlay [env.NAME] of the file [$HOSTLER_ENV]")
    general.add_argument("--verbose", action="store_true", help="show tracebacks and details")
    for flag, text in OWN_SWITCHES.get(command, {}).items():
        general.add_argument(flag, action="store_true", help=text)
    choices = parser.add_argument_group("what is generated") if command == "generate" else None
    add_options(parser, show_all=show_all)
    if choices is not None:
        _add_choices(choices)
    return parser


def _add_choices(group: argparse._ArgumentGroup) -> None:
    from hostler.generate.choice import CHOICES  # for that command only

    for choice in CHOICES:
        text = f"{choice.doc} ({', '.join(choice.kinds)})" if choice.kinds else choice.doc
        dest = f"{CHOICE_PREFIX}{choice.name}"
        if choice.metavar:
            group.add_argument(choice.flag, metavar=choice.metavar, dest=dest, action="append", help=text)
        else:
            group.add_argument(choice.flag, dest=dest, action="append_const", const="", help=text)


class Formatter(argparse.HelpFormatter):
    """Help with room for long flags, and the value's placeholder once, as later versions of Python write it."""

    def __init__(self, prog: str, width: int | None = None) -> None:
        """Format help for `width` columns, or the terminal's when None."""
        super().__init__(prog, max_help_position=32, width=width)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {self._format_args(action, '')}"


class _HelpAll(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        command = parser.prog.split()[-1]
        build_parser(command, show_all=True).print_help()
        parser.exit()


def parse_arguments(command: str, arguments: Sequence[str]) -> Arguments:
    """Parse the arguments of a command.

    Args:
        command: its name.
        arguments: what stood behind the name.

    Raises:
        ConfigurationError: they are wrong.
    """
    parser = build_parser(command)
    namespace = parser.parse(arguments)
    sources = Sources(
        directory=Path.cwd(),
        environ=environment(),
        flags=getattr(namespace, FLAGS),
        file=namespace.config,
        environment=namespace.env,
        surroundings=describe_surroundings(),
    )
    return Arguments(sources, namespace.verbose, namespace)


def describe_surroundings() -> Surroundings:
    """Gather what the configuration's rules need of the world: rights, and the engine's own checks if it is built."""
    surroundings = Surroundings(is_root=os.geteuid() == 0, identities=_list_identities(), check_action=parse_action)
    try:
        from hostler import engine  # may not be built
    except ImportError:
        return surroundings
    return replace(
        surroundings,
        check_access_log_format=engine.check_access_log_format,
        check_access_log_skip=lambda path: engine.check_access_log_filter([path], []),
        check_access_log_status=lambda status: engine.check_access_log_filter([], [status]),
        check_trusted_network=engine.check_trusted_network,
        check_deadline_pattern=engine.check_deadline_pattern,
    )


def _list_identities() -> frozenset[str]:
    if os.geteuid() == 0:
        return frozenset()  # root may become anyone
    import grp  # only where it matters
    import pwd

    names = {str(os.geteuid()), *map(str, os.getgroups()), str(os.getegid())}
    names |= {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == os.geteuid()}
    groups = {os.getegid(), *os.getgroups()}
    names |= {entry.gr_name for entry in grp.getgrall() if entry.gr_gid in groups}
    return frozenset(names)


def load_with_application(sources: Sources) -> tuple[Loaded, Discovery | None]:
    """Load the configuration, and recognise the application in `app.chdir` when none is named.

    Returns:
        The configuration with `app.target` set where that was possible, and what was recognised, if anything was.

    Raises:
        ConfigurationError: the configuration is wrong.
        ApplicationError: the directory holds several applications, or one that cannot be served.
    """
    loaded = load_config(sources)
    app = loaded.config.app
    if app.target is not None:
        return loaded, None
    found = discover(Path(app.chdir), {**sources.environ, **app.env})
    if found is None:
        return loaded, None
    config = replace(loaded.config, app=replace(app, target=found.target))
    return replace(loaded, config=config), found
