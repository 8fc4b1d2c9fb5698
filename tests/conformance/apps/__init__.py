"""Applications that the conformance tests serve."""
