"""Applications that tests serve."""
