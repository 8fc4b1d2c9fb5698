"""Unit tests of `hostler.cli`."""
