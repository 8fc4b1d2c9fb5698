"""Doors for people who come from other servers: their command lines and files, served by Hostler."""
