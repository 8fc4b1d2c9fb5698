"""Every option of uWSGI 2.0, by area, with what Hostler makes of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from hostler.compat.uwsgi.option import Option
from hostler.compat.uwsgi.table import (
    application,
    background,
    configuration,
    language,
    log,
    process,
    serving,
    socket,
    system,
)

# By the heading that the guide has for them.
AREAS: Mapping[str, tuple[Option, ...]] = MappingProxyType(
    {
        "Sockets and requests": socket.OPTIONS,
        "The application": application.OPTIONS,
        "Processes": process.OPTIONS,
        "Logs": log.OPTIONS,
        "Files, placeholders, commands": configuration.OPTIONS,
        "Static files, routing, caches, routers": serving.OPTIONS,
        "Background work and sharing": background.OPTIONS,
        "Isolation, hooks, Emperor": system.OPTIONS,
        "Other languages": language.OPTIONS,
    }
)


@functools.cache
def list_options() -> tuple[Option, ...]:
    """List every option, area by area."""
    return tuple(option for options in AREAS.values() for option in options)


@functools.cache
def index_options() -> Mapping[str, Option]:
    """Map each spelling to its option."""
    return MappingProxyType({name: option for option in list_options() for name in option.names})


@functools.cache
def index_letters() -> Mapping[str, str]:
    """Map each letter of the command line to the first spelling of its option."""
    return MappingProxyType({option.short: option.name for option in list_options() if option.short})
