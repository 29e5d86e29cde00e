"""One module a format: the same shots as its tools write them."""
