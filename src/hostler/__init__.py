"""Hostler takes a web application from a laptop to production with one program."""

__version__ = "0.1.0"
