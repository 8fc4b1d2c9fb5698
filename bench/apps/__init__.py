"""The applications that every server of the benchmark runs: plain WSGI or ASGI, with no more imports than needed."""
