"""The architectures as data: what a row is, the rows (one file a family), and where to find one by its name."""
