"""The tests of Hostler."""
