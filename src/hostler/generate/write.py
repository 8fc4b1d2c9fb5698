"""Put generated files where they are wanted; what exists is left alone unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hostler.errors import ConfigurationError
from hostler.generate.model import File


def join_files(files: Sequence[File]) -> str:
    """Write files as one text; several with a line above each that names it."""
    if len(files) == 1:
        return files[0].text
    return "\n".join(f"# ---- {file.name} ----\n{file.text}" for file in files)


def write_files(files: Sequence[File], directory: Path, *, force: bool) -> list[Path]:
    """Write files into a directory, which is made if need be: all of them, or none when one is in the way.

    Args:
        files: what to write.
        directory: where to.
        force: overwrite what exists.

    Returns:
        The paths written.

    Raises:
        ConfigurationError: a file exists, or cannot be written.
    """
    paths = [directory / file.name for file in files]
    in_the_way = [str(path) for path in paths if path.exists() or path.is_symlink()]
    if in_the_way and not force:
        raise ConfigurationError(
            "\n".join(
                f"{path} exists, and is not overwritten without --force; nothing was written" for path in in_the_way
            )
        )
    for path, file in zip(paths, files, strict=True):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x" fails if somebody was quicker since we looked.
            with path.open("w" if force else "x", encoding="utf-8") as stream:
                stream.write(file.text)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error
    return paths
