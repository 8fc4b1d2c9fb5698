"""The examples, without a server."""
