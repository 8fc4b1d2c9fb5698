"""Benchmarks: Hostler and its peers side by side in one run, one worker each."""
