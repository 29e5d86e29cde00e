"""Who is told of a run: a live view, plain lines. An observer only shows what it is told; it can change nothing."""
