"""Applications that the interoperability tests serve, beside those of examples/."""
