"""The command line: one module per command, each parsing its arguments, calling one function, and printing."""
