"""Compare two results folders: `pairing`, `comparability`, `verdicts`, and `gates` for a check that can fail."""
