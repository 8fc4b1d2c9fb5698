"""Build the configuration from what another server's settings became."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from hostler.compat.effect import Give
from hostler.config import Config, Surroundings
from hostler.config.check import find_conflicts, find_missing_variables
from hostler.config.choice import choose_settings
from hostler.config.load import build_config
from hostler.config.origin import DEFAULT, Origin
from hostler.config.schema import index_options
from hostler.config.secret import read_reference
from hostler.config.source import Setting as Value
from hostler.config.source import read_environment
from hostler.errors import ConfigurationError


def convert_gives(gives: Iterable[tuple[Give, str, Origin]]) -> list[Value]:
    """Convert what settings gave into values of Hostler's options, in the same order.

    Args:
        gives: each with the name of the setting that it comes from, and where that was given.

    Raises:
        ConfigurationError: an option cannot have the value; a line for each.
    """
    values, problems = [], []
    for give, name, origin in gives:
        option = index_options()[give.path]
        try:
            values.append(Value(option, option.kind.convert(give.raw), origin))
        except ValueError:
            problems.append(f"{origin.where}: {name} is {give.raw!r}; {give.path} must be {option.kind.expects}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return values


def assemble(
    values: Sequence[Value], directory: Path, environ: Mapping[str, str], surroundings: Surroundings
) -> Config:
    """Build the configuration; variables HOSTLER_SECTION_NAME win over all that the other server was told.

    Args:
        values: from the weakest to the strongest.
        directory: what relative paths are relative to, and where the application is run.
        environ: the environment variables.
        surroundings: what the configuration's rules need to know.

    Raises:
        ConfigurationError: it cannot be.
    """
    problems: list[str] = []
    # Resolved already: other paths are relative to it.
    place = Value(index_options()["app.chdir"], str(directory), DEFAULT)
    every = [*values, place, *read_environment(environ, problems)]
    read = partial(read_reference, directory=directory, environ=environ)
    choice = choose_settings(every, read, problems)
    config, origins = build_config(choice.settings, directory)
    if not problems:
        problems = find_conflicts(config, origins, surroundings, choice.masks)
        problems += find_missing_variables(config, origins, environ)
    if problems:
        raise ConfigurationError("\n".join(dict.fromkeys(problems)))
    return config
