"""The development server: one worker, errors in the browser, a line per request for people.

It is the ordinary server with other parts: an application that could not be loaded is replaced by one that shows why,
and a companion watches files and asks the supervisor to reload. Which files, and how they are watched, the caller says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import cast

from hostler.app import Choice, LoadedApplication, load_application
from hostler.config import Config
from hostler.config.schema import Scaling
from hostler.contracts import AsgiApplication, WsgiApplication
from hostler.errors import ApplicationError
from hostler.server.dev_failure import AsgiFailurePage, FailurePage, render_failure
from hostler.server.dev_log import AsgiRequestLog, LineWriter, RequestLog, write_line
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
        failure_page=AsgiFailurePage,
        is_development=True,
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
        # A broken application shows why, instead of not starting.
        scaling=Scaling(),
        reload=replace(config.reload, warm_up=()),
        workers=replace(config.workers, count=1, max_requests=0, max_requests_jitter=0, max_age=0.0),
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


def load_for_development(target: str, interface: Choice = "auto") -> LoadedApplication:
    """Load an application; one that cannot be loaded is replaced by a page that says why. In the worker."""
    variables = environment()
    try:
        loaded = load_application(target, interface)
    except ApplicationError as error:
        # Its traceback is in the details, without our frames; `exception` would print another with them.
        logging.getLogger("hostler").log(
            logging.ERROR, "%s%s", error, f"\n{error.details.rstrip()}" if error.details else ""
        )
        return LoadedApplication(FailurePage(error), "wsgi")
    lines = LineWriter(SystemClock(), write_line, is_coloured=is_colour_wanted(1, variables))
    if loaded.interface == "asgi":
        return LoadedApplication(AsgiRequestLog(cast("AsgiApplication", loaded.application), lines), "asgi")
    return LoadedApplication(RequestLog(cast("WsgiApplication", loaded.application), lines), "wsgi")
