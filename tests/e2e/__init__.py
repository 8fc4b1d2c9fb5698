"""Whole servers as processes, on loopback."""
