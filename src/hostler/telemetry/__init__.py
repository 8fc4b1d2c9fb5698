"""Logs: what the server tells its operator."""
