"""The page: what records mean, in words, tables and pictures. The arithmetic is in `harness.analysis`. No torch."""
