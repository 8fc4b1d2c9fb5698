"""The operating system: the only package that forks, kills, signals, opens sockets, reads clock and environment."""
