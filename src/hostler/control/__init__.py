"""The control socket: HTTP and JSON over a unix socket, for those who operate a server while it runs."""
