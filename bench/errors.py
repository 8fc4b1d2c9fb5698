"""The one error of the benchmarks, which ends a single measurement or the program with a line of text."""


class BenchError(Exception):
    """Something that cannot be measured; the text says what, and what to do where there is something to do."""
