"""A Makefile that runs the three environments of one configuration file."""

from __future__ import annotations

from collections.abc import Mapping

from hostler.errors import ConfigurationError
from hostler.generate.choice import Choices
from hostler.generate.command import build_arguments, quote_make
from hostler.generate.model import File, Project

# How overlays are called, by target; the first that the file has is taken.
OVERLAYS: Mapping[str, tuple[str, ...]] = {
    "dev": ("dev", "development", "local"),
    "stag": ("stag", "staging", "stage"),
    "prod": ("prod", "production", "live"),
}


def build_makefile(project: Project, choices: Choices) -> tuple[File, ...]:  # noqa: ARG001 - a kind's signature
    """Build the Makefile.

    Raises:
        ConfigurationError: an overlay was chosen, or the file has none for staging or production.
    """
    if project.environment:
        raise ConfigurationError(
            f'a Makefile runs all environments, and --env or HOSTLER_ENV is "{project.environment}"; leave it out'
        )
    chosen = {target: _find_overlay(project, target) for target in OVERLAYS}
    # What is the same for every environment.
    shared = build_arguments(project)
    options = {
        target: quote_make([*shared, *(["--env", overlay] if overlay else [])]) for target, overlay in chosen.items()
    }
    prefix = {target: f" {text}" if text else "" for target, text in options.items()}
    text = f"""\
# {project.name}'s three environments. Made by `hostler generate makefile`; yours to change.
#
# Put it in place: beside {project.file_name}; where there is a Makefile already, as hostler.mk, with
#                  the line "include hostler.mk" in yours
# Check:           make --dry-run dev stag prod
# Use:             make dev, make stag, make prod; make check loads the application in each

HOSTLER ?= {quote_make([project.program])}

.PHONY: dev stag prod check

# Reload on changes, errors in the browser.
dev:
\t@exec $(HOSTLER) dev{prefix["dev"]}

stag:
\t@exec $(HOSTLER) run{prefix["stag"]}

prod:
\t@exec $(HOSTLER) run{prefix["prod"]}

check:
\t$(HOSTLER) check{prefix["dev"]}
\t$(HOSTLER) check{prefix["stag"]}
\t$(HOSTLER) check{prefix["prod"]}
"""
    return (File("Makefile", text),)


def _find_overlay(project: Project, target: str) -> str:
    """Find the overlay for a target; development may do without one."""
    names = OVERLAYS[target]
    for name in names:
        if name in project.overlays:
            return name
    if target == "dev":
        return ""
    known = f"it has {', '.join(project.overlays)}" if project.overlays else "it has none"
    raise ConfigurationError(
        f"make {target} needs an overlay in {project.file_name}, and {known}; "
        f"add [env.{names[1]}] (or {names[0]}, {names[2]})"
    )
