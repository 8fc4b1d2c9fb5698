"""Unit tests of `hostler.app`."""
