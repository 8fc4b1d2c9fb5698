"""What the commands that talk to a running server have in common: their arguments, and how the server is found."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hostler.cli.arguments import Formatter
from hostler.cli.command import COMMANDS
from hostler.config.origin import suggest
from hostler.config.parser import Parser
from hostler.control.client import ControlClient, UnreachableError
from hostler.control.instance import Whereabouts, find_socket, find_whereabouts, list_sockets
from hostler.errors import HostlerError, PrivilegeError
from hostler.system.environment import environment
from hostler.system.local_socket import is_living
from hostler.system.user import effective_user

SOCKET_VARIABLE = "HOSTLER_CONTROL_SOCKET"
DIRECTORY_VARIABLE = "HOSTLER_CONTROL_DIRECTORY"


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of one command.

    Attributes:
        spellings: of a flag, or the name of a positional argument.
        help: what it is.
        metavar: the placeholder of its value; empty for a flag without one.
        default: what is meant when it is left out.
        optional: whether a positional argument may be left out.
    """

    spellings: tuple[str, ...]
    help: str
    metavar: str = ""
    default: str | None = None
    optional: bool = False

    def add_to(self, parser: Parser) -> None:
        """Add it to a parser."""
        if not self.spellings[0].startswith("-"):
            parser.add_argument(
                *self.spellings, metavar=self.metavar, nargs="?" if self.optional else None, help=self.help
            )
        elif self.metavar:
            parser.add_argument(*self.spellings, metavar=self.metavar, default=self.default, help=self.help)
        else:
            parser.add_argument(*self.spellings, action="store_true", help=self.help)


_JSON = Argument(("--json",), "print JSON")
_WAIT = Argument(("--timeout",), "give up waiting after so long, such as 2m; what was asked for goes on", "DURATION")
ARGUMENTS: Mapping[str, tuple[Argument, ...]] = {
    "status": (_JSON,),
    "top": (
        Argument(("--interval",), "how often it is renewed [2s]", "DURATION", "2s"),
        Argument(("--once",), "print one picture and exit, as without a terminal"),
    ),
    "requests": (
        Argument(("--slowest",), "how many of the slowest requests of late, 0 for none [16]", "N"),
        _JSON,
    ),
    "reload": (_WAIT, _JSON),
    "scale": (Argument(("workers",), "how many workers, or how many more (+1) or fewer (-1)", "N|+N|-N"), _JSON),
    "challenge": (
        Argument(
            ("answer",),
            "the key authorization: token, full stop and thumbprint [$CERTBOT_VALIDATION]",
            "ANSWER",
            optional=True,
        ),
        Argument(("--remove",), "answer no longer; the token alone will do"),
        _JSON,
    ),
    "upgrade": (_WAIT, _JSON),
    "stop": (Argument(("--now",), "drop requests that are in progress"), _WAIT),
    "logs": (
        Argument(("-f", "--follow"), "go on with what comes, until interrupted or the server ends"),
        Argument(("-n", "--lines"), "how many records to begin with [20]", "N", "20"),
        _JSON,
    ),
    "pause": (),
    "resume": (),
    "reopen": (),
    "stacks": (
        Argument(
            ("worker",), "a worker by its number, or any child by its process id [all workers]", "WORKER", optional=True
        ),
        Argument(("--native",), "also the stacks outside of Python, by eu-stack or gdb, which stop it for a moment"),
        _JSON,
    ),
}


def build_parser(command: str, *, width: int | None = None) -> Parser:
    """Build the parser of a command that talks to a running server; see `cli.arguments.build_parser`."""
    entry = COMMANDS[command]
    parser = Parser(
        prog=f"hostler {command}",
        usage=f"hostler {entry.usage}",
        description=f"{entry.summary[0].upper()}{entry.summary[1:]}.",
        allow_abbrev=False,
        add_help=False,
        formatter_class=functools.partial(Formatter, width=width),
    )
    for argument in ARGUMENTS[command]:
        argument.add_to(parser)
    parser.add_argument("-i", "--instance", metavar="NAME", help="which server, where several run")
    parser.add_argument("--socket", metavar="PATH", help=f"its control socket [${SOCKET_VARIABLE}]")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks and details")
    parser.add_argument("-h", "--help", action="help", help="show this and exit")
    return parser


def parse_arguments(command: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of a command.

    Raises:
        ConfigurationError: they are wrong.
    """
    return build_parser(command).parse(arguments)


def connect(namespace: argparse.Namespace) -> ControlClient:
    """Connect to the server that is meant.

    Raises:
        UnreachableError: there is none, or it is not clear which.
        PrivilegeError: this user may not.
    """
    variables = environment()
    socket = namespace.socket or (None if namespace.instance else variables.get(SOCKET_VARIABLE))
    if socket:
        return ControlClient(Path(socket))
    whereabouts = find_here(variables)
    if namespace.instance:
        return ControlClient(_find_named(whereabouts, namespace.instance))
    return ControlClient(_choose(whereabouts))


def find_here(variables: Mapping[str, str]) -> Whereabouts:
    """Say where this user's instances are."""
    directory = variables.get(DIRECTORY_VARIABLE)
    return find_whereabouts(Path(directory).absolute() if directory else None, variables, effective_user())


def list_living(whereabouts: Whereabouts) -> list[Path]:
    """List the sockets at which a server answers.

    Raises:
        PrivilegeError: none was found, and a directory cannot be listed.
    """
    try:
        return [path for path in list_sockets(whereabouts) if is_living(path)]
    except PermissionError as error:
        raise PrivilegeError(
            f"this user may not list {error.filename}; name an instance with --instance, or become its user"
        ) from None


def _find_named(whereabouts: Whereabouts, name: str) -> Path:
    path = find_socket(whereabouts, name)
    if path is not None:
        return path
    try:
        names = [each.stem for each in list_living(whereabouts)]
    except PrivilegeError:
        names = []
    otherwise = f"; there is {', '.join(names)}" if names else f"; {_describe_search(whereabouts)}"
    raise UnreachableError(f'no instance "{name}" runs{suggest(name, names, otherwise=otherwise)}')


def _choose(whereabouts: Whereabouts) -> Path:
    living = list_living(whereabouts)
    if not living:
        raise UnreachableError(f"no server runs that could be asked; {_describe_search(whereabouts)}")
    if len(living) > 1:
        living = [path for path in living if _is_from_here(path)] or living
    if len(living) > 1:
        names = ", ".join(path.stem for path in living)
        raise UnreachableError(f"several servers run: {names}; choose one with --instance NAME")
    return living[0]


def _describe_search(whereabouts: Whereabouts) -> str:
    places = ", ".join(str(each) for each in (whereabouts.directory, *whereabouts.others))
    return f"looked in {places}; --socket names another place"


def _is_from_here(path: Path) -> bool:
    status = ask_status(path)
    return status is not None and status.get("started_in") == str(Path.cwd())


def ask_status(path: Path) -> dict[str, Any] | None:
    """Ask one of several servers how it is; None when it does not answer."""
    try:
        with ControlClient(path, timeout=2) as client:
            return client.get("/v1/status", timeout=2)
    except HostlerError:
        return None
