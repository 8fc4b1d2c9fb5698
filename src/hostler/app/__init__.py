"""The application: how it is named, found in a directory, and loaded."""

from hostler.app.discovery import Discovery, discover
from hostler.app.interface import Choice
from hostler.app.loading import LoadedApplication, describe_failure, load_application
from hostler.app.target import Target, parse_target

__all__ = [
    "Choice",
    "Discovery",
    "LoadedApplication",
    "Target",
    "describe_failure",
    "discover",
    "load_application",
    "parse_target",
]
