"""Stand-ins for the operating system that behave like it."""
