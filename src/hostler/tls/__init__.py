"""Certificates and keys: found and read by the supervisor, renewed when their files change, handed to workers."""
