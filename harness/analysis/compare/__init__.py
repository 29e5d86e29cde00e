"""One results folder against another: `pairing`, `comparability`, `verdicts`, and `gates` for a check that can fail."""
