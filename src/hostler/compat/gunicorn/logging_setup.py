"""Gunicorn's loggers and logging settings, for applications that use them; in the process that loads those."""

from __future__ import annotations

import json
import logging
import logging.config
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hostler.errors import ConfigurationError

# What Gunicorn's own configuration brings along, and the dictionaries of others refer to.
_GENERIC = {
    "format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
    "datefmt": "[%Y-%m-%d %H:%M:%S %z]",
    "class": "logging.Formatter",
}
_HANDLERS = {
    "console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stdout"},
    "error_console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"},
}


def install_loggers() -> None:
    """Let the loggers "gunicorn" and "gunicorn.error" write to the server log: applications borrow their handlers."""
    ours = logging.getLogger("hostler")
    for name in ("gunicorn", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = ours.handlers if name == "gunicorn.error" else []
        logger.setLevel(ours.level)
    logging.getLogger("gunicorn.error").propagate = False


def apply_settings(values: Mapping[str, Any], directory: Path) -> None:
    """Apply `logconfig_dict`, `logconfig_json` or `logconfig`, the first that is set, as Gunicorn chooses.

    Raises:
        ConfigurationError: it cannot be read or applied.
    """
    name = next((name for name in ("logconfig_dict", "logconfig_json", "logconfig") if values[name]), "")
    if not name:
        return
    # Whatever the setting does with loggers that exist: the server's own keeps its place.
    ours = logging.getLogger("hostler")
    handlers, level = list(ours.handlers), ours.level
    try:
        _apply(name, values[name], directory)
    except Exception as error:
        raise ConfigurationError(f"{name} cannot be applied: {type(error).__name__}: {error}") from error
    ours.handlers[:], ours.disabled, ours.propagate = handlers, False, False
    ours.setLevel(level)


def _apply(name: str, value: Any, directory: Path) -> None:  # noqa: ANN401 - a dictionary or a path
    if name == "logconfig":
        path = directory / value
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        logging.config.fileConfig(path, disable_existing_loggers=False)
        return
    given = value if name == "logconfig_dict" else json.loads((directory / value).read_text(encoding="utf-8"))
    logging.config.dictConfig(complete(given))


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a dictionary what Gunicorn's own has and others rely on: the version, formatters and handlers."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        **given,
        "formatters": {"generic": _GENERIC, **given.get("formatters", {})},
        "handlers": {**_HANDLERS, **given.get("handlers", {})},
    }
