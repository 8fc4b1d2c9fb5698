"""Programs of the repository: checks, test runs, environments."""
