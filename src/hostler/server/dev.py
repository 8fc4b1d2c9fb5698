"""The development server: one worker, errors in the browser, a line per request for people.

It is the ordinary server with other parts: an application that could not be loaded is replaced by one that shows why,
and a companion watches files and asks the supervisor to reload. Which files, and how they are watched, the caller says.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from hostler.app import load_application
from hostler.config import Config
from hostler.contracts import WsgiApplication
from hostler.errors import ApplicationError
from hostler.server.dev_page import TOKEN_HEADER, make_token, render_page, summarise
from hostler.server.options import Companion, Options
from hostler.server.run import run
from hostler.system.address import LOOPBACK, TcpAddress, parse_address
from hostler.system.clock import SystemClock
from hostler.system.environment import environment
from hostler.telemetry.log import is_colour_wanted

# A reload waits for requests in flight; while developing nobody wants to wait long for a stuck one (arbitrary).
GRACEFUL_TIMEOUT = 3.0
_LOOPBACK_HOSTS = frozenset({LOOPBACK, "localhost", "::1"})
# What makes frameworks let an exception out to the server, which has a page for it, instead of answering with a bare
# 500. The environment's own values and those of `app.env` go first.
_DEBUG_VARIABLES = {"FLASK_DEBUG": "1"}
# By the first digit of the status; SGR codes as in the server log.
_COLOURS = {"2": "32", "3": "36", "4": "33", "5": "31"}


class Clock(Protocol):
    """What the request log needs of a clock."""

    def now(self) -> float:
        """Give seconds from an arbitrary point."""


def run_dev(
    load_configuration: Callable[[], Config],
    *,
    watch: Companion,
    framework: str = "",
    is_bind_explicit: bool,
    verbose: bool = False,
) -> int:
    """Serve for development until told to stop.

    Args:
        load_configuration: reads the configuration, now and at each reload.
        watch: the companion that signals the supervisor when a file has changed.
        framework: what the application is made with, for the start block.
        is_bind_explicit: whether the addresses were asked for on the command line, and so may be open to others.
        verbose: log at the level "debug".

    Raises:
        HostlerError: the server could not start.
    """
    adapt = adapt_explicit if is_bind_explicit else adapt_config
    options = Options(
        framework=framework,
        mode="development, not for production",
        error_page=render_failure,
        load=load_for_development,
        companions=(watch,),
    )
    return run(lambda: adapt(load_configuration()), verbose=verbose, options=options)


def adapt_config(config: Config) -> Config:
    """Turn a configuration into one for development that listens on this machine only."""
    return adapt_explicit(replace(config, server=replace(config.server, bind=restrict_to_loopback(config.server.bind))))


def adapt_explicit(config: Config) -> Config:
    """Turn a configuration into one for development: one worker, loaded anew each time, quick to end."""
    server = replace(config.server, graceful_timeout=min(config.server.graceful_timeout, GRACEFUL_TIMEOUT))
    inherited = environment()
    debug = {name: value for name, value in _DEBUG_VARIABLES.items() if name not in inherited}
    return replace(
        config,
        app=replace(config.app, preload=False, env=MappingProxyType({**debug, **config.app.env})),
        server=server,
        workers=replace(config.workers, count=1, max_requests=0, max_requests_jitter=0),
    )


def restrict_to_loopback(addresses: Iterable[str]) -> tuple[str, ...]:
    """Keep the ports, but let no other machine in: what is configured for production must not open a debug page."""
    kept: list[str] = []
    for text in addresses:
        address = parse_address(text)
        if isinstance(address, TcpAddress) and address.host not in _LOOPBACK_HOSTS:
            kept.append(f"{LOOPBACK}:{address.port}")
        else:
            kept.append(text)
    return tuple(dict.fromkeys(kept))


def load_for_development(target: str) -> WsgiApplication:
    """Load an application; one that cannot be loaded is replaced by a page that says why. In the worker."""
    variables = environment()
    try:
        application = load_application(target)
    except ApplicationError as error:
        # Its traceback is in the details, without our frames; `exception` would print another with them.
        logging.getLogger("hostler").log(
            logging.ERROR, "%s%s", error, f"\n{error.details.rstrip()}" if error.details else ""
        )
        return FailurePage(error)
    return RequestLog(application, SystemClock(), write_line, is_coloured=is_colour_wanted(1, variables))


def render_failure(error: BaseException, request: Mapping[str, str]) -> bytes:
    """Render the page for an exception that left the application during a request."""
    facts = {
        "request": f"{request.get('method', '?')} {request.get('path', '?')}",
        "request id": request.get("id", "?"),
    }
    return render_page(summarise(error), error, facts)


class FailurePage:
    """A WSGI application that answers everything with the reason why the real one could not be loaded."""

    def __init__(self, error: ApplicationError) -> None:
        """Render the page once; it cannot change until the next reload."""
        cause = error.__cause__
        token = make_token(f"{error}{error.details}")
        self._page = render_page(str(error), cause, {}, token)
        self._headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(self._page))),
            ("Cache-Control", "no-store"),
            (TOKEN_HEADER, token),
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; see PEP 3333."""
        start_response("500 Internal Server Error", self._headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self._page]


@dataclass(frozen=True, slots=True)
class RequestLog:
    """Wraps an application and writes a line for each response: once the application has returned, or has failed to.

    Only `start_response` is replaced: the result passes through untouched, so that a `wsgi.file_wrapper` stays one. An
    application that starts its response only while its result is iterated has its line written then.
    """

    application: WsgiApplication
    clock: Clock
    write: Callable[[str], object]
    is_coloured: bool = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; see PEP 3333."""
        began = self.clock.now()
        last_status = ""
        has_returned = False

        def write(status: str) -> None:
            self.write(self.format_line(environ, status, self.clock.now() - began))

        def start_noted(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:  # noqa: ANN401
            nonlocal last_status
            started = start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)
            last_status = status
            if has_returned:
                write(status)
            return started

        try:
            result = self.application(environ, start_noted)
        except BaseException:
            # What was started is not sent: the engine answers in the application's place.
            write("500")
            raise
        has_returned = True
        if last_status:
            write(last_status)
        return result

    def format_line(self, environ: Mapping[str, Any], status: str, seconds: float) -> str:
        """Write `GET   200     12 ms  /path?query`, coloured by the status."""
        query = environ.get("QUERY_STRING", "")
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}{f'?{query}' if query else ''}"
        # WSGI's texts are bytes as latin-1; what is no text, or moves the cursor, is shown as an escape.
        text = path.encode("latin-1", "replace").decode("utf-8", "replace")
        text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
        code = status[:3]
        if self.is_coloured:
            code = f"\x1b[{_COLOURS.get(code[:1], '0')}m{code}\x1b[0m"
        return f"{environ.get('REQUEST_METHOD', '?'):<6} {code} {seconds * 1000:>7.1f} ms  {text}\n"


def write_line(line: str) -> None:
    """Write a line to standard output at once and whole; a terminal that is gone must not fail a request."""
    try:
        os.write(1, line.encode("utf-8", "replace"))
    except OSError:
        return
