"""The repository's own scripts."""
