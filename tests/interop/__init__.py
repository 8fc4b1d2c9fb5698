"""Hostler with the real programs and frameworks around it."""
