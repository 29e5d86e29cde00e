"""The architectures as data, one file a family."""
