"""Gunicorn's settings, files, command line and server hooks, served by Hostler."""
