"""Doors for people from other servers."""
