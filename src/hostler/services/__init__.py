"""What applications use of the server that runs them; `hostler` has it by its public names."""
