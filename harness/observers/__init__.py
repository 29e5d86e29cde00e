"""Observers of a run: a live view for a terminal, lines for logs and pipes, and what both of them share."""
