"""The page: the results in words, tables and pictures. The arithmetic is in `harness.analysis`. Imports no torch."""
