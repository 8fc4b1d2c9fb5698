"""The configuration: one schema, its sources, its checks, and the documents generated from it."""

from hostler.config.check import Surroundings
from hostler.config.load import Loaded, Sources, load_config
from hostler.config.schema import App, Config, Dev, Http, Limits, Log, Server, Trust, Workers
from hostler.config.source import Flag

__all__ = [
    "App",
    "Config",
    "Dev",
    "Flag",
    "Http",
    "Limits",
    "Loaded",
    "Log",
    "Server",
    "Sources",
    "Surroundings",
    "Trust",
    "Workers",
    "load_config",
]
