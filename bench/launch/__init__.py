"""Start programs for peers that have no command of their own or none that takes what is needed."""
