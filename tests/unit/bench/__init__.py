"""The benchmarks' own parsers, statistics, judgements and process handling."""
