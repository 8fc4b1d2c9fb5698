"""What to say to people who have not said enough, or who have mistyped."""

from __future__ import annotations

from pathlib import Path

from hostler.cli.command import COMMANDS
from hostler.config.origin import find_nearest
from hostler.errors import ConfigurationError

NO_APPLICATION = """\
no application was named, and none was recognised in {directory}
  name it:         hostler app:app    (the object "app" in app.py)
  or its file:     hostler path/to/wsgi.py
  or in a file:    target = "app:app" under [app] in hostler.toml; for all else see hostler help"""


def reject_mistyped_command(target: str, directory: Path) -> None:
    """Tell a mistyped command from an application, before a search for such a module confuses.

    Args:
        target: the first argument.
        directory: where a module of that name would be.

    Raises:
        ConfigurationError: no such module is there, and a command is called almost the same.
    """
    if not target.isidentifier() or (directory / f"{target}.py").exists() or (directory / target).exists():
        return
    # Three letters of which two have changed places are two thirds alike.
    nearest = find_nearest(target, COMMANDS, cutoff=0.66)
    if nearest == target:
        raise ConfigurationError(f'the command comes first: write "hostler {target} ..."')
    if nearest:
        raise ConfigurationError(f'"{target}" is no command and no application here; did you mean "hostler {nearest}"?')
