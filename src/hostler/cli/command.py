"""The table of commands and of exit statuses, for the dispatcher, the help and the reference."""

from __future__ import annotations

from dataclasses import dataclass

INTERRUPTED = 130
PIPE_CLOSED = 141


@dataclass(frozen=True, slots=True)
class Entry:
    """One command.

    Attributes:
        module: the module that runs it.
        usage: what stands behind `hostler`.
        summary: what it does, in one line.
    """

    module: str
    usage: str
    summary: str


COMMANDS = {
    "run": Entry("hostler.cli.run", "[run] [APP] [OPTIONS]", "serve an application (the command that may be left out)"),
    "dev": Entry(
        "hostler.cli.dev", "dev [APP] [OPTIONS]", "serve while developing: reload on changes, errors in the browser"
    ),
    "check": Entry("hostler.cli.check", "check [APP] [OPTIONS]", "validate the configuration and load the application"),
    "doctor": Entry(
        "hostler.cli.doctor",
        "doctor [URL | PATH] [APP] [OPTIONS]",
        "find out why a page does not come, and what mends it",
    ),
    "certs": Entry(
        "hostler.cli.certs", "certs self-signed [NAME ...]", "make a certificate for development, with its authority"
    ),
    "config": Entry(
        "hostler.cli.config",
        "config show|schema [OPTIONS]",
        "print the effective configuration and its sources, or its JSON Schema",
    ),
    "completion": Entry(
        "hostler.cli.completion", "completion bash|zsh|fish", "print a script that teaches a shell to complete"
    ),
    "generate": Entry(
        "hostler.cli.generate",
        "generate KIND [APP] [OPTIONS]",
        "write files for nginx, Apache, systemd, Docker, Compose, Kubernetes, make, Procfile",
    ),
    "gunicorn": Entry(
        "hostler.cli.gunicorn", "gunicorn [OPTIONS] [APP]", "serve from Gunicorn's own command line, file and hooks"
    ),
    "uwsgi": Entry(
        "hostler.cli.uwsgi", "uwsgi [OPTIONS] [FILE ...]", "serve from uWSGI's own command line and configuration files"
    ),
    "import": Entry(
        "hostler.cli.import_",
        "import FILE [--output FILE]",
        "write hostler.toml from a configuration of Gunicorn or uWSGI",
    ),
    "status": Entry("hostler.cli.status", "status [OPTIONS]", "show what runs, and how it is"),
    "top": Entry("hostler.cli.top", "top [OPTIONS]", "watch a server: workers, latency, requests, with keys to act"),
    "requests": Entry(
        "hostler.cli.requests", "requests [OPTIONS]", "show the requests that are in progress, and the slowest of late"
    ),
    "reload": Entry(
        "hostler.cli.reload", "reload [OPTIONS]", "take new code and configuration over, without losing a request"
    ),
    "scale": Entry(
        "hostler.cli.scale", "scale N|+N|-N [OPTIONS]", "change the number of workers, until the next reload"
    ),
    "challenge": Entry(
        "hostler.cli.challenge",
        "challenge [ANSWER] [OPTIONS]",
        "answer an authority that checks whether we have a name (a hook for certbot)",
    ),
    "pause": Entry("hostler.cli.pause", "pause [OPTIONS]", "let requests wait, and finish those in progress"),
    "resume": Entry("hostler.cli.resume", "resume [OPTIONS]", "take requests again, after a pause"),
    "upgrade": Entry(
        "hostler.cli.upgrade", "upgrade [OPTIONS]", "replace the running program itself, without losing a request"
    ),
    "stop": Entry("hostler.cli.stop", "stop [--now] [OPTIONS]", "end a server, and wait until it has ended"),
    "logs": Entry("hostler.cli.logs", "logs [-f] [-n N] [OPTIONS]", "show the latest records of the server log"),
    "reopen": Entry("hostler.cli.reopen", "reopen [OPTIONS]", "open the log files again, after they were moved away"),
    "stacks": Entry(
        "hostler.cli.stacks", "stacks [WORKER] [OPTIONS]", "show what every thread and task of a worker is doing"
    ),
    "version": Entry("hostler.cli.version", "version", "print the versions of Hostler and of Python"),
    "help": Entry("hostler.cli.help", "help [COMMAND | options]", "explain a command, or list every option"),
}

# The commands that talk to a running server.
WITH_INSTANCE = (
    *("status", "top", "requests", "reload", "scale", "pause", "resume", "challenge", "upgrade", "stop", "logs"),
    *("reopen", "stacks"),
)
# The commands that take the options of the schema.
WITH_OPTIONS = ("run", "dev", "check", "doctor", "config", "generate")

EXIT_STATUSES = {
    0: "Done: the server was stopped in good order, or the command found nothing wrong.",
    1: "Something failed that has no status of its own, or Hostler itself is at fault.",
    2: "The configuration, the command line or the environment asks for something that cannot be.",
    3: "The application could not be found or could not be loaded.",
    4: "A listener could not be bound, or a descriptor handed over is no listening socket.",
    5: "The operating system refused something that needs more rights: user, group, port or file.",
    6: "No server runs that a command could talk to, or several do and none was named.",
    INTERRUPTED: "A command other than a server was interrupted from the keyboard.",
    PIPE_CLOSED: "Whoever read the output closed it.",
}
