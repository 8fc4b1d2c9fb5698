"""Unit tests of `hostler.config`."""
